//! What people know a message by: its Message-ID, From and Subject, read from its first bytes. Pure.
//!
//! It is read generously: what cannot be decoded stays as it is, and is compared so.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::api::restore::Filter;

/// Headers that do not end within so many bytes are not read further.
const LONGEST: usize = 256 << 10;

/// What is known of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// With its angle brackets.
    pub message_id: String,
    /// Decoded.
    pub from: String,
    /// Decoded.
    pub subject: String,
}

impl Head {
    /// Reads the first lines of a message.
    #[must_use]
    pub fn read(message: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&message[..message.len().min(LONGEST)]);
        let mut head = Self::default();
        for (name, value) in fields(&text) {
            let place = match name.to_ascii_lowercase().as_str() {
                "message-id" => &mut head.message_id,
                "from" => &mut head.from,
                "subject" => &mut head.subject,
                _ => continue,
            };
            if place.is_empty() {
                *place = decoded(value.trim());
            }
        }
        head
    }

    /// Whether it fits what a filter says of headers.
    #[must_use]
    pub fn fits(&self, filter: &Filter) -> bool {
        let has = |text: &str, part: Option<&String>| {
            part.is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
        };
        let bare = |id: &str| id.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase();
        filter.message_id.as_deref().is_none_or(|id| bare(id) == bare(&self.message_id))
            && has(&self.from, filter.from.as_ref())
            && has(&self.subject, filter.subject.as_ref())
    }
}

/// Whether a filter says anything of headers.
#[must_use]
pub const fn is_needed(filter: &Filter) -> bool {
    filter.message_id.is_some() || filter.from.is_some() || filter.subject.is_some()
}

/// The fields up to the first empty line, unfolded.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.split('\n').map(|line| line.trim_end_matches('\r')) {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim_start());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
    }
    fields
}

/// With its encoded words (RFC 2047) decoded; space between two of them is no part of the text.
fn decoded(value: &str) -> String {
    let (mut text, mut rest, mut after_word) = (String::with_capacity(value.len()), value, false);
    while let Some(at) = rest.find("=?") {
        let between = &rest[..at];
        if let Some((plain, length)) = word(&rest[at..]) {
            if !(after_word && between.trim().is_empty()) {
                text.push_str(between);
            }
            text.push_str(&plain);
            rest = &rest[at + length..];
            after_word = true;
        } else {
            text.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            after_word = false;
        }
    }
    text.push_str(rest);
    text
}

/// The text of the encoded word that comes first, and its length.
fn word(text: &str) -> Option<(String, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(4, '?');
    let (charset, encoding, content, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    rest.strip_prefix('=')?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(content.trim_end_matches('=').to_owned() + padding(content)).ok()?,
        "Q" | "q" => quoted(content)?,
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let plain = match charset.as_str() {
        "utf-8" | "us-ascii" => String::from_utf8_lossy(&bytes).into_owned(),
        "iso-8859-1" => bytes.iter().copied().map(char::from).collect(),
        _ => return None,
    };
    Some((plain, "=?".len() + charset_length(text) + content.len() + "?B??=".len()))
}

fn charset_length(text: &str) -> usize {
    text["=?".len()..].find('?').unwrap_or_default()
}

fn padding(content: &str) -> &'static str {
    match content.trim_end_matches('=').len() % 4 {
        2 => "==",
        3 => "=",
        _ => "",
    }
}

fn quoted(content: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(content.len());
    let mut rest = content.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_are_read_folded_and_encoded() {
        let message = "Received: x\r\n\ty\r\nFROM: =?utf-8?Q?B=C3=ACnh_T?= <binh@x.vn>\r\nSubject: =?UTF-8?B?Q8O0bmc=?=\r\n =?UTF-8?B?IHbEg24?= so 7\r\nMessage-ID:\r\n <1.a@X.vn>\r\nSubject: second\r\n\r\nSubject: third\r\n";
        let head = Head::read(message.as_bytes());
        assert_eq!(head.from, "Bình T <binh@x.vn>");
        assert_eq!(head.subject, "Công văn so 7");
        assert_eq!(head.message_id, "<1.a@X.vn>");
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            head.fits(&filter)
        };
        assert!(with(|_| ()) && with(|filter| filter.message_id = Some("1.A@x.vn".into())));
        assert!(with(|filter| filter.message_id = Some("<1.a@x.vn>".into())));
        assert!(!with(|filter| filter.message_id = Some("a@x.vn".into())), "the whole of it");
        assert!(with(|filter| filter.subject = Some("CÔNG VĂN".into())));
        assert!(with(|filter| filter.from = Some("BINH@x".into())));
        assert!(!with(|filter| {
            filter.from = Some("binh".into());
            filter.subject = Some("third".into());
        }));
    }

    #[test]
    fn what_is_not_understood_stays() {
        let subject = |text: &str| Head::read(format!("Subject: {text}\n\n").as_bytes()).subject;
        assert_eq!(subject("=?x-unknown?B?QQ==?= a"), "=?x-unknown?B?QQ==?= a");
        assert_eq!(subject("=?utf-8?B?***?="), "=?utf-8?B?***?=");
        assert_eq!(subject("a =? b"), "a =? b");
        assert_eq!(subject("=?iso-8859-1?q?=E9?= x =?utf-8*vi?q?=C3=A9?="), "é x é");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(message in proptest::collection::vec(any::<u8>(), 0..200), text in "(=\\?|utf-8|\\?|[BQ]|=|é| |[a-f0-9]){0,30}") {
            let _ = Head::read(&message);
            let _ = Head::read(format!("Subject: {text}\r\n\r\n").as_bytes());
        }
    }
}

//! Whose a folder is, and what people call it, from its name in Cyrus' own notation.

use base64::{Engine, alphabet, engine};

/// Where a folder belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The address of its mailbox; none if it belongs to nobody.
    pub mailbox: Option<String>,
    /// Its path as people see it.
    pub folder: String,
    /// Whether it was deleted, and is kept for a while.
    pub deleted: bool,
}

impl Owner {
    /// Reads `DOMAIN!user.LOCAL.FOLDER`, in which a dot of a name is written as `^`, or what was deleted,
    /// `DOMAIN!DELETED.user.LOCAL.FOLDER.TIME`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::in_mailbox(name).unwrap_or_else(|| Self {
            mailbox: None,
            folder: name.to_owned(),
            deleted: name.contains("DELETED."),
        })
    }

    fn in_mailbox(name: &str) -> Option<Self> {
        let (domain, path) = name.split_once('!')?;
        let (path, deleted) = match path.strip_prefix("DELETED.") {
            Some(path) => (path.rsplit_once('.')?.0, true),
            None => (path, false),
        };
        let mut parts = path.strip_prefix("user.")?.split('.');
        let local = parts.next().filter(|local| !local.is_empty())?.replace('^', ".");
        let folders: Vec<_> = parts.map(|part| decoded(&part.replace('^', "."))).collect();
        let folder = if folders.is_empty() { "INBOX".to_owned() } else { folders.join("/") };
        Some(Self { mailbox: Some(format!("{local}@{domain}")), folder, deleted })
    }
}

/// The name of the file that lists a mailbox, in which nothing is left that a file system or a shell takes otherwise.
#[must_use]
pub fn file_name(mailbox: Option<&str>) -> String {
    use std::fmt::Write as _;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"@._-=".contains(&byte);
    let mut name = String::from("mailboxes/");
    for byte in mailbox.unwrap_or("nobody").bytes() {
        match byte {
            byte if plain(byte) => name.push(char::from(byte)),
            // Writing to a string cannot fail.
            byte => drop(write!(name, "%{byte:02X}")),
        }
    }
    name + ".jsonl.zst"
}

const UTF7: engine::GeneralPurpose =
    engine::GeneralPurpose::new(&alphabet::IMAP_MUTF7, engine::general_purpose::NO_PAD);

/// A folder's name in IMAP's modified UTF-7.
#[must_use]
pub fn encoded(name: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(name.len()), name);
    while let Some(first) = rest.chars().next() {
        let plain = |c: char| matches!(c, ' '..='~');
        let end = if plain(first) { rest.find(|c| !plain(c)) } else { rest.find(plain) };
        let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
        if plain(first) {
            text.push_str(&run.replace('&', "&-"));
        } else {
            let bytes: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            text.push('&');
            text.push_str(&UTF7.encode(bytes));
            text.push('-');
        }
        rest = after;
    }
    text
}

/// A folder's name out of IMAP's modified UTF-7; as it is, if it is none.
fn decoded(name: &str) -> String {
    try_decoded(name).unwrap_or_else(|| name.to_owned())
}

fn try_decoded(name: &str) -> Option<String> {
    let (mut text, mut rest) = (String::with_capacity(name.len()), name);
    while let Some((plain, shifted)) = rest.split_once('&') {
        let (code, after) = shifted.split_once('-')?;
        text.push_str(plain);
        rest = after;
        if code.is_empty() {
            text.push('&');
            continue;
        }
        let bytes = UTF7.decode(code).ok().filter(|bytes| bytes.len() % 2 == 0)?;
        let units: Vec<_> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        text.push_str(&String::from_utf16(&units).ok()?);
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_encoded_as_imap_has_them() {
        assert_eq!(encoded("Cơ quan/2026 & R"), "C&AaE- quan/2026 &- R");
        assert_eq!(encoded("Của An"), "C&Huc-a An");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in "[ -~éơ😀]{0,12}") {
            prop_assert_eq!(decoded(&encoded(&name)), name);
        }
    }
}

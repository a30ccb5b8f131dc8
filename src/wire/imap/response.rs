//! What an IMAP server says, as far as we ask.
//!
//! One whole response comes in, a [`Response`] goes out, or nothing if it is none.

use bytes::{BufMut, Bytes, BytesMut};

/// How a command ended, or what an untagged status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It was done.
    Ok,
    /// It was refused.
    No,
    /// It was not understood.
    Bad,
    /// The server closes the connection.
    Bye,
    /// The connection needs no authentication.
    Preauth,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The command of this tag has ended.
    Done {
        /// The tag's number.
        tag: usize,
        /// How it ended.
        condition: Condition,
        /// Response code and human-readable text.
        text: Bytes,
    },
    /// An untagged status: the greeting, a warning, the end.
    Notice {
        /// Its kind.
        condition: Condition,
        /// Response code and human-readable text.
        text: Bytes,
    },
    /// A mailbox, as `LIST` tells it.
    List {
        /// Its name, unquoted.
        name: Bytes,
    },
    /// A quota root.
    Quota {
        /// Its name, unquoted.
        root: Bytes,
        /// The limit of `STORAGE` in KiB, if there is one.
        storage: Option<u64>,
        /// How much of it is used, in KiB.
        used: Option<u64>,
    },
    /// What a mailbox, or with an empty name the server, is annotated with (RFC 5464).
    Metadata {
        /// The mailbox's name, unquoted.
        name: Bytes,
        /// Values by entry; none where there is none.
        values: Vec<(Bytes, Option<Bytes>)>,
    },
    /// Who may do what with a mailbox (RFC 4314).
    Acl {
        /// The mailbox's name, unquoted.
        name: Bytes,
        /// Rights by identifier.
        rights: Vec<(Bytes, Bytes)>,
    },
    /// Something nobody asked for.
    Other,
}

/// The number of bytes that follow a line which ends in `{number}`.
pub(super) fn literal_length(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    number(&line[open + 1..]).and_then(|length| usize::try_from(length).ok())
}

/// Statuses end in free text, where braces mean nothing.
pub(super) fn may_hold_literals(response: &[u8]) -> bool {
    response.strip_prefix(b"* ").is_some_and(|rest| condition(word(rest)).is_none())
}

/// Reads a response without its last line end.
pub(super) fn parse(response: &Bytes) -> Option<Response> {
    let Some(rest) = response.strip_prefix(b"* ") else {
        if response.starts_with(b"+") {
            return Some(Response::Other);
        }
        let (tag, rest) = (word(response), after_word(response));
        let tag = number(tag.strip_prefix(b"a")?)?.try_into().ok()?;
        let text = response.slice_ref(after_word(rest));
        return Some(Response::Done { tag, condition: condition(word(rest))?, text });
    };
    let verb = word(rest);
    if let Some(condition) = condition(verb) {
        return Some(Response::Notice { condition, text: response.slice_ref(after_word(rest)) });
    }
    let mut cursor = Cursor(after_word(rest));
    match verb.to_ascii_uppercase().as_slice() {
        b"LIST" => {
            cursor.list()?;
            cursor.string()?;
            Some(Response::List { name: cursor.string()? })
        }
        b"QUOTA" => {
            let (root, resources) = (cursor.string()?, cursor.list()?);
            // Each is a resource, its usage and its limit.
            let (triples, []) = resources.as_chunks::<3>() else { return None };
            let (used, storage) =
                match triples.iter().find(|[name, ..]| name.eq_ignore_ascii_case(b"STORAGE")) {
                    Some([_, used, limit]) => (Some(number(used)?), Some(number(limit)?)),
                    None => (None, None),
                };
            Some(Response::Quota { root, storage, used })
        }
        b"METADATA" => {
            let name = cursor.string()?;
            let values = cursor.values()?;
            Some(Response::Metadata { name, values })
        }
        b"ACL" => {
            let name = cursor.string()?;
            Some(Response::Acl { name, rights: cursor.pairs()? })
        }
        _ => Some(Response::Other),
    }
}

fn condition(word: &[u8]) -> Option<Condition> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Condition::Ok,
        b"NO" => Condition::No,
        b"BAD" => Condition::Bad,
        b"BYE" => Condition::Bye,
        b"PREAUTH" => Condition::Preauth,
        _ => return None,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

fn word(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b' ').next().unwrap_or_default()
}

fn after_word(text: &[u8]) -> &[u8] {
    text.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// Reads strings and flat lists, each with the space behind it.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn string(&mut self) -> Option<Bytes> {
        let value = match self.0.first()? {
            b'"' => self.quoted()?,
            b'{' => self.literal()?,
            _ => self.atom()?,
        };
        self.0 = self.0.strip_prefix(b" ").unwrap_or(self.0);
        Some(value)
    }

    fn list(&mut self) -> Option<Vec<Bytes>> {
        self.0 = self.0.strip_prefix(b"(")?;
        let mut values = Vec::new();
        while *self.0.first()? != b')' {
            values.push(self.string()?);
        }
        self.0 = &self.0[1..];
        self.0 = self.0.strip_prefix(b" ").unwrap_or(self.0);
        Some(values)
    }

    /// All that is left, two by two.
    fn pairs(&mut self) -> Option<Vec<(Bytes, Bytes)>> {
        let mut pairs = Vec::new();
        while !self.0.is_empty() {
            pairs.push((self.string()?, self.string()?));
        }
        Some(pairs)
    }

    /// Pairs of an entry and its value, where `NIL` without quotes is none.
    fn values(&mut self) -> Option<Vec<(Bytes, Option<Bytes>)>> {
        self.0 = self.0.strip_prefix(b"(")?;
        let mut values = Vec::new();
        while *self.0.first()? != b')' {
            let entry = self.string()?;
            let nil = self.0.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"NIL"));
            let value = self.string()?;
            values.push((entry, (!nil).then_some(value)));
        }
        Some(values)
    }

    fn quoted(&mut self) -> Option<Bytes> {
        let (mut value, mut bytes) = (BytesMut::new(), self.0.iter().enumerate().skip(1));
        loop {
            match bytes.next()? {
                (at, b'"') => {
                    self.0 = &self.0[at + 1..];
                    return Some(value.freeze());
                }
                (_, b'\\') => value.put_u8(*bytes.next()?.1),
                (_, byte) => value.put_u8(*byte),
            }
        }
    }

    fn literal(&mut self) -> Option<Bytes> {
        let end = self.0.windows(2).position(|pair| pair == b"\r\n")?;
        let (value, rest) = self.0[end + 2..].split_at_checked(literal_length(&self.0[..end])?)?;
        self.0 = rest;
        Some(Bytes::copy_from_slice(value))
    }

    fn atom(&mut self) -> Option<Bytes> {
        let end = self.0.iter().position(|byte| matches!(byte, b' ' | b'(' | b')')).unwrap_or(self.0.len());
        let (value, rest) = self.0.split_at(end);
        self.0 = rest;
        (end > 0).then(|| Bytes::copy_from_slice(value))
    }
}

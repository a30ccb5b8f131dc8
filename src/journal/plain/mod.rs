//! What a segment says, before encryption: entries of an envelope and a message, with checksums.
//!
//! Values go in, bytes come out, and the other way round, as streams: no more of a message is held than the caller gives
//! or takes at once. Envelopes are bytes and never turned into text. See `docs/journal.md` for the format.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use decode::{Decoder, PlainError};
pub use encode::{EncodeError, encode, length};

/// The format that is written. Readers refuse any other.
pub const VERSION: u64 = 1;
/// The longest value in an envelope: SMTP's longest line is far below.
pub const MAX_VALUE: usize = 8192;
/// The most recipients of one entry.
pub const MAX_RECIPIENTS: usize = 65_536;

/// Names an accepted message for good: the header `Journal-Id` and the journal carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId([u8; 16]);

impl JournalId {
    /// An id that begins with the time (Unix milliseconds), so that ids sort as they were made. The random part must not be
    /// guessable: whoever knows the id of a message can make a store take another for a repetition of it.
    #[must_use]
    pub fn new(millis: u64, random: [u8; 10]) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random);
        Self(id)
    }

    /// When it was made: Unix time in milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.0[..6].iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte))
    }

    /// Reads what [`fmt::Display`] writes: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Some(Self(unhex(text)?))
    }
}

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which segment: the gateway that wrote it, and its number there. Numbers begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    gateway: String,
    number: u64,
}

impl Name {
    /// A name, if `gateway` is one of a pod (lower-case letters, digits, `-` and `.`, at most 253) and `number` is not zero.
    #[must_use]
    pub fn new(gateway: &str, number: u64) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let ok = number > 0 && !gateway.is_empty() && gateway.len() <= 253 && gateway.bytes().all(fits);
        ok.then(|| Self { gateway: gateway.to_owned(), number })
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (gateway, file) = text.split_once('/')?;
        let digits =
            file.strip_suffix(".age").filter(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()))?;
        Self::new(gateway, digits.parse().ok()?)
    }

    /// The gateway's pod.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for Name {
    /// `GATEWAY/NUMBER.age`, with twenty digits, so that names sort like numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:020}.age", self.gateway, self.number)
    }
}

/// What is known of a message besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub id: JournalId,
    /// When the gateway had all of it: Unix time in milliseconds.
    pub received: u64,
    /// Who logged in to send it, if anybody did.
    pub login: Option<Vec<u8>>,
    /// The envelope's sender, without angle brackets; empty for bounces.
    pub sender: Vec<u8>,
    /// The envelope's recipients, at least one.
    pub recipients: Vec<Vec<u8>>,
}

/// A message as it is journalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is known of it.
    pub head: Head,
    /// Header, empty line and body in pieces, lines ending in CR LF.
    pub message: Vec<Bytes>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
        text
    })
}

pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

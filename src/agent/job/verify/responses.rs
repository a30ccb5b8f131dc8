//! What Cyrus answers while it is read: responses of IMAP, in which a message is not kept but summed as it comes, since one
//! may be larger than our memory. Bytes in, typed values out.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{
    backup::manifest::Guid,
    wire::imap::{Codec, Command, Error, MAX_RESPONSE, Response},
};

/// What comes before a message.
const BODY: &[u8] = b"BODY[] ";

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// All of it with its line end, but for the message.
    raw: Bytes,
    /// The digest of the message.
    body: Option<Guid>,
}

/// A message that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its UID.
    pub uid: u32,
    /// Its flags.
    pub flags: Vec<String>,
    /// The digest of what came; none if nothing did.
    pub guid: Option<Guid>,
}

impl Answer {
    /// What it says, if it is none of those below.
    ///
    /// # Errors
    /// It is no response.
    pub fn response(&self) -> Result<Response, Error> {
        // Without its message it cannot be read to its end.
        if self.body.is_some() {
            return Ok(Response::Other);
        }
        Codec.decode(&mut BytesMut::from(&self.raw[..]))?.ok_or(Error::Malformed)
    }

    /// How many messages a folder has.
    #[must_use]
    pub fn exists(&self) -> Option<u32> {
        number(self.raw.strip_prefix(b"* ")?.strip_suffix(b" EXISTS\r\n")?)
    }

    /// Whether it names a folder that is one, and not only the place of others.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        let attributes = self.raw.split(|byte| *byte == b')').next().unwrap_or_default();
        let has =
            |word: &[u8]| attributes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
        self.raw.starts_with(b"* LIST (") && !has(b"\\Noselect") && !has(b"\\NonExistent")
    }

    /// A message that was fetched.
    #[must_use]
    pub fn fetched(&self) -> Option<Fetched> {
        let rest = self.raw.strip_prefix(b"* ")?;
        let at = rest.iter().position(|byte| *byte == b' ')?;
        let mut rest = rest[at..].strip_prefix(b" FETCH (")?;
        let (mut uid, mut flags) = (None, Vec::new());
        while !rest.is_empty() {
            let (word, after) = split(rest);
            rest = after;
            match word {
                b"UID" => {
                    let (value, after) = split(rest);
                    uid = Some(number(value)?);
                    rest = after;
                }
                b"FLAGS" => {
                    let end = rest.iter().position(|byte| *byte == b')')?;
                    let names = rest.get(1..end)?.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
                    flags = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
                    rest = rest.get(end + 1..)?.trim_ascii_start();
                }
                _ => {}
            }
        }
        Some(Fetched { uid: uid?, flags, guid: self.body })
    }
}

/// The value that a status says of `name`: `[UIDVALIDITY 7]`, `[MAILBOXID (8f1c)]`.
#[must_use]
pub fn coded<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    let code = text.strip_prefix(b"[")?.split(|byte| *byte == b']').next()?;
    let value = std::str::from_utf8(code).ok()?.strip_prefix(name)?.strip_prefix(' ')?;
    Some(value.strip_prefix('(').and_then(|value| value.strip_suffix(')')).unwrap_or(value))
}

/// The first word, without what ends it, and what follows.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b')')).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Reads answers, and writes commands as [`Codec`] does.
#[derive(Default)]
pub struct Reading {
    raw: BytesMut,
    literal: Option<Literal>,
    body: Option<Guid>,
}

struct Literal {
    left: u64,
    /// For a message.
    sum: Option<Context>,
}

impl Encoder<(usize, Command)> for Reading {
    type Error = Error;

    fn encode(&mut self, command: (usize, Command), dst: &mut BytesMut) -> Result<(), Error> {
        Codec.encode(command, dst)
    }
}

impl Decoder for Reading {
    type Item = Answer;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Answer>, Error> {
        loop {
            if let Some(literal) = &mut self.literal {
                let count = usize::try_from(literal.left).unwrap_or(usize::MAX).min(src.len());
                match &mut literal.sum {
                    Some(sum) => sum.update(&src[..count]),
                    None => self.raw.extend_from_slice(&src[..count]),
                }
                src.advance(count);
                literal.left -= count as u64;
                if literal.left > 0 {
                    return Ok(None);
                }
                let sum = self.literal.take().and_then(|literal| literal.sum);
                self.body = sum.and_then(|sum| sum.finish().as_ref().try_into().ok().map(Guid)).or(self.body);
            }
            let end = src.windows(2).position(|pair| pair == b"\r\n");
            if self.raw.len() + end.unwrap_or(src.len()) > MAX_RESPONSE {
                return Err(Error::TooLong);
            }
            let Some(end) = end else { return Ok(None) };
            let line = src.split_to(end + 2);
            self.literal = self.literal_after(&line[..end])?;
            self.raw.extend_from_slice(&line);
            if self.literal.is_none() {
                return Ok(Some(Answer { raw: self.raw.split().freeze(), body: self.body.take() }));
            }
        }
    }
}

impl Reading {
    /// The literal that follows this line.
    fn literal_after(&self, line: &[u8]) -> Result<Option<Literal>, Error> {
        let start = if self.raw.is_empty() { line } else { &self.raw };
        let kind = start.strip_prefix(b"* ").map(<[u8]>::trim_ascii_start);
        // Statuses end in words, where braces mean nothing.
        let may = kind
            .is_some_and(|rest| rest.starts_with(b"LIST ") || rest.first().is_some_and(u8::is_ascii_digit));
        let Some(open) = line.iter().rposition(|byte| *byte == b'{').filter(|_| may) else { return Ok(None) };
        let Some(left) = line[open + 1..].strip_suffix(b"}").and_then(number::<u64>) else { return Ok(None) };
        let sum = line[..open].ends_with(BODY).then(|| Context::new(&SHA1_FOR_LEGACY_USE_ONLY));
        if sum.is_none() && left > MAX_RESPONSE as u64 {
            return Err(Error::TooLong);
        }
        Ok(Some(Literal { left, sum }))
    }
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod tests;

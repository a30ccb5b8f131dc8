//! Bytes to entries. No input makes it panic, hold more than one envelope, or read a message without checking it.

use std::io::{self, BufRead, Read, Write};

use sha2::{Digest, Sha256};

use super::{Head, JournalId, MAX_RECIPIENTS, MAX_VALUE, Name, VERSION, unhex};

/// The longest line: a key, a blank, a value, a line break.
const MAX_LINE: usize = MAX_VALUE + 16;
/// The most bytes of all values of one envelope.
const MAX_HEAD: usize = 16 << 20;

/// What is wrong with a segment's content.
#[derive(Debug, thiserror::Error)]
pub enum PlainError {
    /// It does not begin like a segment.
    #[error("this is no segment of a journal")]
    NotASegment,
    /// It was written by a later release.
    #[error("it has format {0}, this release reads format {VERSION}: read it with a later release")]
    Newer(u64),
    /// It ends before its end.
    #[error("it is truncated")]
    Truncated,
    /// A checksum does not fit.
    #[error("it was altered: the checksum of {0} does not fit")]
    Checksum(&'static str),
    /// It does not follow the format.
    #[error("it does not follow the format: {0}")]
    Malformed(&'static str),
    /// The input failed.
    #[error(transparent)]
    Input(#[from] io::Error),
}

/// Reads a segment entry by entry: [`Decoder::head`], then [`Decoder::message`], until there is no more head.
pub struct Decoder<R> {
    input: Summing<R>,
    name: Name,
    /// Length and checksum of the message that comes next.
    message: Option<(u64, [u8; 32])>,
    entries: u64,
    ended: bool,
}

impl<R: BufRead> Decoder<R> {
    /// Reads the title.
    ///
    /// # Errors
    /// It is no segment of this format.
    pub fn new(input: R) -> Result<Self, PlainError> {
        let mut input = Summing { input, sum: Sha256::new() };
        let line = match input.line() {
            Err(PlainError::Malformed(_)) => return Err(PlainError::NotASegment),
            line => line?,
        };
        let words = line.strip_prefix(b"mail-journal ").ok_or(PlainError::NotASegment)?;
        let words = std::str::from_utf8(words).map_err(|_| PlainError::NotASegment)?;
        let mut words = words.split(' ');
        let version = words.next().and_then(number).ok_or(PlainError::NotASegment)?;
        if version != VERSION {
            return Err(PlainError::Newer(version));
        }
        let name = match (words.next(), words.next().and_then(number), words.next()) {
            (Some(gateway), Some(number), None) => Name::new(gateway, number),
            _ => None,
        };
        let name = name.ok_or(PlainError::Malformed("the title"))?;
        Ok(Self { input, name, message: None, entries: 0, ended: false })
    }

    /// Which segment it says it is.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The next entry's envelope; none after the last, once the trailer was checked. What is left of the message before is
    /// read and checked first.
    ///
    /// # Errors
    /// The segment is damaged.
    pub fn head(&mut self) -> Result<Option<Head>, PlainError> {
        self.message(&mut io::sink())?;
        if self.ended {
            return Ok(None);
        }
        let before = self.input.sum.clone();
        let line = self.input.line()?;
        if let Some(end) = line.strip_prefix(b"end ") {
            self.end(end, &before.finalize().into())?;
            return Ok(None);
        }
        let id =
            line.strip_prefix(b"entry ").and_then(JournalId::parse).ok_or(PlainError::Malformed("an id"))?;
        let head = self.envelope(id)?;
        self.entries += 1;
        Ok(Some(head))
    }

    /// Writes the message that belongs to the last head, and checks it. Until this returns, nothing of it is certain.
    ///
    /// # Errors
    /// The segment is damaged, or the output fails.
    pub fn message(&mut self, output: &mut impl Write) -> Result<(), PlainError> {
        let Some((length, expected)) = self.message.take() else { return Ok(()) };
        let (mut sum, mut left) = (Sha256::new(), length);
        while left > 0 {
            let piece = self.input.input.fill_buf()?;
            if piece.is_empty() {
                return Err(PlainError::Truncated);
            }
            let piece = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            output.write_all(piece)?;
            sum.update(piece);
            self.input.sum.update(piece);
            let taken = piece.len();
            left -= taken as u64;
            self.input.input.consume(taken);
        }
        if sum.finalize()[..] != expected {
            return Err(PlainError::Checksum("a message"));
        }
        if self.input.line()?.is_empty() {
            Ok(())
        } else {
            Err(PlainError::Malformed("the end of a message"))
        }
    }

    fn envelope(&mut self, id: JournalId) -> Result<Head, PlainError> {
        let received = self.value(b"received ").and_then(|v| text_number(&v, "a time"))?;
        let (mut login, mut sender, mut recipients) = (None, None, Vec::new());
        let mut held = 0;
        loop {
            let line = self.input.line()?;
            let at = line.iter().position(|b| *b == b' ').ok_or(PlainError::Malformed("an envelope"))?;
            let (key, value) = (&line[..at], &line[at + 1..]);
            held += value.len();
            let room = held <= MAX_HEAD
                && recipients.len() < MAX_RECIPIENTS
                && value.len() <= MAX_VALUE
                && !value.contains(&b'\r');
            match key {
                b"login" if login.is_none() && sender.is_none() && room => login = Some(value.to_vec()),
                b"sender" if sender.is_none() && room => sender = Some(value.to_vec()),
                b"recipient" if sender.is_some() && room => recipients.push(value.to_vec()),
                b"message" if !recipients.is_empty() => {
                    self.message = Some(message_line(value)?);
                    let sender = sender.ok_or(PlainError::Malformed("an envelope"))?;
                    return Ok(Head { id, received, login, sender, recipients });
                }
                _ => return Err(PlainError::Malformed("an envelope")),
            }
        }
    }

    fn value(&mut self, key: &[u8]) -> Result<Vec<u8>, PlainError> {
        let line = self.input.line()?;
        line.strip_prefix(key).map(<[u8]>::to_vec).ok_or(PlainError::Malformed("an envelope"))
    }

    fn end(&mut self, line: &[u8], sum: &[u8; 32]) -> Result<(), PlainError> {
        let wrong = PlainError::Malformed("the trailer");
        let (count, expected) = split(line).ok_or(PlainError::Malformed("the trailer"))?;
        let expected: [u8; 32] = unhex(expected).ok_or(wrong)?;
        if *sum != expected {
            return Err(PlainError::Checksum("the segment"));
        }
        if text_number(count, "the trailer")? != self.entries || !self.input.input.fill_buf()?.is_empty() {
            return Err(PlainError::Malformed("the trailer"));
        }
        self.ended = true;
        Ok(())
    }
}

fn message_line(value: &[u8]) -> Result<(u64, [u8; 32]), PlainError> {
    let wrong = PlainError::Malformed("a message's length and checksum");
    let (length, sum) = split(value).ok_or(PlainError::Malformed("a message's length and checksum"))?;
    Ok((text_number(length, "a message's length")?, unhex(sum).ok_or(wrong)?))
}

fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|b| *b == b' ')?;
    Some((&value[..at], &value[at + 1..]))
}

fn text_number(text: &[u8], what: &'static str) -> Result<u64, PlainError> {
    std::str::from_utf8(text).ok().and_then(number).ok_or(PlainError::Malformed(what))
}

/// As [`u64`] writes it: no sign, no leading zero.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

struct Summing<R> {
    input: R,
    sum: Sha256,
}

impl<R: BufRead> Summing<R> {
    /// A line without its end.
    fn line(&mut self) -> Result<Vec<u8>, PlainError> {
        let mut line = Vec::new();
        let limit = MAX_LINE as u64;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut line)?;
        self.sum.update(&line);
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ if read as u64 == limit => Err(PlainError::Malformed("a line is too long")),
            _ => Err(PlainError::Truncated),
        }
    }
}

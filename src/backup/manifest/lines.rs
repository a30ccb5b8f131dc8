//! JSON lines in zstd, of which the last has the checksum of all before it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::ReadError;
use crate::journal::plain::hex;

/// Fixed, as all that decides the bytes: what did not change has to be the same file.
const LEVEL: i32 = 3;
/// Lines are shorter, by far.
const LONGEST: u64 = 1 << 20;

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End<C> {
    end: C,
    sha256: String,
}

/// Writes them.
pub(super) struct Lines<W: Write> {
    out: zstd::Encoder<'static, W>,
    sum: Sha256,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        Ok(Self { out, sum: Sha256::new(), line: Vec::new() })
    }

    pub(super) fn put(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.sum.update(&self.line);
        self.out.write_all(&self.line)
    }

    pub(super) fn finish(mut self, counts: &impl Serialize) -> io::Result<W> {
        let sha256 = hex(&self.sum.clone().finalize());
        self.put(&End { end: counts, sha256 })?;
        self.out.finish()
    }
}

/// Reads them.
pub(super) struct Source<R: Read> {
    input: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    sum: Sha256,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Result<Self, ReadError> {
        let input = BufReader::new(zstd::Decoder::new(input)?);
        Ok(Self { input, sum: Sha256::new(), line: Vec::new(), number: 0 })
    }

    /// The next line, or the checked end if its counts are `counts`.
    pub(super) fn next<C: DeserializeOwned + PartialEq>(
        &mut self,
        counts: &C,
    ) -> Result<Option<&[u8]>, ReadError> {
        self.read()?;
        if !self.line.starts_with(b"{\"end\"") {
            self.sum.update(&self.line);
            return Ok(Some(&self.line));
        }
        let end: End<C> = self.parse()?;
        if end.sha256 != hex(&self.sum.clone().finalize()) {
            return Err(self.damaged("the checksum does not hold"));
        }
        if end.end != *counts {
            return Err(self.damaged("it holds other numbers than it says"));
        }
        match self.input.fill_buf().map_err(cut_off)? {
            [] => Ok(None),
            _ => Err(self.damaged("something follows the end")),
        }
    }

    /// What the line says that was read last.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        serde_json::from_slice(&self.line).map_err(|error| self.damaged(&error.to_string()))
    }

    pub(super) fn damaged(&self, why: &str) -> ReadError {
        ReadError::Damaged(self.number, why.to_owned())
    }

    fn read(&mut self) -> Result<(), ReadError> {
        self.line.clear();
        self.number += 1;
        self.input.by_ref().take(LONGEST).read_until(b'\n', &mut self.line).map_err(cut_off)?;
        match self.line.last() {
            Some(b'\n') => Ok(()),
            Some(_) if self.line.len() as u64 == LONGEST => Err(self.damaged("it is too long")),
            _ => Err(ReadError::Truncated),
        }
    }
}

fn cut_off(error: io::Error) -> ReadError {
    match error.kind() {
        ErrorKind::UnexpectedEof => ReadError::Truncated,
        _ => ReadError::Io(error),
    }
}

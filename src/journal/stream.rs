//! What stands below and above age's streams.

use std::{
    io::{self, BufRead, ErrorKind, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};

/// The chunks into which age divides content, each with a tag of [`TAG`] bytes.
pub const CHUNK: u64 = 64 << 10;
/// What each chunk is longer by when it is encrypted.
pub const TAG: u64 = 16;
/// A piece of a sealed segment is about as long as one of age's chunks.
const PIECE: usize = 66_000;

/// Input of known length: age cannot tell a last chunk that was cut off from one that was altered.
pub struct Measured<R> {
    pub input: R,
    /// What must still come; [`UNKNOWN`] while the header is read.
    pub left: Arc<AtomicU64>,
}

/// Nothing is known of the length yet.
pub const UNKNOWN: u64 = u64::MAX;

impl<R> Measured<R> {
    fn came(&self, count: usize) {
        let left = self.left.load(Ordering::Relaxed);
        if left != UNKNOWN {
            self.left.store(left.saturating_sub(count as u64), Ordering::Relaxed);
        }
    }

    fn end_is_early(&self) -> bool {
        !matches!(self.left.load(Ordering::Relaxed), 0 | UNKNOWN)
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if count == 0 && !buffer.is_empty() && self.end_is_early() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.came(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Measured<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.came(count);
        self.input.consume(count);
    }
}

/// Collects output in pieces of the sizes in which it comes, never copying what it has.
#[derive(Default)]
pub struct Pieces {
    full: Vec<Bytes>,
    last: BytesMut,
}

impl Pieces {
    pub fn finish(mut self) -> Vec<Bytes> {
        self.full.push(self.last.freeze());
        self.full
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() + bytes.len() > PIECE {
            self.full.push(std::mem::take(&mut self.last).freeze());
        }
        self.last.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

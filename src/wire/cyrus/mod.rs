//! Cyrus' own files, as far as we read them: `cyrus.index`, `cyrus.cache` and `cyrus.header` of a folder. IMAP hides messages that were
//! expunged, and takes ten times as long.
//!
//! Bytes come in, typed values go out. Nothing is written. Whoever reads while Cyrus writes may get halves: every piece has
//! a checksum, and one that fails is [`Error::Torn`], to be read again.

mod cache;
mod header;
mod index;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use cache::cached_headers;
pub use header::{FolderHeader, Label, Place};
pub use index::{FLAGS, HEADER, Header, Index, RECORD, Record};

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A checksum does not hold, or the end is missing: Cyrus is writing, or the file is damaged.
    #[error("a part of it is being written, or damaged")]
    Torn,
    /// Another release of Cyrus wrote it.
    #[error("it has version {0}, which is not known")]
    Version(u32),
}

/// A number at an offset.
fn number(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).ok_or(Error::Torn)?;
    Ok(u32::from_be_bytes(four))
}

/// Checks the checksum that follows `bytes[..end]`.
fn checked(bytes: &[u8], end: usize) -> Result<(), Error> {
    let sum = number(bytes, end)?;
    if crc32fast::hash(&bytes[..end]) == sum { Ok(()) } else { Err(Error::Torn) }
}

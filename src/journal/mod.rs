//! The journal's format: segments of entries (envelope and message), in which accepted mail is kept in object storage.
//!
//! ```text
//!  entries ──▶ plain (text, checksums) ──▶ sealed (age, with a label) ──▶ bytes, and back
//! ```
//!
//! Nothing here knows object storage or files. The format is in `docs/journal.md`; the stock tool `age` opens a segment.

mod label;
pub mod plain;
pub mod sealed;
mod stream;
#[cfg(test)]
mod tests;

pub use plain::{Entry, Head, JournalId, Name};
pub use sealed::{Fault, SealError, Segment, SegmentError, seal};

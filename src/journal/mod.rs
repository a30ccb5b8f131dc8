//! The journal: segments of entries (envelope and message), in which accepted mail is kept in object storage.
//!
//! ```text
//!  entries ──▶ plain (text, checksums) ──▶ sealed (age, with a label) ──▶ bytes, and back
//!  writer ── batches ──▶ seal ──▶ storage (S3) or the backlog on a volume
//! ```
//!
//! [`plain`] and [`sealed`] are pure: they know neither object storage nor files. The format is in `docs/journal.md`; the
//! stock tool `age` opens a segment.

mod label;
mod listing;
pub mod plain;
pub mod sealed;
pub mod storage;
mod stream;
#[cfg(test)]
mod tests;
pub mod writer;

pub use listing::{Listed, Page};
pub use plain::{Entry, Head, JournalId, Name};
pub use sealed::{Fault, SealError, Segment, SegmentError, seal};

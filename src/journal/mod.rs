//! The journal: segments of entries (envelope and message), in which accepted mail is kept in object storage.
//!
//! ```text
//!  entries ──▶ plain (text, checksums) ──▶ sealed (age, with a label) ──▶ bytes, and back
//!  writer ── batches ──▶ seal ──▶ storage (S3) or the backlog on a volume
//!  Postfix' log ──▶ ledger (what is still open) ──▶ completion (what became of it) ──▶ seal ──▶ storage
//! ```
//!
//! [`plain`], [`sealed`], [`completion`], [`ledger`] and [`retention`] are pure: they know neither object storage nor files. The format is in `docs/journal.md`; the
//! stock tool `age` opens a segment.

mod as_text;
pub mod completion;
mod label;
pub mod ledger;
mod listing;
pub mod plain;
pub mod retention;
pub mod sealed;
pub mod storage;
mod stream;
#[cfg(test)]
mod tests;
pub mod writer;

pub use listing::{Listed, Page};
pub use plain::{Entry, Head, JournalId, Name};
pub use sealed::{Fault, SealError, Segment, SegmentError, seal};

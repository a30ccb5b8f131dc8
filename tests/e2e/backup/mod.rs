//! Backups: they are made while mail goes on, proven by restoring them, and mail comes back from them.
//!
//! Repositories are in the tests' S3 server, each under a prefix of its own.

mod bad;
mod damage;
mod recovery;
mod restores;
mod runs;
mod vault;

use std::time::Duration;

/// Longest wait for a run, a proof or a restore to end.
const LONG: Duration = Duration::from_mins(10);

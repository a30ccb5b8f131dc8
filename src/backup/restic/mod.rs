//! Stock restic, driven as a process.
//!
//! ```text
//!  Repository, Task ──▶ command, environment ──▶ process ──▶ lines ──▶ message ──▶ outcome (one reason)
//! ```
//!
//! [`command`], [`message`], [`outcome`] and [`stall`] are pure; only `process` and `storage` do anything. Snapshots are named by
//! their whole id, never as `latest`: when the newest is lost, that means an older one. What restic passes over in silence
//! (a folder that is not there, an id that is not known, a path without a match) is an error here.

pub mod command;
mod environment;
mod group;
pub mod message;
pub mod outcome;
mod process;
pub mod stall;
mod steps;
mod storage;
mod words;

use std::{fmt, path::PathBuf, time::Duration};

use crate::journal::storage::Location;

pub use self::{
    command::{Backup, Restore, Subset, Task},
    message::{Item, Progress, Summary},
    outcome::{Failure, Reason},
    process::Control,
    steps::{BackupRun, CheckReport, Size, Snapshot},
};

/// The id of a snapshot, whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Reads one: 64 hexadecimal digits, and nothing that restic would look up by.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..8).unwrap_or_default())
    }
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a folder of a volume.
    Folder(PathBuf),
    /// In object storage. The folder has the credentials' files, named as in [`keys`](crate::journal::storage::keys).
    Bucket(Location, PathBuf),
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Where it is.
    pub place: Place,
    /// The file with its password. It is given to restic as a file, so that no process list shows it.
    pub password: PathBuf,
}

/// How restic runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The program.
    pub program: PathBuf,
    /// Where it keeps what it knows of repositories.
    pub cache: PathBuf,
    /// Where it writes packs before they are stored. It has to be there.
    pub temporary: PathBuf,
    /// `GOGC`: at 20 it takes two thirds of the memory of its usual 100, and a little more time.
    pub gogc: u32,
    /// `GOMAXPROCS`.
    pub processors: u32,
    /// A run that makes no progress for so long is ended: restic itself would try for 15 minutes.
    pub stall: Duration,
    /// How long it may take to remove its lock when it is asked to end, before it is killed.
    pub grace: Duration,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            program: "restic".into(),
            cache: "/var/cache/restic".into(),
            temporary: "/tmp".into(),
            gogc: 20,
            processors: 2,
            stall: Duration::from_mins(2),
            grace: Duration::from_secs(10),
        }
    }
}

/// Restic on a repository.
#[derive(Clone, Debug)]
pub struct Restic {
    /// On which.
    pub repository: Repository,
    /// How.
    pub engine: Engine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_names_a_snapshot() {
        let id = "7e5cf4d589dc133c03b2b7c0c9fd79bb084bae6ba464734e6337f6ae5f2e262b";
        assert_eq!(SnapshotId::parse(id).unwrap().as_str(), id);
        for text in ["latest", "", "7e5cf4d5", &id[1..], &id.to_uppercase(), &format!("{id}:/spool")] {
            assert_eq!(SnapshotId::parse(text), None, "{text}");
        }
    }
}

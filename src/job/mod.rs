//! What the operator and the pods of its Jobs say to each other. Pure.
//!
//! ```text
//!  operator ──environment: Work (JSON)──▶ `mail-agent job` ──lines of its log: Said (JSON)──▶ operator
//! ```
//!
//! A Job works on the repository of one shard. Its log has a line `{"said":{"progress":…}}` now and then, and at the end one
//! line `{"said":{"done":…}}`: a log of a pod that ended can be read as long as the pod is there, also by an operator that was
//! away meanwhile. Without that line a Job did not do its work, whatever its exit code.

mod backup;
pub mod objects;
mod repository;
mod restore;
mod verify;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{
    backup::{BackupDone, BackupWork, Selected},
    objects::{ObjectsDone, ObjectsWork},
    repository::{MaintainDone, MaintainWork, Place, Repository, Stored},
    restore::{LOGIN, RestoreDone, RestoreWork, Stores},
    verify::{Counted, VerifyDone, VerifyWork},
};

/// The environment variable with the [`Work`].
pub const WORK: &str = "WORK";
/// The folder with the files of the Secret that encrypts the repository; `password` is read.
pub const ENCRYPTION: &str = "/etc/backup/encryption";
/// The folder with the files of the Secret that object storage asks for.
pub const STORAGE: &str = "/etc/backup/storage";
/// Where the volume with repositories is mounted.
pub const REPOSITORY: &str = "/repository";
/// Where a store's volume is mounted.
pub const VOLUME: &str = "/data";
/// Where the Secrets with objects that go along are mounted: each in a folder of its own, named by its number.
pub const OBJECTS: &str = "/objects";
/// Where a volume is mounted that is there only for the Job: restic's cache, and what is restored.
pub const SCRATCH: &str = "/scratch";

/// What a Job is to do.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// Back up a store's volume.
    Backup(BackupWork),
    /// List the snapshots, forget some, and remove what no snapshot needs.
    Maintain(MaintainWork),
    /// Restore a snapshot and read it.
    Verify(VerifyWork),
    /// Bring mail back.
    Restore(RestoreWork),
    /// Print the objects that went along.
    Objects(ObjectsWork),
}

/// How far it is.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// What is done, in a word or two.
    pub phase: String,
    /// Of a hundred.
    pub percent: u32,
    /// Mailboxes so far.
    pub mailboxes: u64,
    /// Messages so far.
    pub messages: u64,
    /// Bytes so far.
    pub bytes: u64,
}

/// Why it was not done.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// In a word: the reason of a condition.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

/// A line of a Job's log.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Said<D> {
    /// It goes on.
    Progress(Progress),
    /// It ended, and this came of it.
    Done(D),
}

#[derive(Serialize, Deserialize)]
struct Wrapped<T> {
    said: T,
}

impl<D: Serialize> Said<D> {
    /// As a line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(&Wrapped { said: self }).unwrap_or_default()
    }
}

/// The latest of what the lines of a log say.
#[must_use]
pub fn latest<D: DeserializeOwned>(log: &str) -> Option<Said<D>> {
    let lines = log.lines().rev().filter(|line| line.starts_with("{\"said\":"));
    lines.filter_map(|line| serde_json::from_str::<Wrapped<Said<D>>>(line).ok()).map(|it| it.said).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_line_that_is_understood_counts() {
        let progress = Said::<u32>::Progress(Progress { percent: 3, ..Progress::default() });
        let log = format!("{}\nsomething else\n", progress.line());
        assert_eq!(latest::<u32>(&log), Some(progress));
        let done = format!("{log}{}\n{{\"said\":torn", Said::Done(7_u32).line());
        assert_eq!(latest::<u32>(&done), Some(Said::Done(7)));
        assert_eq!(latest::<u32>("nothing"), None);
    }
}

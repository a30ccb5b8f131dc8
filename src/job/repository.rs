//! A repository, and keeping it in order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Failed;

/// The repository of one shard.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Where it is.
    pub place: Place,
    /// Namespace and name of the system: snapshots that name another are a reason to stop.
    pub system: String,
    /// The host that snapshots of this shard name: the name of its StatefulSet.
    pub host: String,
}

/// Where a repository is.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// In a bucket; the credentials are in [`STORAGE`](super::STORAGE).
    #[serde(rename_all = "camelCase")]
    Bucket {
        /// Amazon's if absent.
        endpoint: Option<String>,
        /// What requests are signed for.
        region: String,
        /// Its name.
        bucket: String,
        /// What names begin with, of this shard's repository.
        prefix: String,
    },
    /// In this folder below [`REPOSITORY`](super::REPOSITORY).
    Folder(String),
}

/// Order is kept.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaintainWork {
    /// Of which repository.
    pub repository: Repository,
    /// Ids of snapshots that are to be forgotten. What none needs any more is removed then.
    #[serde(default)]
    pub forget: BTreeSet<String>,
    /// Whether all data are read as well.
    #[serde(default)]
    pub read: bool,
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MaintainDone {
    /// All snapshots of this shard, by time.
    pub snapshots: Vec<Stored>,
    /// Bytes that the repository takes, if it was found out.
    pub size: Option<u64>,
    /// Why it was not done to the end.
    pub failed: Option<Failed>,
}

/// A snapshot that is in the repository.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// The run that made it, as its tag says.
    pub run: String,
    /// When it was frozen, as its tag says, else when it was made: Unix time in milliseconds.
    pub frozen: i64,
    /// Mailboxes, as its tag says.
    pub mailboxes: Option<u64>,
    /// Messages, as its tag says.
    pub messages: Option<u64>,
    /// Bytes that the repository grew by.
    pub added: Option<u64>,
    /// Whether it has as many files as its tag says were frozen, and nothing was wrong with the manifest.
    pub complete: bool,
}

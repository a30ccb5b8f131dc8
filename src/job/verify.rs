//! Proving a backup.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Failed, Repository};

/// A snapshot is restored into scratch storage, a Cyrus started on it, and read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerifyWork {
    /// Whence.
    pub repository: Repository,
    /// The snapshot's id.
    pub snapshot: String,
    /// How many of a hundred messages are read over IMAP.
    pub sample_percent: u32,
    /// Decides which.
    pub seed: u64,
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerifyDone {
    /// Why the snapshot is not proven.
    pub failed: Option<Failed>,
    /// Mailboxes with which something is wrong.
    pub mailboxes: BTreeSet<String>,
    /// What was compared.
    pub counted: Counted,
    /// From an empty volume to served mail, in milliseconds.
    pub restored: Option<u64>,
    /// All of it, in milliseconds.
    pub took: u64,
}

/// What was compared.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Mailboxes whose folders and messages were counted over IMAP.
    pub mailboxes: u64,
    /// Messages that the manifest lists.
    pub messages: u64,
    /// Files whose digest was compared with the manifest.
    pub files: u64,
    /// Messages that were read over IMAP and whose digest was compared.
    pub read: u64,
}

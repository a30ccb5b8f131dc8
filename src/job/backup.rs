//! Backing up.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Failed, Repository, Stored};

/// A store's volume is backed up.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupWork {
    /// Whither.
    pub repository: Repository,
    /// Names the run.
    pub run: String,
    /// The shard.
    pub shard: u32,
    /// The pod whose volume it is.
    pub pod: String,
    /// How far it is behind the primary, in milliseconds, when that is known.
    pub lag: Option<u64>,
    /// Whether the repository is made if it is not there.
    pub create: bool,
    /// Ids of snapshots that have to be there.
    pub expected: BTreeSet<String>,
    /// Which mailboxes; all if absent.
    pub mailboxes: Option<Selected>,
    /// Whether there are objects that go along, in [`OBJECTS`](super::OBJECTS).
    pub objects: bool,
}

/// Some mailboxes: those that one of the sets names.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Addresses.
    pub addresses: BTreeSet<String>,
    /// Domains.
    pub domains: BTreeSet<String>,
}

impl Selected {
    /// Whether a mailbox is one of them; what belongs to nobody is not.
    #[must_use]
    pub fn has(&self, mailbox: Option<&str>) -> bool {
        let named = |mailbox: &str| {
            let domain = mailbox.rsplit_once('@').is_some_and(|(_, domain)| self.domains.contains(domain));
            domain || self.addresses.contains(mailbox)
        };
        mailbox.is_some_and(named)
    }
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupDone {
    /// The snapshot, if the backup succeeded.
    pub snapshot: Option<Stored>,
    /// Why it did not.
    pub failed: Option<Failed>,
    /// Ids that were expected and are gone.
    pub vanished: Vec<String>,
    /// Mailboxes with which something is wrong.
    pub lacking: BTreeSet<String>,
    /// How long it took, in milliseconds.
    pub took: u64,
}

//! Bringing mail back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Failed, Repository};

/// The folder with the key of the stores, which signs what a restore asks of them; `peer-key` is read.
pub const LOGIN: &str = "/etc/gateway-login";

/// Mail of one shard's snapshot comes back.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreWork {
    /// Whence.
    pub repository: Repository,
    /// The snapshot's id.
    pub snapshot: String,
    /// Which mailboxes; all if empty.
    pub addresses: BTreeSet<String>,
    /// Which messages of them.
    pub filter: crate::api::restore::Filter,
    /// Where it goes; where it was, if absent.
    pub target: Option<crate::api::restore::Target>,
    /// Only tells what would come back.
    pub dry_run: bool,
    /// The shard whose snapshot it is. Its stores are asked first for each mailbox, for most are still there.
    pub shard: u32,
    /// The stores of each shard.
    pub stores: BTreeMap<u32, Stores>,
}

impl RestoreWork {
    /// The mailbox to which mail of this address comes back.
    #[must_use]
    pub fn target_of<'a>(&'a self, address: &'a str) -> &'a str {
        let target = self.target.as_ref().and_then(|target| target.mailbox.as_deref());
        target.unwrap_or(address)
    }
}

/// The stores of a shard, of which one serves.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// The host name of a pod, with `{pod}` for its number.
    pub host: String,
    /// How many there are.
    pub pods: u32,
    /// The port at which each says what its role is, and takes mail.
    pub port: u16,
}

/// What came of it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreDone {
    /// Why it was not done, or not all.
    pub failure: Option<Failed>,
    /// Messages that were asked for.
    pub found: u64,
    /// Messages that came back, or would.
    pub restored: u64,
    /// Messages that were there already.
    pub skipped: u64,
    /// Messages that did not come back.
    pub failed: u64,
    /// Some of them, or what is near what was asked for.
    pub examples: Vec<String>,
    /// Those of the addresses that the snapshot has, if some were named.
    #[serde(default)]
    pub mailboxes: BTreeSet<String>,
}

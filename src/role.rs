//! What a store's agent says of its role. Gateways ask for it each second and route by it; the operator reads it for
//! status. Values only.
//!
//! `GET /role` at [`ports::ROLE`](crate::names::ports::ROLE) answers a [`Report`] in JSON; it is also the third field of
//! the store's `/status`, `role`. A gateway adds what it knows of the other pod: `?other=<milliseconds since a probe of it
//! was answered>`.

use serde::{Deserialize, Serialize};

/// What a store is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its volume holds nothing of the shard yet, and there is nobody to get it from.
    Unseeded,
    /// It gets the shard's mail from the primary.
    Seeding,
    /// It was primary; what only it has is being carried over to the present primary.
    Returning,
    /// It follows, and lacks something that the primary has acknowledged.
    CatchingUp,
    /// It follows and has everything.
    InSync,
    /// It serves.
    Primary,
    /// It asks for the second vote.
    Electing,
    /// It waits: `message` says for what.
    Waiting,
    /// Its disk or Cyrus does not work, or its volume is not this shard's: `message` says what.
    Failing,
}

/// What the replica lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// For how long there has been something.
    pub seconds: u64,
    /// How many changes of mailboxes wait.
    pub changes: u64,
}

/// How far a long work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Mailboxes done.
    pub done: u64,
    /// Mailboxes in all.
    pub total: u64,
}

/// A takeover by a store that may have lacked acknowledged changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleTakeover {
    /// Of the first changes that may be missing, Unix seconds.
    pub from: u64,
    /// When it took over, Unix seconds.
    pub until: u64,
}

/// What a store's agent says of its role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the pod.
    pub pod: String,
    /// The highest epoch that it served or has followed to its end; 0 for a new volume.
    pub epoch: u64,
    /// It serves clients and takes deliveries.
    pub serving: bool,
    /// What it is doing.
    pub phase: Phase,
    /// The replica has everything: as primary, that this is registered; as replica, that it was told so.
    pub in_sync: bool,
    /// In words, for the on-call; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// As primary, with a replica that follows: what that lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// Of seeding, returning or catching up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// It took over without having everything, in this epoch or an earlier one, and the other store has not followed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_takeover: Option<StaleTakeover>,
}

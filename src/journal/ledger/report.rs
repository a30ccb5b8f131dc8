//! What is told of a ledger.

use serde::{Deserialize, Serialize};

use crate::journal::JournalId;

/// What is told of a gateway's ledger. Times are Unix time in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Since when messages are in the ledger.
    #[serde(default)]
    pub since: u64,
    /// When it was last compared with the queue; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<u64>,
    /// Why it cannot be compared, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the journal has messages of this gateway from before its volume began, so that nothing is known of them.
    /// Absent while object storage has not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<bool>,
    /// How far it is with bringing those back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought_back: Option<Progress>,
    /// Messages that have not come to their end.
    #[serde(default)]
    pub open: u64,
    /// When the oldest of them was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_open: Option<u64>,
    /// Messages that are unaccounted for.
    #[serde(default)]
    pub unaccounted: u64,
    /// When the oldest of them was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unaccounted: Option<u64>,
    /// Whether some messages found no room in the ledger.
    #[serde(default)]
    pub overflow: bool,
    /// Completions that wait for object storage.
    #[serde(default)]
    pub waiting: u64,
}

/// How far somebody is with bringing back what a gateway accepted before its volume began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Messages that were handed over, or had come to their end.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

impl Report {
    /// The same with the figures of a ledger.
    #[must_use]
    pub fn with(self, figures: Figures) -> Self {
        let Figures { open, oldest_open, unaccounted, oldest_unaccounted, overflow } = figures;
        Self { open, oldest_open, unaccounted, oldest_unaccounted, overflow, ..self }
    }
}

/// A message that is unaccounted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaccounted {
    /// Its id in the journal.
    #[serde(with = "crate::journal::as_text")]
    pub id: JournalId,
    /// Under which Postfix had it.
    pub queue_id: String,
    /// When it was accepted: Unix time in milliseconds.
    pub since: u64,
}

/// Figures of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that have not come to their end, in the queue or not.
    pub open: u64,
    /// Of these, the oldest: Unix time in milliseconds.
    pub oldest_open: Option<u64>,
    /// Messages that are unaccounted for.
    pub unaccounted: u64,
    /// Of these, the oldest.
    pub oldest_unaccounted: Option<u64>,
    /// Whether it had no room for some.
    pub overflow: bool,
}

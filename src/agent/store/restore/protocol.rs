//! What the Job of a restore asks of the store that serves, in JSON. Values only.
//!
//! ```text
//!  POST /restore/have     what do you have of this mailbox?
//!  POST /restore/append   a line of JSON, then the messages as they are, one behind the other
//! ```
//!
//! Each names the epoch in which the store serves; in another one nothing is done. A request may come again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use crate::agent::store::{
    back::listing::Flags,
    signed::{Answer, LARGEST},
};

/// Asks for a mailbox.
pub const HAVE: &str = "/restore/have";
/// Adds messages.
pub const APPEND: &str = "/restore/append";

/// Reasons of a [`Refusal`].
pub mod reason {
    /// There is no such mailbox.
    pub const NO_MAILBOX: &str = "NoSuchMailbox";
    /// The mailbox is full.
    pub const FULL: &str = "QuotaExceeded";
    /// Cyrus does not take it.
    pub const REFUSED: &str = "Refused";
    /// The message was altered on its way.
    pub const DAMAGED: &str = "Damaged";
}

/// Which mailbox is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The epoch.
    pub epoch: u64,
    /// Its own address.
    pub address: String,
}

/// What the store says to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Have {
    /// It has this.
    Mailbox(Mailbox),
    /// It takes nothing for it.
    Refused(Refusal),
}

/// What there is of a mailbox. Contents are named by their SHA-1 in hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// What lives in each folder. Folders are named as Cyrus names them to their owner: in modified UTF-7.
    pub folders: BTreeMap<String, BTreeSet<String>>,
    /// What is there somewhere, though it may have been deleted: it need not be sent.
    pub kept: BTreeSet<String>,
}

/// Why something is not done, and will not be if it is asked for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In a word: one of [`reason`].
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

impl Refusal {
    /// For this reason.
    #[must_use]
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// Adds messages to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The epoch.
    pub epoch: u64,
    /// The mailbox.
    pub address: String,
    /// The messages, in the order in which they follow.
    pub messages: Vec<Message>,
}

/// A message that is to be in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The folder; it is made if it is not there.
    pub path: String,
    /// SHA-1 of the message.
    pub guid: String,
    /// When it was delivered, Unix seconds.
    pub date: u32,
    /// Its flags.
    pub flags: Flags,
    /// How many bytes follow for it; none if the store takes what it still keeps of it.
    pub bytes: Option<u64>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It was added.
    Appended,
    /// It was there.
    There,
    /// The store does not keep it any more: it has to be sent.
    Lacking,
    /// It was not added.
    Refused(Refusal),
}

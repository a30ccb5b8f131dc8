//! What a former primary asks of the present one, in JSON. Values only.
//!
//! ```text
//!  POST /return/list     what do you have of this mailbox?
//!  POST /return/append   a line of JSON, then the message as it is
//!  POST /return/change   make a folder, change flags, delete messages
//! ```
//!
//! Each names the epoch in which the other serves; in another one nothing is done.

use serde::{Deserialize, Serialize};

use super::listing::{Flags, Mailbox};

/// Asks for a mailbox.
pub const LIST: &str = "/return/list";
/// Adds a message.
pub const APPEND: &str = "/return/append";
/// Changes something else.
pub const CHANGE: &str = "/return/change";

/// Which mailbox is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The present primary's epoch.
    pub epoch: u64,
    /// The address under which the former primary has it.
    pub address: String,
    /// The unique id of its inbox there.
    pub inbox: String,
    /// Whose it is there, as it is recorded.
    pub owner: Option<String>,
    /// The unique ids of all of its folders there.
    pub folders: Vec<String>,
}

/// What the present primary has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// This; its address may be another by now.
    Mailbox(Mailbox),
    /// It was deleted.
    Deleted,
    /// It has never had it, or forgot that it was deleted; under its address there may be somebody else's.
    Unknown,
}

/// Adds a message, unless it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The present primary's epoch.
    pub epoch: u64,
    /// The mailbox.
    pub address: String,
    /// The folder.
    pub path: String,
    /// SHA-1 of the message.
    pub guid: String,
    /// Its journal id.
    pub id: Option<String>,
    /// UIDs of records with this content in the folder that are not it.
    pub besides: Vec<u32>,
    /// Not if the mailbox holds the journal id by now, wherever.
    pub new: bool,
    /// When it was delivered, Unix seconds.
    pub date: u32,
    /// Its flags.
    pub flags: Flags,
}

/// A message in a folder: UID and GUID.
pub type Known = (u32, String);

/// Changes something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The present primary's epoch.
    pub epoch: u64,
    /// The mailbox.
    pub address: String,
    /// What.
    pub what: What,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// There is a folder of this path.
    Folder(String),
    /// Flags of a message in the folder with this id: to add, to take away.
    Flags(String, Known, Flags, Flags),
    /// These messages of the folder with this id are deleted.
    Expunged(String, Vec<Known>),
}

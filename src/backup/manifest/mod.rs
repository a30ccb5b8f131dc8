//! What a snapshot holds: a file for each mailbox, which lists its folders and messages, and an index of these files. Both
//! are JSON lines in zstd, which stock tools read; `docs/backup-format.md` describes them.
//!
//! The file of a mailbox in which nothing changed has the same bytes at each run, so that a repository stores it once.
//! Writers and readers stream; [`difference`] compares two mailboxes.

mod diff;
mod index;
mod lines;
mod mailbox;
mod place;
#[cfg(test)]
mod tests;

use std::{fmt, io};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use self::{
    diff::{Change, difference},
    index::{Entry, Head, IndexReader, IndexWriter},
    mailbox::{Contents, Folder, Item, MailboxReader, MailboxWriter, Message},
    place::{Owner, encoded, file_name},
};
use crate::journal::plain::{hex, unhex};

/// The version of the format.
pub const VERSION: u32 = 1;
/// The name of the index.
pub const INDEX: &str = "index.jsonl.zst";

/// The SHA-1 of a message's file, by which Cyrus knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 20]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Guid {
    /// Reads 40 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text.as_bytes()).map(Self)
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a digest has 40 hexadecimal digits"))
    }
}

/// How much there is. `messages` and `bytes` are those that are not expunged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Folders, those that were deleted and are kept for a while too.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// Messages that were expunged and whose files are kept for a while.
    pub expunged: u64,
    /// Bytes of the messages.
    pub bytes: u64,
}

impl Counts {
    /// Counts one more message.
    pub fn add(&mut self, message: &Message) {
        if message.expunged {
            self.expunged += 1;
        } else {
            self.messages += 1;
            self.bytes += u64::from(message.size);
        }
    }

    /// Counts what others hold too.
    pub fn add_all(&mut self, other: &Self) {
        self.folders += other.folders;
        self.messages += other.messages;
        self.expunged += other.expunged;
        self.bytes += other.bytes;
    }
}

/// Why a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read, or is no zstd.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The end is missing.
    #[error("the manifest was cut off")]
    Truncated,
    /// A line is not what was written.
    #[error("line {0} of the manifest is damaged: {1}")]
    Damaged(u64, String),
    /// Another release wrote it.
    #[error("the manifest has version {0}, which this release does not know")]
    Version(u32),
}

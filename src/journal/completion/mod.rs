//! Completions: what became of accepted messages, recipient by recipient. They are written after the fact, in batches, each
//! an age file beside the segments; a lost one costs a look-up at the store, not a message.
//!
//! [`Receipt`] is what a door answers for a delivery, [`Record`] a line, [`seal`] and [`open`] make and read a file. Pure.

mod receipt;
#[cfg(test)]
mod tests;
mod text;

use std::io::{Read, Write};

use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient};

use serde::{Deserialize, Serialize};

pub use receipt::Receipt;
pub use text::TextError;

use super::{
    JournalId, Name,
    sealed::{Fault, MAGIC, SealError, SegmentError},
};

/// The folder of completions, within that of the journal.
pub const FOLDER: &str = "completions";

/// One thing that became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The message.
    #[serde(with = "super::as_text")]
    pub id: JournalId,
    /// When it was seen: Unix time in milliseconds.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What became of a message, or of it for a recipient (after aliases).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Postfix has accepted it, under this queue id.
    Accepted(String),
    /// A store has it.
    Delivered {
        /// For whom.
        recipient: Vec<u8>,
        /// Which store, and in which term of it; `None` if it did not say.
        receipt: Option<Receipt>,
    },
    /// Another server took it: it must never be sent there again.
    Relayed {
        /// For whom.
        recipient: Vec<u8>,
        /// Which server.
        relay: String,
    },
    /// It was refused for good; its sender was told.
    Bounced {
        /// For whom.
        recipient: Vec<u8>,
        /// The enhanced status code.
        dsn: String,
    },
    /// It was thrown away on purpose.
    Discarded {
        /// For whom.
        recipient: Vec<u8>,
    },
    /// It waited too long for all that were still open; its sender was told.
    Expired,
    /// An administrator deleted it from the queue.
    Deleted,
    /// Every recipient has its answer.
    Closed,
}

impl What {
    /// Whom it speaks of; `None` if of the whole message.
    #[must_use]
    pub fn recipient(&self) -> Option<&[u8]> {
        match self {
            Self::Delivered { recipient, .. }
            | Self::Relayed { recipient, .. }
            | Self::Bounced { recipient, .. }
            | Self::Discarded { recipient } => Some(recipient),
            Self::Accepted(_) | Self::Expired | Self::Deleted | Self::Closed => None,
        }
    }

    /// The word by which it is told.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Delivered { .. } => "delivered",
            Self::Relayed { .. } => "relayed",
            Self::Bounced { .. } => "bounced",
            Self::Discarded { .. } => "discarded",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Closed => "closed",
        }
    }
}

/// Makes a file of records.
///
/// # Errors
/// There is no key to encrypt for.
pub fn seal(name: &Name, records: &[Record], keys: &[age::x25519::Recipient]) -> Result<Vec<u8>, SealError> {
    if keys.is_empty() {
        return Err(SealError::Encrypt(EncryptError::MissingRecipients));
    }
    let recipients = keys.iter().map(|key| key as &dyn Recipient);
    let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(Vec::new())?;
    writer.write_all(&text::encode(name, records))?;
    Ok(writer.finish()?)
}

/// Reads the file that is stored under `name`.
///
/// # Errors
/// It is damaged, of a later release, or for other keys.
pub fn open(
    name: &Name,
    content: &[u8],
    keys: &[age::x25519::Identity],
) -> Result<Vec<Record>, SegmentError> {
    opened(name, content, keys).map_err(|fault| SegmentError { segment: name.clone(), fault })
}

fn opened(name: &Name, content: &[u8], keys: &[age::x25519::Identity]) -> Result<Vec<Record>, Fault> {
    if !content.starts_with(MAGIC) {
        return Err(Fault::NotASegment);
    }
    let decryptor = Decryptor::new_buffered(content).map_err(unread)?;
    let mut stream = decryptor.decrypt(keys.iter().map(|key| key as &dyn Identity)).map_err(unread)?;
    let mut plain = Vec::new();
    stream.read_to_end(&mut plain).map_err(|_| Fault::Altered)?;
    let (found, records) = text::decode(&plain).map_err(|error| match error {
        TextError::NotCompletions => Fault::NotASegment,
        TextError::Newer(version) => Fault::Newer(version),
        TextError::Altered => Fault::Altered,
        TextError::Malformed => Fault::Content(super::plain::PlainError::Malformed("a record")),
    })?;
    if found == *name { Ok(records) } else { Err(Fault::Misplaced(found)) }
}

fn unread(error: DecryptError) -> Fault {
    match error {
        DecryptError::Io(_) => Fault::Truncated,
        error => error.into(),
    }
}

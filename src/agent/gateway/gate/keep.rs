//! The gate's part in the journal: from a message that passes to an entry, and from what became of it to a reply.

use super::session::{Error, Session};
use crate::{
    journal::{
        Entry, Head, JournalId,
        writer::{Journal, Unkept, new_id, now},
    },
    wire::reply::Reply,
};

impl Session {
    /// Makes the message durable, and gives its id, or says why it is not.
    pub(super) async fn keep(&mut self, journal: &Journal) -> Result<Result<JournalId, Reply>, Error> {
        let id = new_id()?;
        let head = Head {
            id,
            received: now(),
            login: self.login.as_deref().map(<[u8]>::to_vec),
            sender: self.envelope.sender.clone(),
            recipients: self.envelope.recipients.clone(),
        };
        let entry = Entry { head, message: self.message.bytes() };
        let kept = self.meanwhile(journal.keep(entry)).await?;
        tracing::info!(queue_id = %self.queue_id.escape_ascii(), journal_id = %id, kept = kept.is_ok(), "journalled");
        Ok(kept.map(|()| id).map_err(|unkept| {
            let text =
                "Tam thoi chua luu duoc thu, xin gui lai sau. Mail cannot be made safe now, try again later";
            match unkept {
                Unkept::Envelope(_) => {
                    Reply::new(554, 5, 1, "Refused: an address that cannot be written down")
                }
                Unkept::Late | Unkept::Closed => Reply::new(451, 3, 0, text),
            }
        }))
    }
}

/// Between whom a message goes; see [`Head`].
#[derive(Default)]
pub(super) struct Envelope {
    pub(super) sender: Vec<u8>,
    pub(super) recipients: Vec<Vec<u8>>,
}

/// An address without its angle brackets.
pub(super) fn path(address: &[u8]) -> Vec<u8> {
    address.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(address).to_vec()
}

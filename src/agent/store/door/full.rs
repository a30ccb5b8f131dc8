//! Full mailboxes at the door: Cyrus takes nothing into them, but for the letter that tells the owner so
//! ([`crate::agent::store::warnings`]).
//!
//! Cyrus refuses the recipient before anybody knows which message comes. So a recipient for whom a letter is awaited is
//! handed on once more, as one whose quota does not matter, and every other message is kept out once its headers are there.

use super::{
    dialect::{ignore_quota, is_over_quota},
    relay::Fate,
    session::{Accepted, Session},
};
use crate::wire::reply::Reply;

/// A full mailbox, for which a letter is awaited that says so.
pub(super) struct OverQuota {
    /// Whose it is.
    owner: String,
    /// The Message-ID of the letter.
    letter: String,
    /// What Cyrus says to everything else.
    reply: Reply,
}

impl Session {
    /// The answer to a recipient to whom Cyrus has said `reply`.
    pub(super) async fn let_in(&mut self, recipient: &mut Accepted, reply: Reply) -> Reply {
        if !is_over_quota(&reply) || !self.sender.0.is_empty() {
            return reply;
        }
        let Some((owner, letter)) = self.awaited(&recipient.address) else { return reply };
        recipient.params.push(ignore_quota());
        recipient.over = Some(OverQuota { owner, letter, reply });
        self.hand_on(&recipient.address, recipient.to.clone(), recipient.params.clone()).await
    }

    fn awaited(&self, address: &str) -> Option<(String, String)> {
        let owner = self.door.replica.find(address)?.entry.uid.clone();
        let letter = self.door.warnings.as_ref()?.awaited(&owner, address)?;
        Some((owner, letter))
    }

    /// Notes that a letter was taken, if it is one and was.
    pub(super) fn arrived(&self, recipient: &Accepted, reply: &Reply) {
        if let (Some(over), Some(warnings)) = (&recipient.over, &self.door.warnings)
            && reply.is_success()
        {
            warnings.arrived(&over.owner);
        }
    }
}

/// What is no awaited letter does not come into a full mailbox.
pub(super) fn keep_out(fates: &mut [Fate], accepted: &[Accepted], message_id: Option<&str>) {
    for (fate, Accepted { over, .. }) in fates.iter_mut().zip(accepted) {
        if let Some(over) = over.as_ref().filter(|over| Some(over.letter.as_str()) != message_id) {
            fate.get_or_insert_with(|| over.reply.clone());
        }
    }
}

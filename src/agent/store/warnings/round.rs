//! One round: every mailbox is judged by its figures, and the letters that are due are sent.

use std::collections::HashSet;

use aws_lc_rs::rand;
use tokio::time::Instant;

use super::{
    PUT_OFF, Warnings,
    letter::{Warning, sender, write},
    lock, now,
    post::deliver,
    threshold::Level,
};
use crate::{
    agent::{
        directory::Replica,
        smtp::{Error, Smtp},
        store::usage::Usage,
    },
    api::MailboxState,
};

/// Most letters after one look: a system whose mailboxes are all full keeps its gateways for their mail.
const MOST: usize = 100;
/// So many letters go between two notes on the disk: an agent that dies sends them again.
const BETWEEN_NOTES: usize = 20;

/// A letter that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    owner: Box<str>,
    address: String,
    used: u64,
    quota: u64,
    id: String,
    level: Level,
}

impl Warnings {
    /// Judges every mailbox. Gives the letters that this store has to send, and whether there is something to note.
    pub(super) fn look(&self, usage: &Usage, replica: &Replica, serves: bool, now: i64) -> (Vec<Due>, bool) {
        let mut book = self.book();
        let (before, mut due, mut seen) = (book.clone(), Vec::new(), HashSet::new());
        usage.each(|address, owner, used| {
            let Some(found) = replica.find(address).filter(|found| found.address == address) else { return };
            let entry = &found.entry;
            // A letter to a mailbox that nobody can open, or that takes none, tells nobody.
            let open = entry.state == MailboxState::Active && entry.refusal.is_none() && entry.quota > 0;
            // A store that follows does not know whose mail it has.
            let theirs = owner.map_or(!serves, |owner| *owner == *entry.uid) && !entry.uid.is_empty();
            if !open || !theirs {
                return;
            }
            let record = book.judge(&entry.uid, (used, entry.quota), now, new_id);
            let Some(record) = record else { return };
            seen.insert(entry.uid.as_str().into());
            if !serves {
                return record.leave_to_the_other(now);
            }
            let (owner, address, quota) = (entry.uid.as_str().into(), address.to_owned(), entry.quota);
            due.extend(record.due().map(|letter| {
                let (id, level) = (letter.id.clone(), letter.level);
                Due { owner, address, used, quota, id, level }
            }));
        });
        book.prune(&seen, now);
        (due, *book != before)
    }

    /// Sends letters until all went, or no gateway is there.
    pub(super) async fn send(&self, due: Vec<Due>, serves: impl Fn() -> bool) -> Result<(), Error> {
        let due = self.not_put_off(due);
        let mut session = None;
        for letters in due.chunks(BETWEEN_NOTES) {
            let sent = self.send_some(letters, &mut session, &serves).await;
            if let Err(error) = self.note().await {
                tracing::warn!(%error, "letters that went to owners of full mailboxes cannot be noted");
            }
            sent?;
        }
        if let Some(session) = session {
            // Nothing depends on it any more.
            let _ = session.quit().await;
        }
        Ok(())
    }

    async fn send_some(
        &self,
        letters: &[Due],
        session: &mut Option<Smtp>,
        serves: &impl Fn() -> bool,
    ) -> Result<(), Error> {
        for due in letters {
            if !serves() {
                return Ok(());
            }
            let open = match session.take() {
                Some(open) => session.insert(open),
                None => session.insert(self.0.post.open().await?),
            };
            let Due { owner, address, used, quota, id, level } = due;
            let warning = Warning { address, level: *level, used: *used, quota: *quota };
            let message = write(&warning, id, now());
            match deliver(open, &sender(address), address, &message).await {
                Ok(()) => {
                    tracing::info!(address, ?level, "the owner of a mailbox is told how full it is");
                    self.count("sent");
                    self.book().change(owner, |record| record.sent(now()));
                }
                Err(error @ (Error::Connection(_) | Error::Silent)) => return Err(error),
                Err(error) => {
                    *session = None;
                    tracing::warn!(address, %error, "the owner of a mailbox cannot be told how full it is");
                    self.refused(due, error.is_final());
                }
            }
        }
        Ok(())
    }

    /// What is refused for good is not tried again before the next threshold.
    fn refused(&self, due: &Due, for_good: bool) {
        if for_good {
            self.count("refused");
            return self.book().change(&due.owner, |record| record.sent(now()));
        }
        self.count("deferred");
        lock(&self.0.put_off).insert(due.id.clone(), Instant::now() + PUT_OFF);
    }

    fn not_put_off(&self, due: Vec<Due>) -> Vec<Due> {
        let mut put_off = lock(&self.0.put_off);
        put_off.retain(|_, until| *until > Instant::now());
        due.into_iter().filter(|due| !put_off.contains_key(&due.id)).take(MOST).collect()
    }
}

/// Nobody can guess it: whoever names it gets mail into a full mailbox.
fn new_id() -> String {
    let mut random = [0; 16];
    // Without randomness a full mailbox' letter may be guessed, and still nothing else is lost.
    let _ = rand::fill(&mut random);
    format!("quota-{:032x}", u128::from_be_bytes(random))
}

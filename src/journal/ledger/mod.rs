//! The ledger of a gateway: which accepted messages have not come to their end yet. Pure.
//!
//! Events of Postfix' log and lists of its queue come in; records of what became of messages go out, and figures of what
//! is open. A message is accounted for while it is in the queue, and once it is closed: the queue manager removes it when
//! every recipient has an answer. One that was accepted, is in no queue and was not closed is *unaccounted* for. It holds
//! the open messages alone, so it is as large as the queue.
//!
//! It must not close a message on anybody's word but Postfix', nor forget one that was accepted.

mod report;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    JournalId,
    completion::{Receipt, Record, What},
};
use crate::wire::maillog::{Answer, Event};

pub use report::{Figures, Progress, Report, Unaccounted};

/// Most messages that are held; what comes beyond is not known to the ledger, which then says so.
pub const MOST: usize = 500_000;
/// Lists of the queue in a row that must lack a message before it counts as missing: a list is no snapshot, and a message
/// that Postfix moves while it is made may be left out of one.
const LISTS: u8 = 2;
/// A message that Postfix named and that came no further was not accepted: its client was gone, or was told to come again.
/// After so many milliseconds in no list it is let go.
const NOT_ACCEPTED: u64 = 10 * 60 * 1000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// By queue id.
    open: HashMap<String, Open>,
    /// At most so many of them are missing.
    #[serde(default)]
    gone: usize,
    /// Messages that found no room.
    #[serde(default)]
    overflow: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    #[serde(with = "crate::journal::as_text")]
    id: JournalId,
    /// When it was first seen: Unix time in milliseconds.
    since: u64,
    /// Whether Postfix has accepted it.
    accepted: bool,
    /// Lists in a row that lacked it.
    missing: u8,
}

impl Ledger {
    /// Takes an event that was read at `now` (Unix time in milliseconds), and adds what it says of messages to `records`.
    pub fn see(&mut self, event: &Event<'_>, now: u64, records: &mut Vec<Record>) {
        match *event {
            Event::Named { queue_id, journal_id } => self.name(queue_id, journal_id, now),
            Event::Queued { queue_id } => self.accept(queue_id, now, records),
            Event::Requeued { queue_id, old } => self.rename(queue_id, old, now, records),
            Event::Answered(answer) => self.answer(&answer, now, records),
            Event::Expired { queue_id } => self.note(queue_id, What::Expired, now, records),
            Event::Removed { queue_id } => self.close(queue_id, What::Closed, now, records),
            Event::Deleted { queue_id } => self.close(queue_id, What::Deleted, now, records),
        }
    }

    fn name(&mut self, queue_id: &str, journal_id: &[u8], now: u64) {
        let Some(id) = JournalId::parse(journal_id) else { return };
        if self.open.len() >= MOST {
            self.overflow = true;
        } else {
            let open = Open { id, since: now, accepted: false, missing: 0 };
            self.open.entry(queue_id.to_owned()).or_insert(open);
        }
    }

    fn accept(&mut self, queue_id: &str, now: u64, records: &mut Vec<Record>) {
        let Some(open) = self.open.get_mut(queue_id) else { return };
        open.missing = 0;
        if !open.accepted {
            open.accepted = true;
            records.push(Record { id: open.id, at: now, what: What::Accepted(queue_id.to_owned()) });
        }
    }

    fn rename(&mut self, queue_id: &str, old: &str, now: u64, records: &mut Vec<Record>) {
        let Some(open) = self.open.remove(old) else { return };
        self.open.insert(queue_id.to_owned(), Open { accepted: false, ..open });
        self.accept(queue_id, now, records);
    }

    fn note(&mut self, queue_id: &str, what: What, now: u64, records: &mut Vec<Record>) {
        self.accept(queue_id, now, records);
        if let Some(open) = self.open.get(queue_id) {
            records.push(Record { id: open.id, at: now, what });
        }
    }

    fn answer(&mut self, answer: &Answer<'_>, now: u64, records: &mut Vec<Record>) {
        match fate(answer) {
            Some(what) => self.note(answer.queue_id, what, now, records),
            None => self.accept(answer.queue_id, now, records),
        }
    }

    /// It has come to its end; and so has what was missing of the same message and was brought back.
    fn close(&mut self, queue_id: &str, what: What, now: u64, records: &mut Vec<Record>) {
        self.note(queue_id, what, now, records);
        if let Some(Open { id, .. }) = self.open.remove(queue_id)
            && self.gone > 0
        {
            self.open.retain(|_, other| other.id != id || other.missing < LISTS);
        }
        self.overflow &= !self.open.is_empty();
    }

    /// What is missing of this message has come to this end.
    pub fn settle(&mut self, id: JournalId, what: What, now: u64, records: &mut Vec<Record>) {
        let before = self.open.len();
        self.open.retain(|_, open| open.id != id || open.missing < LISTS);
        if self.open.len() < before {
            records.push(Record { id, at: now, what });
        }
    }

    /// Whether a message is open, and not missing.
    #[must_use]
    pub fn is_present(&self, id: JournalId) -> bool {
        self.open.values().any(|open| open.id == id && open.missing < LISTS)
    }

    /// Compares with a complete list of the queue, for which Postfix was asked at `asked`: the log must have been read up
    /// to a point after the list was made.
    pub fn compare(&mut self, listed: &HashSet<String>, asked: u64, records: &mut Vec<Record>) {
        let waits: Vec<_> = self
            .open
            .iter()
            .filter(|(queue_id, open)| !open.accepted && listed.contains(*queue_id))
            .map(|(queue_id, _)| queue_id.clone())
            .collect();
        for queue_id in waits {
            self.accept(&queue_id, asked, records);
        }
        for (queue_id, open) in self.open.iter_mut().filter(|(_, open)| open.since < asked) {
            open.missing = if listed.contains(queue_id) { 0 } else { open.missing.saturating_add(1) };
        }
        self.open
            .retain(|_, open| open.accepted || open.missing < LISTS || open.since + NOT_ACCEPTED > asked);
        self.gone = self.open.values().filter(|open| open.missing >= LISTS).count();
    }

    /// How many messages are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether a message is old enough to be looked for in the queue: accepted before `before`.
    #[must_use]
    pub fn wants_list(&self, before: u64) -> bool {
        self.open.values().any(|open| open.since < before)
    }

    /// What is unaccounted for, oldest first.
    #[must_use]
    pub fn unaccounted(&self) -> Vec<Unaccounted> {
        if self.gone == 0 {
            return Vec::new();
        }
        let present: HashSet<_> =
            self.open.values().filter(|open| open.missing < LISTS).map(|open| open.id).collect();
        let missing = |open: &Open| open.accepted && open.missing >= LISTS && !present.contains(&open.id);
        let mut all: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| missing(open))
            .map(|(queue_id, open)| Unaccounted {
                id: open.id,
                queue_id: queue_id.clone(),
                since: open.since,
            })
            .collect();
        all.sort_unstable_by_key(|one| (one.id, one.since));
        all.dedup_by_key(|one| one.id);
        all
    }

    /// Under which queue ids a message is open.
    #[must_use]
    pub fn queue_ids(&self, id: JournalId) -> Vec<String> {
        self.open.iter().filter(|(_, open)| open.id == id).map(|(queue_id, _)| queue_id.clone()).collect()
    }

    /// The figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let unaccounted = self.unaccounted();
        Figures {
            open: self.open.len() as u64,
            oldest_open: self.open.values().map(|open| open.id.millis().min(open.since)).min(),
            unaccounted: unaccounted.len() as u64,
            oldest_unaccounted: unaccounted.iter().map(|one| one.since).min(),
            overflow: self.overflow,
        }
    }
}

/// What an answer says for good; `None` if the recipient is tried again, or was only asked about.
fn fate(answer: &Answer<'_>) -> Option<What> {
    let recipient = answer.to.to_vec();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (answer.status, answer.program) {
        (b"sent", "lmtp") => Some(What::Delivered { recipient, receipt: receipt(answer.text) }),
        (b"sent", "discard") => Some(What::Discarded { recipient }),
        (b"sent", _) => Some(What::Relayed { recipient, relay: text(answer.relay) }),
        (b"bounced", _) => Some(What::Bounced { recipient, dsn: text(answer.dsn) }),
        _ => None,
    }
}

/// The receipt in `250 2.1.5 Ok POD …`.
fn receipt(text: &[u8]) -> Option<Receipt> {
    Receipt::parse(text.splitn(3, |byte| *byte == b' ').nth(2)?)
}

//! The use of mailboxes: what their stores and the gateways tell becomes status, slowly, and marks what is to be looked at.
//!
//! ```text
//!  /usage of stores ──┐                    ┌─ pace ─▶ status.usage   (a quarter of an hour; 40 a second)
//!                     ├─read─▶ figures ────┤
//!  /logins, gateways ─┘          │         └─ marks ─▶ index ─▶ conditions (ReviewDue, Attended, QuotaLeft)
//!  time ─────────────────────────┘                      └─────▶ summary ─▶ MailSystem
//! ```
//!
//! No mailbox is asked for: agents tell what changed. What an earlier process wrote is known from status, so that a restart
//! writes nothing.

mod controller;
mod figures;
mod pace;
mod read;
mod summary;

pub use figures::Figures;
pub use read::Read;

use std::collections::{HashMap, HashSet};

use tokio::time::{Duration, Instant};

use self::{
    pace::{Pace, Place, When, when},
    read::Cursors,
};
use super::index::{Index, Key, Mailbox, Marks, View};
use crate::{api, names::SystemName};

/// Between questions to the agents.
const EVERY: Duration = Duration::from_secs(15);
/// Between questions while there is more.
const SOON: Duration = Duration::from_millis(200);
/// Time alone changes something: all mailboxes are looked at so often.
const SWEEP: Duration = Duration::from_mins(10);

/// A mailbox that comes to use so much of its quota, in percent, is written at once. Marks tell of more.
const MUCH: u64 = 80;

/// What is known of one mailbox.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Of the uid of its owner.
    owner: u64,
    known: Figures,
    /// What status says.
    told: Figures,
    /// When that was written; for what an earlier process wrote, when this one began. Seconds of Unix time.
    told_at: i64,
    /// What is being written.
    writing: Option<Figures>,
    place: Place,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Usages {
    entries: HashMap<Key, Entry>,
    cursors: Cursors,
    pace: Pace,
    /// When agents are asked next; none while they are being asked.
    due: Option<Instant>,
    sweep: Instant,
    summary: summary::Summaries,
    /// When this process began, in seconds of Unix time.
    began: i64,
}

impl Usages {
    pub fn new(now: Instant, clock: i64) -> Self {
        Self {
            entries: HashMap::new(),
            cursors: Cursors::default(),
            pace: Pace::new(now),
            due: Some(now),
            sweep: now + SWEEP,
            summary: summary::Summaries::default(),
            began: clock,
        }
    }

    /// A Mailbox was seen: what status says of its use is known, unless it is known better.
    pub fn see(&mut self, key: &Key, object: &api::Mailbox) {
        let owner = mark(object.metadata.uid.as_deref().unwrap_or_default());
        if self.entries.get(key).is_some_and(|entry| entry.owner == owner) {
            return;
        }
        self.forget(key);
        let usage = object.status.as_ref().and_then(|status| status.usage.as_ref());
        let told = usage.map(Figures::of).unwrap_or_default();
        // One that was never written is written as soon as its turn comes.
        let told_at = if usage.is_some() { self.began } else { 0 };
        self.entries.insert(key.clone(), Entry { owner, known: told, told, told_at, ..Entry::default() });
    }

    /// A Mailbox is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.pace.drop(entry.place);
        }
    }

    /// The review of a system, once its agents were read.
    pub fn summary(&self, name: &SystemName) -> Option<api::system::ReviewSummary> {
        self.summary.of(name)
    }

    /// How many mailboxes wait to be written.
    pub fn waiting(&self) -> usize {
        self.pace.len()
    }

    /// When something is to be done at the latest.
    pub fn wake(&self, now: Instant, clock: i64) -> Instant {
        let times = [self.due, self.pace.due(now, clock), self.summary.due()];
        times.into_iter().flatten().fold(self.sweep, Instant::min)
    }

    /// Where the mailbox waits from now on.
    fn put(&mut self, key: &Key, index: &Index, clock: i64) {
        let (Some(mailbox), Some(entry)) = (index.mailbox(key), self.entries.get(key)) else { return };
        let marks = self.marks(key, mailbox, index, clock);
        let shared = mailbox.fact.has_members();
        let (told, known) = (entry.told.told(shared), entry.known.told(shared));
        // One that is being written is looked at again when it is.
        let when = if entry.writing.is_some() && marks == mailbox.marks {
            When::Never
        } else {
            let much =
                |figures: Figures| figures.percent(mailbox.fact.quota).is_some_and(|part| part >= MUCH);
            let crossed = marks != mailbox.marks || much(known) && !much(told);
            when(&told, &known, entry.told_at, crossed)
        };
        if let Some(entry) = self.entries.get_mut(key) {
            entry.place = self.pace.put(key, entry.place, when);
        }
    }

    /// The marks that a mailbox should have.
    fn marks(&self, key: &Key, mailbox: &Mailbox, index: &Index, clock: i64) -> Marks {
        let figures = self.entries.get(key).map(|entry| entry.known).unwrap_or_default();
        let system = index.listed_in(key);
        let fact = &mailbox.fact;
        let read = if fact.has_members() {
            let readers = mailbox.readers(key).filter_map(|reader| self.entries.get(reader));
            readers.map(|entry| entry.known.reading()).max().unwrap_or_default()
        } else if fact.sharing.kind == api::MailboxType::Service {
            // A program that only sends uses it, too.
            figures.login()
        } else {
            figures.reading()
        };
        let view = View {
            review_by: fact.review_by,
            state: fact.state,
            created: fact.meta.created,
            quota: fact.quota,
            used: figures.stored.then_some(figures.used),
            received: figures.received,
            read,
            kept: system.as_ref().and_then(|name| self.summary.kept(name)),
            after: system
                .and_then(|name| index.system(&name).map(|system| system.fact.unattended_after))
                .unwrap_or(i64::MAX),
        };
        mailbox.marks.judge(&view, clock)
    }

    /// Looks at these mailboxes, and at all if it is time.
    fn look(&mut self, changed: &HashSet<Key>, index: &Index, now: Instant, clock: i64) {
        if now >= self.sweep {
            self.sweep = now + SWEEP;
            let all: Vec<Key> = self.entries.keys().cloned().collect();
            for key in &all {
                self.put(key, index, clock);
            }
        } else {
            for key in changed {
                self.put(key, index, clock);
            }
        }
    }
}

/// A number for a uid.
fn mark(uid: &str) -> u64 {
    uid.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

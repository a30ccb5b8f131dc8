//! The review of each system in numbers. Counted when something changed, and not more often than every some seconds: it is
//! one look at every mailbox in memory.

use std::collections::HashMap;

use tokio::time::{Duration, Instant};

use super::super::index::Index;
use crate::{
    api::{MailboxState, system::ReviewSummary},
    names::SystemName,
};

/// Between counts.
const PAUSE: Duration = Duration::from_secs(10);

/// What the agents of a system have told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Since when log-ins are kept, once every gateway has told them.
    pub kept: Option<i64>,
    /// Whether every store has told what mailboxes hold.
    pub stores: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Summaries {
    told: HashMap<SystemName, Told>,
    counted: HashMap<SystemName, ReviewSummary>,
    dirty: bool,
    not_before: Option<Instant>,
}

impl Summaries {
    /// The review of a system.
    #[must_use]
    pub fn of(&self, name: &SystemName) -> Option<ReviewSummary> {
        self.counted.get(name).copied()
    }

    /// Since when its log-ins are kept; none if that is not known.
    #[must_use]
    pub fn kept(&self, name: &SystemName) -> Option<i64> {
        self.told.get(name)?.kept
    }

    /// What agents have told. Whether that is news. What was told once is known, also while an agent is away.
    pub fn tell(&mut self, name: &SystemName, told: Told) -> bool {
        let old = self.told.get(name).copied().unwrap_or_default();
        let new = Told { kept: told.kept.or(old.kept), stores: told.stores || old.stores };
        if new == old {
            return false;
        }
        self.told.insert(name.clone(), new);
        self.touch();
        true
    }

    /// Something changed that is counted.
    pub fn touch(&mut self) {
        self.dirty = true;
    }

    /// When to count at the latest.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.dirty)
    }

    /// Counts, if there is something to count and it is time.
    pub fn count(&mut self, index: &Index, now: Instant) {
        if !self.dirty || self.not_before.is_some_and(|at| at > now) {
            return;
        }
        (self.dirty, self.not_before) = (false, Some(now + PAUSE));
        let mut counted: HashMap<SystemName, ReviewSummary> = HashMap::new();
        for (name, told) in self.told.iter().filter(|(_, told)| told.stores && told.kept.is_some()) {
            let nothing = ReviewSummary {
                unattended: told.kept.map(|_| 0),
                never_used: told.kept.map(|_| 0),
                nearly_full: told.stores.then_some(0),
                ..ReviewSummary::default()
            };
            counted.insert(name.clone(), nothing);
        }
        for (key, mailbox) in index.mailboxes() {
            let name = index.listed_in(key);
            let Some(summary) = name.and_then(|name| counted.get_mut(&*name)) else { continue };
            add(summary, mailbox.fact.state, mailbox.marks);
        }
        self.counted = counted;
    }
}

fn add(summary: &mut ReviewSummary, state: MailboxState, marks: super::Marks) {
    let one = |count: &mut Option<u32>, applies: bool| {
        if let Some(count) = count {
            *count += u32::from(applies);
        }
    };
    summary.total += 1;
    *match state {
        MailboxState::Active => &mut summary.active,
        MailboxState::ReceiveOnly => &mut summary.receive_only,
        MailboxState::Suspended => &mut summary.suspended,
        MailboxState::Retired => &mut summary.retired,
    } += 1;
    summary.review_due += u32::from(marks.review_due.is_some());
    one(&mut summary.unattended, marks.absence.is_some_and(|absence| !absence.never));
    one(&mut summary.never_used, marks.absence.is_some_and(|absence| absence.never));
    one(&mut summary.nearly_full, marks.fullness.is_some());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::{Absence, Fullness, Marks};

    #[test]
    fn each_mailbox_counts_in_its_state_and_for_each_of_its_marks() {
        let mut summary =
            ReviewSummary { unattended: Some(0), never_used: Some(0), ..ReviewSummary::default() };
        let absent = |never| Marks { absence: Some(Absence { never, since: 0 }), ..Marks::default() };
        add(&mut summary, MailboxState::Active, absent(true));
        add(&mut summary, MailboxState::Active, absent(false));
        let full = Marks { review_due: Some(1), fullness: Some((Fullness::Full, 1)), absence: None };
        add(&mut summary, MailboxState::Suspended, full);
        let expected = ReviewSummary {
            total: 3,
            active: 2,
            suspended: 1,
            review_due: 1,
            unattended: Some(1),
            never_used: Some(1),
            // The stores have not told: nobody knows.
            nearly_full: None,
            ..ReviewSummary::default()
        };
        assert_eq!(summary, expected);
    }

    #[test]
    fn what_agents_told_once_stays_known_while_one_is_away() {
        let (mut summaries, name) = (Summaries::default(), SystemName::new("n", "s"));
        assert!(summaries.tell(&name, Told { kept: Some(5), stores: false }));
        assert!(!summaries.tell(&name, Told { kept: None, stores: false }));
        assert_eq!(summaries.kept(&name), Some(5));
        assert!(summaries.tell(&name, Told { kept: None, stores: true }));
    }
}

//! What is to be looked at: a date of review that has passed, a mailbox that nobody reads, a quota that is nearly full. Pure:
//! the times come in.
//!
//! A mark is made and taken away here; status says it as a condition, from which the next process knows it. What is not
//! known changes no mark.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Index, Key, Mailbox};
use crate::{
    api::{MailboxState, MailboxType},
    conditions,
    names::SystemName,
};

/// Its date of review has passed. There only then.
pub const REVIEW_DUE: &str = "ReviewDue";
/// Whether somebody reads it. There only if nobody does.
pub const ATTENDED: &str = "Attended";
/// Whether there is room for mail. There only if there is little.
pub const QUOTA_LEFT: &str = "QuotaLeft";

/// From this part of the quota on, in percent, a mailbox is nearly full.
const NEARLY: u64 = 90;
/// Below this part it is so no more: what hovers about a threshold crosses it once.
const ENOUGH: u64 = 85;

/// That nobody reads a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Whether nobody ever did.
    pub never: bool,
    /// Since when it counts as unattended, in seconds of Unix time.
    pub since: i64,
}

/// How little of a quota is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fullness {
    /// A tenth at most.
    Nearly,
    /// Nothing.
    Full,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The date of review, if it has passed: the beginning of that day, in seconds of Unix time.
    pub review_due: Option<i64>,
    /// Nobody reads it.
    pub absence: Option<Absence>,
    /// Its quota is nearly full, since when.
    pub fullness: Option<(Fullness, i64)>,
}

/// What decides. Times are seconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The date of review.
    pub review_by: Option<i64>,
    /// Its state.
    pub state: MailboxState,
    /// When it was made.
    pub created: i64,
    /// Its quota in bytes, if it can be read.
    pub quota: Option<u64>,
    /// How much of it is used, if the store has told.
    pub used: Option<u64>,
    /// When a message last came; 0 is not known.
    pub received: u32,
    /// When it was last read; 0 is not known.
    pub read: u32,
    /// Since when log-ins are kept; none if not every gateway has told them.
    pub kept: Option<i64>,
    /// After how many seconds without a log-in it is unattended.
    pub after: i64,
}

impl Marks {
    /// What conditions say, which an earlier process wrote.
    #[must_use]
    pub fn of(status: &[Condition]) -> Self {
        let get = |type_: &str, value: &str| {
            let found = conditions::get(status, type_).filter(|condition| condition.status == value)?;
            Some((found.reason.as_str(), found.last_transition_time.0.as_second()))
        };
        Self {
            review_due: get(REVIEW_DUE, "True").map(|(_, since)| since),
            absence: get(ATTENDED, "False")
                .map(|(reason, since)| Absence { never: reason == "NeverUsed", since }),
            fullness: get(QUOTA_LEFT, "False").map(|(reason, since)| {
                (if reason == "Full" { Fullness::Full } else { Fullness::Nearly }, since)
            }),
        }
    }

    /// The marks at `now`, which were `self`.
    #[must_use]
    pub fn judge(self, view: &View, now: i64) -> Self {
        Self {
            review_due: view.review_by.filter(|due| *due <= now),
            absence: self.absence(view, now),
            fullness: self.fullness(view, now),
        }
    }

    /// In a state in which nobody can log in nobody is missed.
    fn absence(self, view: &View, now: i64) -> Option<Absence> {
        if view.state != MailboxState::Active {
            return None;
        }
        let read = i64::from(view.read);
        let never = read == 0;
        let from = if never { view.created.max(view.kept.unwrap_or(view.created)) } else { read };
        let since = from.saturating_add(view.after);
        if since > now {
            return None;
        }
        if view.kept.is_none() {
            return self.absence;
        }
        // Where nothing comes nobody has to look.
        (never || i64::from(view.received) > read).then_some(Absence { never, since })
    }

    fn fullness(self, view: &View, now: i64) -> Option<(Fullness, i64)> {
        let (Some(used), Some(quota)) = (view.used, view.quota.filter(|quota| *quota > 0)) else {
            return self.fullness;
        };
        let percent = u64::try_from(u128::from(used) * 100 / u128::from(quota)).unwrap_or(u64::MAX);
        let level = match (percent, self.fullness) {
            (100.., _) => Some(Fullness::Full),
            (NEARLY.., _) | (ENOUGH.., Some(_)) => Some(Fullness::Nearly),
            _ => None,
        }?;
        let since = self.fullness.filter(|(old, _)| *old == level).map_or(now, |(_, since)| since);
        Some((level, since))
    }
}

impl Index {
    /// The Mailbox that has this address in the system and whose uid is `owner`.
    #[must_use]
    pub fn owned(&self, system: &SystemName, address: &str, owner: &str) -> Option<&Key> {
        let key = &self.winner(address, system)?.key;
        self.mailboxes.get(key).filter(|mailbox| *mailbox.fact.meta.uid == *owner).map(|_| key)
    }

    /// The Mailboxes that this one reads as a member.
    pub fn shared_by(&self, key: &Key) -> impl Iterator<Item = &Key> {
        self.bound_to.get(key).into_iter().flatten()
    }

    /// Marks a Mailbox. Its status may differ then.
    pub fn mark(&mut self, key: &Key, marks: Marks) {
        if let Some(mailbox) = self.mailboxes.get_mut(key).filter(|mailbox| mailbox.marks != marks) {
            mailbox.marks = marks;
            self.changes.mailboxes.insert(key.clone());
        }
    }
}

impl Mailbox {
    /// The Mailboxes by which this one, which is `key`, is read: its members, and itself if somebody logs in to it.
    pub fn readers<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Key> {
        let own = (self.fact.sharing.kind != MailboxType::Shared).then_some(key);
        own.into_iter().chain(self.fact.sharing.bound.iter().map(|bound| &bound.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn view() -> View {
        View {
            review_by: None,
            state: MailboxState::Active,
            created: 0,
            quota: Some(1000),
            used: Some(10),
            received: 0,
            read: 0,
            kept: Some(0),
            after: 60 * DAY,
        }
    }

    fn day(days: i64) -> u32 {
        u32::try_from(days * DAY).unwrap()
    }

    #[test]
    fn a_mailbox_is_unattended_when_mail_came_and_nobody_read_for_so_many_days() {
        let judge = |view: View, days: i64| Marks::default().judge(&view, days * DAY).absence;
        let read = View { read: day(10), received: day(20), ..view() };
        assert_eq!(judge(read, 69), None);
        assert_eq!(judge(read, 70), Some(Absence { never: false, since: 70 * DAY }));
        assert_eq!(judge(View { received: day(9), ..read }, 99), None, "nothing came that could be read");
        assert_eq!(judge(View { read: day(30), ..read }, 70), None);
        assert_eq!(judge(View { state: MailboxState::Suspended, ..read }, 99), None);
    }

    #[test]
    fn a_mailbox_was_never_used_only_since_log_ins_are_kept() {
        let judge = |view: View, days: i64| Marks::default().judge(&view, days * DAY).absence;
        assert_eq!(judge(view(), 59), None);
        assert_eq!(judge(view(), 60), Some(Absence { never: true, since: 60 * DAY }));
        assert_eq!(judge(View { kept: Some(30 * DAY), ..view() }, 89), None);
        let kept = View { kept: Some(30 * DAY), ..view() };
        assert_eq!(judge(kept, 90), Some(Absence { never: true, since: 90 * DAY }));
    }

    #[test]
    fn what_is_not_known_changes_no_mark() {
        let unknown = View { kept: None, used: None, ..view() };
        let marks = Marks {
            review_due: None,
            absence: Some(Absence { never: true, since: 5 }),
            fullness: Some((Fullness::Full, 6)),
        };
        assert_eq!(marks.judge(&unknown, 99 * DAY), marks);
        assert_eq!(Marks::default().judge(&unknown, 99 * DAY), Marks::default());
        let seen = View { read: day(98), ..unknown };
        assert_eq!(marks.judge(&seen, 99 * DAY).absence, None, "a log-in is known");
    }

    #[test]
    fn a_quota_that_is_nearly_full_is_marked_once_per_crossing() {
        let (mut marks, mut told) = (Marks::default(), Vec::new());
        for (at, used) in [(1, 899), (2, 900), (3, 950), (4, 870), (5, 1000), (6, 999), (7, 849), (8, 899)] {
            marks = marks.judge(&View { used: Some(used), ..view() }, at);
            told.push(marks.fullness);
        }
        let (nearly, full) = (|at| Some((Fullness::Nearly, at)), |at| Some((Fullness::Full, at)));
        assert_eq!(told, [None, nearly(2), nearly(2), nearly(2), full(5), nearly(6), None, None]);
        assert_eq!(marks.judge(&View { quota: None, ..view() }, 9).fullness, None);
    }

    #[test]
    fn a_review_is_due_from_its_day_on() {
        let due = |now| Marks::default().judge(&View { review_by: Some(100), ..view() }, now).review_due;
        assert_eq!((due(99), due(100), due(101)), (None, Some(100), Some(100)));
    }
}

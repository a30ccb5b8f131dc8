//! What came of a restore, counted, with some examples, and the reason in which it ends. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{head::Head, near::MOST, rounds::Piece, select::Item};
use crate::{
    agent::store::restore::protocol::{Refusal, reason},
    job::{Failed, RestoreDone},
};

/// Examples of what failed, so that some of what came back have room.
const FAILURES: usize = 15;

/// What is counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that were asked for.
    pub found: u64,
    /// Messages that came back, or would.
    pub restored: u64,
    /// Messages that were there already.
    pub skipped: u64,
    /// Mailboxes that were named and that the snapshot has.
    pub mailboxes: BTreeSet<String>,
    failed: BTreeMap<String, u64>,
    first: Option<Refusal>,
    failures: Vec<String>,
    examples: Vec<String>,
}

impl Tally {
    /// Messages that did not come back, all for the same reason; `example` names one.
    pub fn failed(&mut self, count: usize, why: &Refusal, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        *self.failed.entry(why.reason.clone()).or_default() += count as u64;
        self.first.get_or_insert_with(|| why.clone());
        if self.failures.len() < FAILURES {
            self.failures.push(format!("failed: {}: {}", example(), why.message));
        }
    }

    /// Whether another example is wanted.
    #[must_use]
    pub fn wants_example(&self) -> bool {
        self.examples.len() < MOST
    }

    /// A message that came back, or would.
    pub fn example(&mut self, line: impl FnOnce() -> String) {
        if self.wants_example() {
            self.examples.push(line());
        }
    }

    /// What is said in the end. `near` is told if nothing was found.
    #[must_use]
    pub fn done(self, near: Vec<String>) -> RestoreDone {
        let failed = self.failed.values().sum();
        let failure = self.failure(failed);
        let mut examples = self.failures;
        examples.extend(self.examples);
        if self.found == 0 {
            examples = near;
        }
        examples.truncate(MOST);
        let Self { found, restored, skipped, mailboxes, .. } = self;
        RestoreDone { failure, found, restored, skipped, failed, examples, mailboxes }
    }

    fn failure(&self, failed: u64) -> Option<Failed> {
        if self.found == 0 {
            let message = "no message of the backup fits what is asked for; nothing was brought back instead";
            return Some(Failed { reason: "NothingMatches".into(), message: message.into() });
        }
        let first = self.first.as_ref()?;
        let only = (self.failed.len() == 1).then_some(first.reason.as_str());
        let reason = match only {
            Some(reason::FULL) => reason::FULL,
            Some(only) if self.restored + self.skipped == 0 => only,
            _ => "PartiallyRestored",
        };
        let remedy = match only {
            Some(reason::FULL) => {
                "raise the quota and make another MailRestore: what came back is not brought again"
            }
            Some(reason::NO_MAILBOX) => {
                "make the Mailbox, or name another in spec.target, and make another MailRestore"
            }
            _ => "make another MailRestore when that is put right: what came back is not brought again",
        };
        let message = format!(
            "{failed} of {} messages did not come back, the first because: {}; {remedy}",
            self.found, first.message
        );
        Some(Failed { reason: reason.to_owned(), message })
    }
}

/// A message in a line. `address` is named if there are several mailboxes.
#[must_use]
pub fn line(address: Option<&str>, piece: &Piece, item: &Item, head: &Head) -> String {
    let of = address.map(|address| format!("{address} ")).unwrap_or_default();
    let time =
        jiff::Timestamp::from_second(i64::from(item.date)).map(|time| time.to_string()).unwrap_or_default();
    // Headers are read only where they are asked for.
    let subject = match (head.subject.as_str(), head.from.as_str()) {
        ("", "") => "a message",
        ("", _) => "(no subject)",
        (subject, _) => subject,
    };
    let from = if head.from.is_empty() { String::new() } else { format!(", from {}", head.from) };
    let line = format!("{of}{}: {subject} ({time}{from})", piece.folder);
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_tells_what_to_do() {
        let full = Refusal::new(reason::FULL, "Over quota");
        let gone = Refusal::new(reason::NO_MAILBOX, "no such mailbox");
        let of = |found, restored, failures: &[&Refusal]| {
            let mut tally = Tally { found, restored, ..Tally::default() };
            for failure in failures {
                tally.failed(1, failure, || "x".into());
            }
            let done = tally.done(vec!["near".into()]);
            (done.failure.map(|it| it.reason).unwrap_or_default(), done.failed, done.examples)
        };
        assert_eq!(of(0, 0, &[]), ("NothingMatches".into(), 0, vec!["near".into()]));
        assert_eq!(of(1, 1, &[]), (String::new(), 0, vec![]));
        assert_eq!(of(2, 1, &[&full]).0, "QuotaExceeded");
        assert_eq!(of(2, 0, &[&gone, &gone]).0, "NoSuchMailbox");
        assert_eq!(of(3, 1, &[&gone]).0, "PartiallyRestored");
        assert_eq!(
            of(3, 0, &[&gone, &full]),
            (
                "PartiallyRestored".into(),
                2,
                vec!["failed: x: no such mailbox".into(), "failed: x: Over quota".into()]
            )
        );
    }
}

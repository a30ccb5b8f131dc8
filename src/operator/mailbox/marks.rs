//! What status says of a Mailbox's marks, and what of its conditions is told as an Event. Pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::index::{ATTENDED, Absence, Fullness, Key, Marks, QUOTA_LEFT, REVIEW_DUE};
use crate::conditions::{self, Finding};

/// A quota that ran out longer ago than this, in seconds, was told already.
const LATELY: i64 = 3600;

/// The conditions that tell of the marks; none tells that there is nothing to look at. What they say does not change while
/// the mark stands, so that it is written once.
pub fn conditions(key: &Key, generation: i64, marks: Marks) -> Vec<Condition> {
    let review = marks.review_due.map(|since| {
        let message = format!(
            "The day of spec.reviewBy has come. Is the mailbox still needed, and whose is it? Then set a later day, or: kubectl delete mailbox {}",
            key.name
        );
        (Finding::yes(REVIEW_DUE, "DateReached", message), since)
    });
    let absence = marks.absence.map(|Absence { never, since }| (absence(never), since));
    let fullness = marks.fullness.map(|(level, since)| (fullness(level), since));
    let all = [review, absence, fullness].into_iter().flatten();
    all.flat_map(|(finding, since)| {
        let since = Time(Timestamp::from_second(since).unwrap_or(Timestamp::UNIX_EPOCH));
        conditions::merge(&[], &[finding], Some(generation), &since)
    })
    .collect()
}

fn absence(never: bool) -> Finding {
    if never {
        let message = "Nobody has ever logged in to read the mailbox, for as long as spec.review.unattendedAfter of the MailSystem allows. Does its owner have the password? If nobody needs it, delete it: its mail is kept for a time.";
        return Finding::no(ATTENDED, "NeverUsed", message);
    }
    let message = "Mail arrives, and nobody has logged in to read it for as long as spec.review.unattendedAfter of the MailSystem allows: status.usage has the times. Has the owner left? Then name a successor (state Retired), forward the mail, or delete the mailbox: its mail is kept for a time.";
    Finding::no(ATTENDED, "Unattended", message)
}

fn fullness(level: Fullness) -> Finding {
    let (reason, what) = match level {
        Fullness::Nearly => ("NearlyFull", "At least 85 % of spec.quota is used, after 90 % was"),
        Fullness::Full => {
            ("Full", "spec.quota is used up: new mail waits with its senders and comes back to them")
        }
    };
    Finding::no(
        QUOTA_LEFT,
        reason,
        format!("{what}. Have the owner delete mail and empty the trash, or raise spec.quota."),
    )
}

/// What is told as Events: trouble, but not what is only to be looked at some day. A thousand mailboxes may come to be
/// unattended in one night, and the MailSystem says how many they are.
pub fn trouble(conditions: &[Condition], now: Timestamp) -> Vec<Condition> {
    let lately =
        |condition: &Condition| now.as_second() - condition.last_transition_time.0.as_second() < LATELY;
    let told = |condition: &&Condition| match condition.type_.as_str() {
        ATTENDED => false,
        // It may be written again for another reason.
        QUOTA_LEFT => lately(condition),
        _ => condition.status == "False",
    };
    conditions.iter().filter(told).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::ObjectName;

    fn marked(marks: Marks) -> Vec<Condition> {
        let key: Key = ObjectName::new("n", "an").into();
        conditions(&key, 1, marks)
    }

    #[test]
    fn marks_are_read_back_from_what_status_says_of_them() {
        assert!(marked(Marks::default()).is_empty());
        for (never, level) in [(true, Fullness::Nearly), (false, Fullness::Full)] {
            let marks = Marks {
                review_due: Some(1_000_000),
                absence: Some(Absence { never, since: 2_000_000 }),
                fullness: Some((level, 3_000_000)),
            };
            let said = marked(marks);
            assert_eq!(Marks::of(&said), marks);
            assert!(said.iter().all(|condition| condition.message.ends_with(['.', 'n'])), "{said:?}");
        }
    }

    #[test]
    fn only_a_quota_that_just_ran_out_is_an_event() {
        let marks = Marks {
            review_due: Some(1),
            absence: Some(Absence { never: false, since: 1 }),
            fullness: Some((Fullness::Nearly, 1000)),
        };
        let told = |now| {
            let trouble = trouble(&marked(marks), Timestamp::from_second(now).unwrap());
            trouble.into_iter().map(|condition| condition.type_).collect::<Vec<_>>()
        };
        assert_eq!(told(1100), [QUOTA_LEFT]);
        assert!(told(1000 + LATELY).is_empty());
    }
}

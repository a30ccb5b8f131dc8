//! What the Jobs of all shards came to together. Pure.

use std::collections::BTreeSet;

use crate::{
    api::MailRestore,
    job::{Failed, RestoreDone},
    operator::backup::{
        jobs::{Answer, ShardJob, State},
        reasons::remedy,
    },
};

/// So many examples are told.
const EXAMPLES: usize = 20;
/// What says that a shard has nothing of what was asked for: others may.
const NOTHING: &str = "NothingMatches";

/// What a restore came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was counted, over all shards.
    pub done: RestoreDone,
    /// Addresses that no shard's snapshot has.
    pub missing: Vec<String>,
}

/// Puts together what the Jobs say; all have ended.
#[must_use]
pub fn outcome(restore: &MailRestore, jobs: &[ShardJob]) -> Outcome {
    let (mut done, mut failures, mut near) = (RestoreDone::default(), Vec::new(), Vec::new());
    for job in jobs {
        match &job.state {
            State::Ended(Ok(Answer::Restore(of))) => {
                let failure = of.failure.clone();
                done.found += of.found;
                done.restored += of.restored;
                done.skipped += of.skipped;
                done.failed += of.failed;
                done.mailboxes.extend(of.mailboxes.iter().cloned());
                let nothing = failure.as_ref().is_some_and(|failed| failed.reason == NOTHING);
                if nothing { &mut near } else { &mut done.examples }.extend(of.examples.iter().cloned());
                failures.extend(failure.filter(|_| !nothing));
            }
            State::Ended(Err(failed)) => failures.push(failed.clone()),
            _ => {}
        }
    }
    let asked = restore.spec.mailboxes.addresses.iter().map(|address| address.to_lowercase());
    let missing: Vec<_> = asked.filter(|address| !done.mailboxes.contains(address)).collect();
    if done.found == 0 {
        done.examples = near;
    }
    done.examples.truncate(EXAMPLES);
    done.failure = failure(&done, failures, &missing);
    Outcome { done, missing }
}

fn failure(done: &RestoreDone, failures: Vec<Failed>, missing: &[String]) -> Option<Failed> {
    let reasons: BTreeSet<_> = failures.iter().map(|failed| failed.reason.clone()).collect();
    let several = reasons.len() > 1 || (!reasons.is_empty() && !missing.is_empty());
    if let Some(mut first) = failures.into_iter().next() {
        if several && done.restored + done.skipped > 0 {
            "PartiallyRestored".clone_into(&mut first.reason);
        }
        if let Some(remedy) = remedy(&first.reason) {
            first.message = format!("{}: {remedy}", first.message);
        }
        return Some(first);
    }
    let named = missing.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join(", ");
    match (done.found, missing) {
        (0, []) => Some(Failed {
            reason: NOTHING.to_owned(),
            message: "no message of the snapshot fits what is asked for; status.examples has what is near, and nothing was brought back instead".to_owned(),
        }),
        (0, _) => Some(Failed {
            reason: NOTHING.to_owned(),
            message: format!("the snapshot has no message that fits, and no mailbox {named}; status.examples has what is near, and nothing was brought back instead"),
        }),
        (_, []) => None,
        _ => Some(Failed {
            reason: "PartiallyRestored".to_owned(),
            message: format!("the snapshot has no mailbox {named}; what was asked for of the others is there"),
        }),
    }
}

/// What is said of one that succeeded.
#[must_use]
pub fn success(restore: &MailRestore, done: &RestoreDone, of: &str) -> String {
    let RestoreDone { restored, skipped, .. } = done;
    let message = if restore.spec.dry_run {
        format!("{restored} messages would come back, and {skipped} are there; nothing was changed")
    } else {
        format!("{restored} messages came back, and {skipped} were there")
    };
    if restore.spec.from.point_in_time.is_some() {
        return format!(
            "{message}; it is mail as of {of}: what was delivered between that and the time that is asked for is in the journal alone (kubectl mail replay)"
        );
    }
    message
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;

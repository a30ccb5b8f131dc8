//! What a run came to: what its Jobs say comes in, what is remembered of it goes out. Pure.

use std::collections::BTreeSet;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{
    decide::SUCCEEDED,
    jobs::{Answer, ShardJob, State},
    snapshots::Listing,
    words,
};
use crate::{
    api::{
        MailBackupStatus,
        backup::{Activity, PastRun, Running},
    },
    job::{BackupDone, Failed, MaintainDone, VerifyDone, Work},
    quantity,
};

/// So many runs are remembered, and so many mailboxes named.
const MOST: usize = 20;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is remembered.
    pub past: PastRun,
    /// What was learnt of the repositories.
    pub listings: Vec<Listing>,
    /// Shards of which it has no snapshot.
    pub lacking: BTreeSet<u32>,
    /// The first failure.
    pub failed: Option<Failed>,
}

/// What came of a shard.
type Ended<'a> = (u32, &'a Work, Result<&'a Answer, &'a Failed>);

/// What the run came to. `cut_off` is why it could not go on, and at which shard; `known` are shards that have a snapshot
/// already.
#[must_use]
pub fn outcome(
    running: &Running,
    jobs: &[ShardJob],
    cut_off: Option<(u32, Failed)>,
    known: &BTreeSet<u32>,
    now: &Time,
) -> Outcome {
    let mut ended: Vec<Ended<'_>> = jobs
        .iter()
        .filter_map(|job| match &job.state {
            State::Ended(result) => Some((job.shard, &job.work, result.as_ref())),
            _ => None,
        })
        .collect();
    ended.sort_by_key(|(shard, ..)| *shard);
    let mut failures: Vec<(u32, Failed)> = Vec::new();
    for (shard, _, result) in &ended {
        let failed = result.map_or_else(Some, Answer::failed);
        failures.extend(failed.cloned().map(|failed| (*shard, failed)));
    }
    let some_good = failures.len() < ended.len();
    failures
        .retain(|(shard, failed)| !is_harmless(running.activity, failed, !known.contains(shard), some_good));
    failures.extend(cut_off);
    let failed = said(&failures, ended.len()).or_else(|| {
        ended.is_empty().then(|| Failed { reason: "JobFailed".into(), message: "nothing was begun".into() })
    });
    let past = PastRun {
        run: running.run.clone(),
        activity: running.activity,
        started: running.started.clone(),
        finished: Some(now.clone()),
        reason: failed.as_ref().map_or_else(|| SUCCEEDED.to_owned(), |failed| failed.reason.clone()),
        message: failed.as_ref().map_or_else(|| summary(&ended), |failed| failed.message.clone()),
        mailboxes: mailboxes(&ended),
    };
    Outcome {
        past,
        listings: ended.iter().filter_map(|it| listing(it, known)).collect(),
        lacking: failures.into_iter().map(|(shard, _)| shard).collect(),
        failed,
    }
}

/// A shard that never had a mailbox, or none that is selected, spoils no backup of others; and there is no repository
/// before the first backup.
fn is_harmless(activity: Activity, failed: &Failed, new: bool, some_good: bool) -> bool {
    match (activity, failed.reason.as_str()) {
        (Activity::Backup, "SelectorMatchesNothing") => some_good,
        (Activity::Backup, "Empty") => some_good && new,
        (Activity::Maintain, "RepositoryMissing") => new,
        _ => false,
    }
}

fn said(failures: &[(u32, Failed)], shards: usize) -> Option<Failed> {
    let (shard, first) = failures.first()?;
    let more = if failures.len() > 1 { format!(" (and {} more)", failures.len() - 1) } else { String::new() };
    let which = if shards > 1 { format!("shard {shard}: ") } else { String::new() };
    Some(Failed { reason: first.reason.clone(), message: format!("{which}{}{more}", first.message) })
}

fn summary(ended: &[Ended<'_>]) -> String {
    let answers = || ended.iter().filter_map(|(.., result)| result.ok());
    let backups: Vec<_> = answers()
        .filter_map(|answer| match answer {
            Answer::Backup(done) => done.snapshot.as_ref(),
            _ => None,
        })
        .collect();
    let proofs: Vec<_> = answers()
        .filter_map(|answer| match answer {
            Answer::Verify(done) => Some(done.counted),
            _ => None,
        })
        .collect();
    if !backups.is_empty() {
        let mailboxes: u64 = backups.iter().filter_map(|stored| stored.mailboxes).sum();
        let messages: u64 = backups.iter().filter_map(|stored| stored.messages).sum();
        let added: u64 = backups.iter().filter_map(|stored| stored.added).sum();
        return format!(
            "{mailboxes} mailboxes, {messages} messages; the repository grew by {}",
            words::size(added)
        );
    }
    if !proofs.is_empty() {
        let sum = |of: fn(&crate::job::Counted) -> u64| proofs.iter().map(of).sum::<u64>();
        return format!(
            "{} mailboxes and {} messages were counted, {} files compared, {} messages read",
            sum(|it| it.mailboxes),
            sum(|it| it.messages),
            sum(|it| it.files),
            sum(|it| it.read)
        );
    }
    String::new()
}

fn mailboxes(ended: &[Ended<'_>]) -> Vec<String> {
    let named = ended.iter().filter_map(|(.., result)| result.ok()).flat_map(|answer| match answer {
        Answer::Backup(BackupDone { lacking: named, .. })
        | Answer::Verify(VerifyDone { mailboxes: named, .. }) => named.iter().cloned().collect::<Vec<_>>(),
        Answer::Maintain(_) | Answer::Restore(_) | Answer::Objects(_) => Vec::new(),
    });
    named.collect::<BTreeSet<_>>().into_iter().take(MOST).collect()
}

/// What a shard's answer says of its repository.
fn listing((shard, work, result): &Ended<'_>, known: &BTreeSet<u32>) -> Option<Listing> {
    let (shard, forgotten) = (*shard, BTreeSet::new());
    match (result.ok()?, work) {
        (Answer::Backup(done), _) => {
            let stored = done.snapshot.clone()?;
            Some(Listing { shard, stored: vec![stored], whole: false, forgotten })
        }
        (Answer::Maintain(done), Work::Maintain(work)) => {
            let missing = done.failed.as_ref().is_some_and(|it| it.reason == "RepositoryMissing");
            let whole = done.failed.is_none() || (missing && !known.contains(&shard));
            Some(Listing { shard, stored: done.snapshots.clone(), whole, forgotten: work.forget.clone() })
        }
        _ => None,
    }
}

/// Writes down in `status` what the run came to.
pub fn remember(status: &mut MailBackupStatus, outcome: &Outcome, jobs: &[ShardJob], now: &Time) {
    let good = outcome.failed.is_none();
    let answers = || {
        jobs.iter().filter_map(|job| match &job.state {
            State::Ended(Ok(answer)) => Some(answer),
            _ => None,
        })
    };
    match outcome.past.activity {
        Activity::Backup if good => {
            let frozen = answers().filter_map(|answer| match answer {
                Answer::Backup(done) => done.snapshot.as_ref().map(|stored| stored.frozen),
                _ => None,
            });
            let seconds = frozen.min().map(|millis| millis.div_euclid(1000));
            status.last_success = seconds.and_then(|it| Timestamp::from_second(it).ok()).map(Time);
        }
        Activity::Maintain if good => {
            status.last_listed = Some(now.clone());
            let sizes = answers().map(|answer| match answer {
                Answer::Maintain(MaintainDone { size, failed, .. }) => size.or(failed.as_ref().map(|_| 0)),
                _ => None,
            });
            if let Some(bytes) = sizes.sum::<Option<u64>>() {
                status.size = Some(quantity::text(bytes.into()));
            }
        }
        _ => {}
    }
    status.running = None;
    // Listings are of interest when they fail.
    if outcome.past.activity != Activity::Maintain || !good {
        push(&mut status.history, outcome.past.clone());
    } else {
        status.history.retain(|run| run.activity != Activity::Maintain);
    }
}

/// Adds a run, the newest first. Of each kind the latest stays, however many others there are.
pub fn push(history: &mut Vec<PastRun>, run: PastRun) {
    if run.activity == Activity::Maintain {
        history.retain(|old| old.activity != Activity::Maintain);
    }
    history.insert(0, run);
    while history.len() > MOST {
        let newest = |at: usize| {
            let kind = history.get(at).map(|run| run.activity);
            !history.iter().take(at).any(|run| Some(run.activity) == kind)
        };
        let goes = (0..history.len()).rev().find(|at| !newest(*at)).unwrap_or(MOST);
        history.remove(goes);
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;

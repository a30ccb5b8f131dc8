//! What is begun next, and what becomes of what runs: one decision of what is known at a moment. Pure; the time comes in.
//!
//! One thing at a time. The repository is listed before all else when nothing is known of it; then comes a backup that is due,
//! then what a backup leaves to do (listing, forgetting what retention lets go), then a proof.

use jiff::{SignedDuration, Timestamp};

use super::{
    jobs::{ShardJob, State},
    validated::Validated,
};
use crate::{
    api::{
        MailBackupStatus,
        backup::{Activity, PastRun, VerifyMode},
    },
    backup::schedule::{Due, Policy},
};

/// What is said of a run that did what it should.
pub const SUCCEEDED: &str = "Succeeded";
/// What is said of a run that came too late.
pub const LEFT_OUT: &str = "LeftOut";
/// Between two listings, if nothing else asks for one.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// After a failure.
const AGAIN: SignedDuration = SignedDuration::from_mins(15);
/// How often something is tried whose failure may pass.
const TRIES: usize = 3;
/// Between listings that are made only to forget something.
const FORGETTING: SignedDuration = SignedDuration::from_mins(1);
/// Failures that may pass by themselves.
const PASSING: [&str; 8] = [
    "JobFailed",
    "Unreachable",
    "Stalled",
    "Killed",
    "Cancelled",
    "RepositoryLocked",
    "NoSpace",
    "StoreNotReady",
];

/// What is known while nothing runs.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub struct Now<'a> {
    /// The time.
    pub at: Timestamp,
    /// When the MailBackup was made.
    pub created: Timestamp,
    /// What is wanted.
    pub validated: &'a Validated,
    /// What was done.
    pub status: &'a MailBackupStatus,
    /// What somebody asked for by annotation.
    pub run_now: Option<&'a str>,
    /// Whether a backup can be made.
    pub ready: bool,
    /// Whether the MailSnapshots may not be what the repository has.
    pub doubtful: bool,
    /// Whether some snapshots are to be forgotten.
    pub forget: bool,
    /// Whether there is a complete snapshot, to be proven.
    pub provable: bool,
}

/// What to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// A backup. What is remembered of it: the time of the schedule for which it stands, and the word that asked for it.
    Backup(Option<Timestamp>, Option<String>),
    /// A proof, for this time of its schedule.
    Verify(Timestamp),
    /// A listing.
    Maintain,
    /// Nothing: this time of the schedule came too late.
    LeaveOut(Timestamp),
    /// Nothing until then.
    Wait(Option<Timestamp>),
}

/// Decides what to begin.
#[must_use]
pub fn begin(now: &Now<'_>) -> Begin {
    let (listing, proof) = (listing(now), proof(now));
    // Nothing is known of the repository yet.
    if now.status.last_listed.is_none() && listing == Some(now.at) {
        return Begin::Maintain;
    }
    let backup = backup(now);
    if !matches!(backup, Begin::Wait(_)) {
        return backup;
    }
    if listing.is_some_and(|at| at <= now.at) {
        return Begin::Maintain;
    }
    if let Some(scheduled) = proof.filter(|at| *at <= now.at) {
        return Begin::Verify(scheduled);
    }
    let Begin::Wait(next) = backup else { return backup };
    Begin::Wait([next, listing, proof].into_iter().flatten().min())
}

fn backup(now: &Now<'_>) -> Begin {
    let Now { at, validated, status, .. } = *now;
    if !now.ready || validated.policy.suspended {
        return Begin::Wait(None);
    }
    let asked = now.run_now.filter(|asked| status.last_run_now.as_deref() != Some(asked));
    if let Some(asked) = asked {
        return Begin::Backup(validated.schedule.is_none().then_some(at), Some(asked.to_owned()));
    }
    let again = again(status, Activity::Backup);
    let repeat = |next: Option<Timestamp>| match again {
        Some(again) if again <= at => Begin::Backup(None, None),
        again => Begin::Wait([next, again].into_iter().flatten().min()),
    };
    let Some(schedule) = &validated.schedule else {
        return if status.last_scheduled.is_none() { Begin::Backup(Some(at), None) } else { repeat(None) };
    };
    let since = status.last_scheduled.as_ref().map_or(now.created, |time| time.0);
    match schedule.due(since, at, validated.policy) {
        Due::Run { scheduled, .. } => Begin::Backup(Some(scheduled), None),
        Due::TooLate { scheduled, .. } => Begin::LeaveOut(scheduled),
        Due::Wait(next) => repeat(next),
        Due::Suspended => Begin::Wait(None),
    }
}

/// When the repository is to be listed.
fn listing(now: &Now<'_>) -> Option<Timestamp> {
    let paused = latest(now.status, Activity::Maintain).filter(|run| run.reason != SUCCEEDED);
    let paused = paused.and_then(ended).and_then(|at| at.checked_add(AGAIN).ok());
    let Some(listed) = now.status.last_listed.as_ref().map(|time| time.0) else {
        return Some(paused.map_or(now.at, |paused| paused.max(now.at)));
    };
    let due = if now.doubtful {
        Some(now.at)
    } else if now.validated.policy.suspended || now.validated.store.is_none() {
        None
    } else if latest(now.status, Activity::Backup).and_then(ended).is_some_and(|ended| ended > listed) {
        Some(now.at)
    } else if now.forget {
        listed.checked_add(FORGETTING).ok()
    } else {
        listed.checked_add(DAY).ok()
    };
    due.map(|due| paused.map_or(due, |paused| paused.max(due)))
}

/// When something is to be proven.
fn proof(now: &Now<'_>) -> Option<Timestamp> {
    let Now { at, validated, status, .. } = *now;
    let possible = now.provable && !validated.policy.suspended && validated.store.is_some();
    if validated.verify.mode == VerifyMode::None || !possible {
        return None;
    }
    let last = status.last_verify_scheduled.as_ref().map(|time| time.0);
    let again = again(status, Activity::Verify);
    let Some(schedule) = &validated.verify.schedule else {
        let good = latest(status, Activity::Backup).filter(|run| run.reason == SUCCEEDED).and_then(ended);
        return good.filter(|good| last.is_none_or(|last| last < *good)).map(|_| at).or(again);
    };
    match schedule.due(last.unwrap_or(now.created), at, Policy::default()) {
        Due::Run { scheduled, .. } => Some(scheduled),
        Due::Wait(next) => [next, again].into_iter().flatten().min(),
        Due::TooLate { .. } | Due::Suspended => None,
    }
}

/// When something is tried again whose failure may pass.
fn again(status: &MailBackupStatus, activity: Activity) -> Option<Timestamp> {
    let runs = || status.history.iter().filter(|run| run.activity == activity && run.reason != LEFT_OUT);
    let failures = runs().take_while(|run| run.reason != SUCCEEDED).count();
    let last = runs().next().filter(|run| PASSING.contains(&run.reason.as_str()))?;
    if failures >= TRIES {
        return None;
    }
    ended(last)?.checked_add(AGAIN).ok()
}

/// The latest run of this kind.
#[must_use]
pub fn latest(status: &MailBackupStatus, activity: Activity) -> Option<&PastRun> {
    status.history.iter().find(|run| run.activity == activity && run.reason != LEFT_OUT)
}

fn ended(run: &PastRun) -> Option<Timestamp> {
    run.finished.as_ref().map(|time| time.0)
}

/// Names a run; `taken` are names that there are.
#[must_use]
pub fn name(backup: &str, activity: Activity, at: Timestamp, taken: impl Fn(&str) -> bool) -> String {
    let kind = match activity {
        Activity::Backup => "",
        Activity::Verify => "v-",
        Activity::Maintain => "m-",
    };
    let name = |seconds: i64| {
        let at = at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at);
        format!("{backup}-{kind}{}", at.strftime("%Y%m%d-%H%M%S"))
    };
    (0..60).map(name).find(|name| !taken(name)).unwrap_or_else(|| name(60))
}

/// What becomes of what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The Job of this shard is made.
    Create(u32),
    /// Nothing yet.
    Wait,
    /// All shards are done.
    End,
}

/// How many shards are worked on at a time.
const fn width(activity: Activity) -> usize {
    match activity {
        Activity::Backup => 2,
        // Each needs a volume as large as a store's; and listing takes seconds.
        Activity::Verify | Activity::Maintain => 1,
    }
}

/// Decides what becomes of what runs.
#[must_use]
pub fn advance(activity: Activity, shards: &[u32], jobs: &[ShardJob]) -> Advance {
    let busy = jobs.iter().filter(|job| !matches!(job.state, State::Ended(_))).count();
    let lacking = shards.iter().copied().find(|shard| !jobs.iter().any(|job| job.shard == *shard));
    match lacking {
        Some(shard) if busy < width(activity) => Advance::Create(shard),
        None if busy == 0 => Advance::End,
        _ => Advance::Wait,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;

//! The conditions of a MailBackup, and the figures beside them. Pure. They say True only of what was seen.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    decide::{SUCCEEDED, latest},
    reasons::{remedy, word},
    validate::Problem,
    validated::Validated,
};
use crate::{
    api::{
        MailBackupStatus,
        backup::{Activity, VerifyMode},
    },
    conditions::{self, Finding, merge},
};

/// Whether backups can be made, and are made when they are due.
pub const READY: &str = "Ready";
/// Whether the latest run succeeded.
pub const SUCCESS: &str = "Succeeded";
/// Whether the latest proof did.
pub const VERIFIED: &str = "Verified";
/// That snapshots went from the repository without our doing. It is there only then.
pub const VANISHED: &str = "SnapshotsVanished";
/// For so long it is told, in days.
const TOLD: i64 = 7;

/// What conditions are made of, besides the status.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// What is lacking.
    pub problem: Option<&'a Problem>,
    /// What is checked, if anything can be done.
    pub validated: Option<&'a Validated>,
    /// Who holds the Lease of the place.
    pub held: Option<&'a str>,
    /// What just vanished.
    pub vanished: &'a [(u32, String, String)],
}

/// The conditions.
#[must_use]
pub fn conditions(
    status: &MailBackupStatus,
    said: Said<'_>,
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    let mut findings = vec![ready(status, said), succeeded(status), verified(status, said.validated)];
    findings.extend(vanished(status, said.vanished, now));
    merge(&status.conditions, &findings, generation, now)
}

fn ready(status: &MailBackupStatus, said: Said<'_>) -> Finding {
    if let Some(problem) = said.problem {
        return Finding::no(READY, problem.reason, problem.message.clone());
    }
    if let Some(holder) = said.held {
        let message = format!("{holder} works on the repository; it is waited for");
        return Finding::no(READY, "RepositoryBusy", message);
    }
    // What failed last shows whether it works.
    let works = [Activity::Maintain, Activity::Backup].into_iter().filter_map(|kind| latest(status, kind));
    if let Some(run) =
        works.filter(|run| run.reason != SUCCEEDED).max_by_key(|run| run.finished.as_ref().map(|at| at.0))
    {
        let remedy = remedy(&run.reason).map(|remedy| format!(": {remedy}")).unwrap_or_default();
        let message = format!("{}: {}{remedy}", run.run, run.message);
        return Finding::no(READY, word(&run.reason), message);
    }
    let Some(v) = said.validated else {
        return Finding::unknown(READY, "NotChecked", "it was not looked at yet");
    };
    if v.policy.suspended {
        return Finding::yes(READY, "Suspended", "nothing begins while spec.suspend is true");
    }
    if let Some(running) = &status.running {
        return Finding::yes(READY, "Running", format!("{} runs", running.run));
    }
    match &status.next_run {
        Some(next) => Finding::yes(READY, "Scheduled", format!("the next backup is due at {}", next.0)),
        None if v.schedule.is_some() => Finding::yes(READY, "Scheduled", "a backup is due"),
        None if status.last_success.is_some() => {
            Finding::yes(READY, "Done", "it has no schedule, and a backup was made")
        }
        None => Finding::yes(READY, "Beginning", "the backup is about to begin"),
    }
}

fn succeeded(status: &MailBackupStatus) -> Finding {
    match latest(status, Activity::Backup) {
        None => Finding::unknown(SUCCESS, "NotRun", "no backup was made yet"),
        Some(run) if run.reason == SUCCEEDED => {
            Finding::yes(SUCCESS, "Succeeded", format!("{}: {}", run.run, run.message))
        }
        Some(run) => Finding::no(SUCCESS, word(&run.reason), with_mailboxes(run)),
    }
}

fn verified(status: &MailBackupStatus, validated: Option<&Validated>) -> Finding {
    let mode = validated.map(|v| v.verify.mode);
    let run = latest(status, Activity::Verify);
    match (mode, run) {
        (Some(VerifyMode::None), _) => {
            Finding::unknown(VERIFIED, "Disabled", "nothing is proven (spec.verify.mode: None)")
        }
        (_, None) => Finding::unknown(VERIFIED, "NotRun", "no backup was restored for a proof yet"),
        (_, Some(run)) if run.reason != SUCCEEDED => {
            Finding::no(VERIFIED, word(&run.reason), with_mailboxes(run))
        }
        (_, Some(run)) if status.last_verified.is_some() && status.last_verified == run.finished => {
            let snapshot = status.verified_snapshot.as_deref().unwrap_or_default();
            let time = status.restore_time.as_deref().map(|time| format!(" in {time}")).unwrap_or_default();
            Finding::yes(VERIFIED, "Verified", format!("{snapshot} was restored{time}: {}", run.message))
        }
        (_, Some(_)) => Finding::unknown(
            VERIFIED,
            "OnlyChecked",
            "all data of the repository were read, and nothing was restored (spec.verify.mode: Check)",
        ),
    }
}

fn with_mailboxes(run: &crate::api::backup::PastRun) -> String {
    let named = if run.mailboxes.is_empty() {
        String::new()
    } else {
        format!(" (mailboxes: {})", run.mailboxes.join(", "))
    };
    let remedy = remedy(&run.reason).map(|remedy| format!(": {remedy}")).unwrap_or_default();
    format!("{}: {}{named}{remedy}", run.run, run.message)
}

fn vanished(status: &MailBackupStatus, now_gone: &[(u32, String, String)], now: &Time) -> Option<Finding> {
    if now_gone.is_empty() {
        let old = conditions::get(&status.conditions, VANISHED)?;
        let days = now.0.duration_since(old.last_transition_time.0).as_hours() / 24;
        return (days < TOLD).then(|| Finding::yes(VANISHED, "Vanished", old.message.clone()));
    }
    let named: Vec<_> = now_gone
        .iter()
        .take(10)
        .map(|(shard, run, id)| format!("{run} (shard {shard}, {})", id.get(..8).unwrap_or(id)))
        .collect();
    let more = if now_gone.len() > 10 { format!(" and {} more", now_gone.len() - 10) } else { String::new() };
    let message = format!(
        "snapshots are not in the repository any more, and this operator did not remove them: {}{more}. See who has access to it; a bucket with object lock can bring them back",
        named.join(", ")
    );
    Some(Finding::yes(VANISHED, "Vanished", message))
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

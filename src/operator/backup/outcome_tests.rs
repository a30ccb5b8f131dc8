use super::*;
use crate::operator::backup::testing::{job, of_run, stored};

fn now() -> Time {
    serde_json::from_value("2026-12-05T12:00:00Z".into()).unwrap()
}

fn came_to(activity: Activity, jobs: &[ShardJob], known: &[u32]) -> Outcome {
    let running = Running { run: "r".into(), activity, ..Running::default() };
    outcome(&running, jobs, None, &known.iter().copied().collect(), &now())
}

fn backup(shard: u32, failed: Option<&str>) -> ShardJob {
    let failed = failed.map(|reason| Failed { reason: reason.into(), message: "m".into() });
    let snapshot = if failed.is_none() { stored(shard, "r").snapshot } else { None };
    job(shard, State::Ended(Ok(Answer::Backup(BackupDone { snapshot, failed, ..stored(shard, "r") }))))
}

fn maintained(shard: u32, failed: Option<&str>) -> ShardJob {
    let failed = failed.map(|reason| Failed { reason: reason.into(), message: "m".into() });
    let snapshots = if failed.is_none() { vec![of_run(shard, "r", 5)] } else { Vec::new() };
    job(shard, State::Ended(Ok(Answer::Maintain(MaintainDone { snapshots, size: Some(1 << 30), failed }))))
}

#[test]
fn a_backup_succeeds_when_every_shard_does() {
    let good = came_to(Activity::Backup, &[backup(0, None), backup(1, None)], &[]);
    assert_eq!(good.past.reason, "Succeeded");
    assert_eq!(good.past.message, "4 mailboxes, 20 messages; the repository grew by 2.0 KiB");
    let bad = came_to(Activity::Backup, &[backup(0, None), backup(1, Some("NoSpace"))], &[]);
    assert_eq!((bad.past.reason.as_str(), bad.past.message.as_str()), ("NoSpace", "shard 1: m"));
    assert_eq!((bad.listings.len(), bad.lacking), (1, [1].into()));
    let lost = job(0, State::Ended(Err(Failed { reason: "JobFailed".into(), message: "gone".into() })));
    assert_eq!(came_to(Activity::Backup, &[lost], &[]).past.reason, "JobFailed");
    assert_eq!(came_to(Activity::Backup, &[], &[]).past.reason, "JobFailed", "nothing is no success");
}

#[test]
fn a_shard_without_mailboxes_spoils_no_backup_unless_it_had_some() {
    let of = |reason, known: &[u32]| {
        came_to(Activity::Backup, &[backup(0, None), backup(1, Some(reason))], known).past.reason
    };
    assert_eq!(of("Empty", &[]), "Succeeded");
    assert_eq!(of("Empty", &[1]), "Empty", "where did its mail go?");
    assert_eq!(of("SelectorMatchesNothing", &[1]), "Succeeded");
    assert_eq!(came_to(Activity::Backup, &[backup(0, Some("Empty"))], &[]).past.reason, "Empty");
}

#[test]
fn there_is_no_repository_before_the_first_backup() {
    let missing =
        |known: &[u32]| came_to(Activity::Maintain, &[maintained(0, Some("RepositoryMissing"))], known);
    assert_eq!(missing(&[]).past.reason, "Succeeded");
    assert!(missing(&[]).listings[0].whole);
    assert_eq!(missing(&[0]).past.reason, "RepositoryMissing");
    assert!(!missing(&[0]).listings[0].whole, "nothing is taken for gone");
    assert!(!came_to(Activity::Maintain, &[maintained(0, Some("Unreachable"))], &[]).listings[0].whole);
}

#[test]
fn what_is_remembered_is_what_happened() {
    let mut status = MailBackupStatus { running: Some(Running::default()), ..MailBackupStatus::default() };
    let jobs = [backup(0, None)];
    remember(&mut status, &came_to(Activity::Backup, &jobs, &[]), &jobs, &now());
    assert_eq!(status.last_success.as_ref().unwrap().0.as_second(), 1_796_000_000);
    assert!(status.running.is_none() && status.last_listed.is_none());
    let jobs = [maintained(0, None), maintained(1, None)];
    remember(&mut status, &came_to(Activity::Maintain, &jobs, &[]), &jobs, &now());
    assert_eq!((status.size.as_deref(), status.last_listed.clone()), (Some("2Gi"), Some(now())));
    assert_eq!(status.history.len(), 1, "a listing is of interest when it fails");
    let jobs = [backup(0, Some("NoSpace"))];
    remember(&mut status, &came_to(Activity::Backup, &jobs, &[]), &jobs, &now());
    assert_eq!(status.last_success.as_ref().unwrap().0.as_second(), 1_796_000_000);
    assert_eq!(status.history[0].reason, "NoSpace");
}

#[test]
fn of_each_kind_the_latest_is_remembered() {
    let run = |activity, run: &str| PastRun { run: run.into(), activity, ..PastRun::default() };
    let mut history = Vec::new();
    push(&mut history, run(Activity::Backup, "b"));
    for n in 0..30 {
        push(&mut history, run(Activity::Verify, &n.to_string()));
        push(&mut history, run(Activity::Maintain, "m"));
    }
    assert_eq!(history.len(), MOST);
    assert_eq!((history[0].run.as_str(), history[1].run.as_str()), ("m", "29"));
    assert_eq!(history.last().unwrap().run, "b");
}

//! What the Job of a shard is told to do, and what it needs for that. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::{
    snapshots::{ids, provable, to_forget},
    validated::Validated,
};
use crate::{
    api::{
        MailBackupStatus, MailSnapshot,
        backup::{Activity, VerifyMode},
    },
    job::{BackupWork, MaintainWork, VerifyWork, Work},
    operator::desired::backup::Extra,
};

/// Memory that restic needs for each message, in bytes: measured, of a first run.
const FOR_EACH_MESSAGE: u64 = 1200;
/// What it needs besides.
const BASE: u64 = 512 << 20;
/// Its bound where nobody has counted messages yet: of five million.
const UNKNOWN: &str = "6Gi";

/// What to do about this shard, and what the Job needs; why there is nothing to do, if something is lacking.
///
/// `proving` is the MailSnapshot that the run proves, if one of its Jobs says so already; `objects` are Secrets with objects
/// that go along.
///
/// # Errors
/// What is lacking, in words.
pub fn work(
    v: &Validated,
    (activity, run, shard): (Activity, &str, u32),
    (status, existing): (&MailBackupStatus, &[MailSnapshot]),
    proving: Option<&str>,
    objects: &[String],
) -> Result<(Work, Extra), String> {
    let repository = v.place.repository(&v.system, shard);
    let mut extra = Extra { run: run.to_owned(), shard, ..Extra::default() };
    let stays = existing.iter().filter(|snapshot| snapshot.metadata.deletion_timestamp.is_none());
    let work = match (activity, v.verify.mode) {
        (Activity::Backup, _) => {
            let store = v.store.as_ref().ok_or("the MailSystem is gone")?;
            let source = store.shards.get(shard as usize).ok_or("the shard is gone")?.as_ref()?;
            let expected = ids(stays, shard);
            // They go along once: whoever looks for them knows of no other shard.
            let objects = if shard == 0 { objects.to_vec() } else { Vec::new() };
            extra.data = Some(source.data.clone());
            extra.memory = Some(("256Mi".to_owned(), bound(existing, v.shards())));
            extra.objects.clone_from(&objects);
            Work::Backup(BackupWork {
                repository,
                run: run.to_owned(),
                shard,
                pod: source.pod.clone(),
                lag: source.lag,
                create: expected.is_empty(),
                expected,
                mailboxes: v.mailboxes.clone(),
                objects: !objects.is_empty(),
            })
        }
        (Activity::Verify, VerifyMode::Restore) => {
            let snapshot = match proving {
                Some(name) => existing.iter().find(|snapshot| snapshot.name_any() == name),
                None => provable(existing),
            };
            let snapshot = snapshot.ok_or("there is no complete snapshot any more")?;
            let part = snapshot.spec.parts.iter().find(|part| part.shard == shard);
            let part = part.ok_or_else(|| format!("the snapshot has no part of shard {shard}"))?;
            extra.scratch = Some(v.verify.scratch.clone());
            extra.memory = Some(("512Mi".to_owned(), bound(existing, v.shards())));
            Work::Verify(VerifyWork {
                repository,
                snapshot: part.id.clone(),
                sample_percent: v.verify.sample,
                seed: seed(run),
            })
        }
        (Activity::Verify, _) => {
            Work::Maintain(MaintainWork { repository, forget: BTreeSet::new(), read: true })
        }
        (Activity::Maintain, _) => {
            let gone = to_forget(v, status, existing);
            let forget = ids(existing.iter().filter(|it| gone.contains(&it.name_any())), shard);
            Work::Maintain(MaintainWork { repository, forget, read: false })
        }
    };
    Ok((work, extra))
}

/// A bound of memory that grows with the messages of the latest snapshots.
fn bound(existing: &[MailSnapshot], shards: u32) -> String {
    let messages = existing.iter().filter_map(|it| it.status.as_ref()?.messages).max();
    let Some(messages) = messages else { return UNKNOWN.to_owned() };
    // Shards are not all alike: each may have twice its share.
    let share = messages.saturating_mul(2) / u64::from(shards.max(1));
    let bytes = BASE.saturating_add(share.min(messages).saturating_mul(FOR_EACH_MESSAGE)).max(2 << 30);
    format!("{}Mi", bytes >> 20)
}

/// Which messages are read differs from run to run.
fn seed(run: &str) -> u64 {
    let hash = Sha256::digest(run.as_bytes());
    hash.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// The name of a shard's Job.
#[must_use]
pub fn job_name(run: &str, shard: u32) -> String {
    format!("{run}-{shard}")
}

/// Which shards a run has.
#[must_use]
pub fn shards(
    v: &Validated,
    activity: Activity,
    existing: &[MailSnapshot],
    proving: Option<&str>,
) -> Vec<u32> {
    if (activity, v.verify.mode) != (Activity::Verify, VerifyMode::Restore) {
        return (0..v.shards()).collect();
    }
    let snapshot = match proving {
        Some(name) => existing.iter().find(|snapshot| snapshot.name_any() == name),
        None => provable(existing),
    };
    // It may have no part of a shard that came later, or that has none of the selected mailboxes.
    snapshot.map_or_else(|| vec![0], |snapshot| snapshot.spec.parts.iter().map(|part| part.shard).collect())
}

/// What an estimate needs: how far a run is, of a hundred, and when it began.
#[must_use]
pub fn estimate(started: Timestamp, now: Timestamp, percent: u32) -> Option<Timestamp> {
    if !(3..100).contains(&percent) {
        return None;
    }
    let taken = now.duration_since(started).as_secs();
    let left = taken.checked_mul(i64::from(100 - percent))? / i64::from(percent);
    Timestamp::from_second(now.as_second().checked_add(left)?).ok()
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;

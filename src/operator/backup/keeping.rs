//! What MailSnapshots say of themselves, and which of them go. Pure.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{decide::latest, snapshots::COMPLETE, validated::Validated};
use crate::{
    api::{
        MailBackupStatus, MailSnapshot,
        backup::{Activity, ReclaimPolicy},
    },
    backup::{
        restic::SnapshotId,
        retention::{self, Kept},
    },
    conditions,
    names::FORGET,
};

/// So many ids at most are told to a Job: its environment has no room for more.
const IDS: usize = 1500;

/// Whether the object says that it has all.
#[must_use]
pub fn is_complete(snapshot: &MailSnapshot) -> bool {
    snapshot.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, COMPLETE))
}

/// Whether it is not known whether it has all.
#[must_use]
pub fn is_doubtful(snapshot: &MailSnapshot) -> bool {
    let complete = snapshot.status.as_ref().and_then(|it| conditions::get(&it.conditions, COMPLETE));
    complete.is_none_or(|complete| complete.status == "Unknown")
}

/// The snapshot that is proven next: the latest that has all.
#[must_use]
pub fn provable(existing: &[MailSnapshot]) -> Option<&MailSnapshot> {
    let stays = existing.iter().filter(|snapshot| snapshot.metadata.deletion_timestamp.is_none());
    stays.filter(|snapshot| is_complete(snapshot)).max_by_key(|snapshot| snapshot.spec.time.0)
}

/// The runs to be forgotten: those that retention lets go, and those whose objects were deleted with that meaning. Never the
/// last that was proven and has all, nor the one that `status` says was; and nothing while the repository is told to be
/// damaged: who saves what is left needs it as it is.
#[must_use]
pub fn to_forget(v: &Validated, status: &MailBackupStatus, existing: &[MailSnapshot]) -> BTreeSet<String> {
    if v.policy.suspended || v.store.is_none() || is_damaged(status) {
        return BTreeSet::new();
    }
    let verified = |snapshot: &MailSnapshot| {
        is_complete(snapshot) && snapshot.status.as_ref().is_some_and(|status| status.verified.is_some())
    };
    let proven = existing.iter().filter(|it| verified(it)).max_by_key(|it| it.spec.time.0);
    let protected: BTreeSet<_> =
        proven.map(ResourceExt::name_any).into_iter().chain(status.verified_snapshot.clone()).collect();
    let kept = |snapshot: &MailSnapshot| {
        Some(Kept {
            id: SnapshotId::parse(&snapshot.spec.parts.first()?.id)?,
            time: snapshot.spec.time.0,
            verified: verified(snapshot),
            succeeded: is_complete(snapshot),
        })
    };
    let stays = |snapshot: &&MailSnapshot| snapshot.metadata.deletion_timestamp.is_none();
    // What is not known to be whole or not takes no place and gives none.
    let judged = existing.iter().filter(stays).filter(|snapshot| !is_doubtful(snapshot));
    let all: Vec<_> = judged.clone().filter_map(kept).collect();
    let gone = retention::forget(&v.keep, &v.zone, &all);
    let by_retention = judged.filter(|it| kept(it).is_some_and(|kept| gone.contains(&kept.id)));
    // Those of a former MailBackup of this name went with it: nobody meant their snapshots.
    let ours = |it: &MailSnapshot| it.owner_references().iter().any(|owner| owner.uid == v.owner.uid);
    let deleted = existing
        .iter()
        .filter(|it| !stays(it) && v.reclaim == ReclaimPolicy::Delete && has_finalizer(it) && ours(it));
    let all = by_retention.chain(deleted).map(ResourceExt::name_any);
    all.filter(|name| !protected.contains(name)).collect()
}

/// Whether the latest backup or proof found the repository damaged.
fn is_damaged(status: &MailBackupStatus) -> bool {
    [Activity::Backup, Activity::Verify]
        .iter()
        .filter_map(|activity| latest(status, *activity))
        .any(|run| run.reason == "RepositoryDamaged")
}

/// Whether it waits for its snapshots to be forgotten when it is deleted.
#[must_use]
pub fn has_finalizer(snapshot: &MailSnapshot) -> bool {
    snapshot.finalizers().iter().any(|finalizer| finalizer == FORGET)
}

/// The ids of a shard's snapshots among `existing`, the newest ones if they are very many.
pub fn ids<'a>(existing: impl Iterator<Item = &'a MailSnapshot>, shard: u32) -> BTreeSet<String> {
    let mut all: Vec<_> = existing
        .filter_map(|snapshot| {
            let part = snapshot.spec.parts.iter().find(|part| part.shard == shard)?;
            Some((snapshot.spec.time.0, part.id.clone()))
        })
        .collect();
    all.sort_by(|a, b| b.cmp(a));
    all.into_iter().take(IDS).map(|(_, id)| id).collect()
}

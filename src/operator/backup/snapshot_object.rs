//! One MailSnapshot. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use super::{
    snapshots::{COMPLETE, Parts},
    validated::Validated,
};
use crate::{
    api::{
        MailSnapshot, MailSnapshotSpec, MailSnapshotStatus,
        backup::{LocalSystemRef, ReclaimPolicy},
        snapshot::Part,
    },
    conditions::{self, Finding},
    job::{Failed, Stored},
    names::FORGET,
    operator::desired::backup::labels,
    quantity,
};

/// The condition that says whether a restore has proven it.
pub const VERIFIED: &str = "Verified";

/// The object of a run. `missing` are shards of which it should have a part.
#[must_use]
pub fn object(
    v: &Validated,
    (run, time): (&str, Timestamp),
    parts: &Parts,
    (old, missing): (Option<&MailSnapshot>, &BTreeSet<u32>),
    now: &Time,
) -> MailSnapshot {
    let ids = parts.iter().map(|(shard, known)| Part { shard: *shard, id: known.id.clone() });
    let spec = MailSnapshotSpec {
        backup: v.name.clone(),
        system: LocalSystemRef { name: v.system.name.clone() },
        run: run.to_owned(),
        time: Time(time),
        parts: ids.collect(),
        reclaim_policy: v.reclaim,
    };
    let metadata = ObjectMeta {
        name: Some(run.to_owned()),
        namespace: Some(v.system.namespace.clone()),
        labels: Some(labels(&v.system, &v.name)),
        owner_references: Some(vec![v.owner.clone()]),
        finalizers: (v.reclaim == ReclaimPolicy::Delete).then(|| vec![FORGET.to_owned()]),
        ..ObjectMeta::default()
    };
    let mut status = old.and_then(|old| old.status.clone()).unwrap_or_default();
    let read: Option<Vec<_>> = parts.values().map(|part| part.stored.as_ref()).collect();
    if let Some(read) = &read {
        let sum = |of: fn(&Stored) -> Option<u64>| read.iter().map(|stored| of(stored)).sum::<Option<u64>>();
        status.mailboxes = sum(|stored| stored.mailboxes);
        status.messages = sum(|stored| stored.messages);
        status.added = sum(|stored| stored.added).map(|bytes| quantity::text(bytes.into()));
    }
    let same = old.is_some_and(|old| sorted(&old.spec).parts == spec.parts);
    let complete = complete(v, read.as_deref(), missing, (&status, same));
    status.observed_generation = old.and_then(|old| old.metadata.generation).or(status.observed_generation);
    status.conditions = with(&status, complete, now);
    MailSnapshot { metadata, spec, status: Some(status) }
}

/// Whether it has all.
fn complete(
    v: &Validated,
    read: Option<&[&Stored]>,
    missing: &BTreeSet<u32>,
    (status, same): (&MailSnapshotStatus, bool),
) -> Finding {
    let old = conditions::get(&status.conditions, COMPLETE).filter(|_| same);
    let sticks = old.filter(|old| old.status == "False" && old.reason == "ShardMissing");
    if let Some(old) = sticks {
        return Finding::no(COMPLETE, "ShardMissing", old.message.clone());
    }
    if read.is_some_and(|read| read.iter().any(|stored| !stored.complete)) {
        let message = "the repository has fewer files than were frozen, or something was wrong with the manifest: the run says what";
        return Finding::no(COMPLETE, "Incomplete", message);
    }
    if v.store.is_none() {
        let message = "there is no MailSystem that says how many shards there are";
        return Finding::unknown(COMPLETE, "SystemMissing", message);
    }
    if !missing.is_empty() {
        let shards: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let message = format!("there is no snapshot of shard {}", shards.join(", "));
        return Finding::no(COMPLETE, "ShardMissing", message);
    }
    let before = old.and_then(|old| match old.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    });
    match (read, before) {
        (Some(_), _) | (None, Some(true)) => {
            Finding::yes(COMPLETE, "Complete", "the repositories list it with all that was frozen")
        }
        (None, Some(false)) => {
            let message = old.map(|old| old.message.clone()).unwrap_or_default();
            Finding::no(COMPLETE, "Incomplete", message)
        }
        (None, None) => Finding::unknown(COMPLETE, "NotListed", "the repositories were not listed yet"),
    }
}

/// The conditions of a status, with this one in its place. Their order stays: the API server keeps it, too.
fn with(status: &MailSnapshotStatus, finding: Finding, now: &Time) -> Vec<Condition> {
    let type_ = finding.type_;
    let new = conditions::merge(&status.conditions, &[finding], status.observed_generation, now);
    let is_there = conditions::get(&status.conditions, type_).is_some();
    let put = |old: &Condition| new.iter().find(|new| new.type_ == old.type_).unwrap_or(old).clone();
    let stays = status.conditions.iter().map(put);
    stays.chain(new.iter().filter(|_| !is_there).cloned()).collect()
}

/// What proves that a snapshot is not what it should be.
const WRONG: [&str; 7] = [
    "FilesDiffer",
    "FilesMissing",
    "MailboxesDiffer",
    "ManifestDamaged",
    "MessagesDiffer",
    "RepositoryDamaged",
    "SnapshotMissing",
];

/// The status of a snapshot after a proof.
#[must_use]
pub fn proven(
    snapshot: &MailSnapshot,
    failed: Option<(&'static str, &Failed)>,
    now: &Time,
) -> MailSnapshotStatus {
    let mut status = snapshot.status.clone().unwrap_or_default();
    let finding = match failed {
        None => {
            status.verified = Some(now.clone());
            Finding::yes(VERIFIED, "Verified", "it was restored, and all of it was there")
        }
        Some((reason, failed)) => {
            // What was right once is so no more; that it could not be tried says nothing against it.
            if WRONG.contains(&reason) {
                status.verified = None;
            }
            Finding::no(VERIFIED, reason, failed.message.clone())
        }
    };
    status.observed_generation = snapshot.metadata.generation;
    status.conditions = with(&status, finding, now);
    status
}

/// Whether the object is there as it is to be.
#[must_use]
pub fn stands(old: &MailSnapshot, new: &MailSnapshot) -> bool {
    let labels = new.metadata.labels.iter().flatten();
    let has = |(key, value): (&String, &String)| {
        old.metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|it| it == value)
    };
    let finalizers = |object: &MailSnapshot| {
        object.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FORGET)
    };
    sorted(&old.spec) == new.spec
        && old.status == new.status
        && finalizers(old) == finalizers(new)
        && old.metadata.owner_references == new.metadata.owner_references
        && labels.into_iter().all(has)
}

/// The parts by shard: the API server keeps the order in which they came.
fn sorted(spec: &MailSnapshotSpec) -> MailSnapshotSpec {
    let mut spec = spec.clone();
    spec.parts.sort_by_key(|part| part.shard);
    spec
}

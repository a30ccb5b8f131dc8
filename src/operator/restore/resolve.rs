//! Which MailSnapshot a restore comes from. Pure; nothing is ever taken instead of what was asked for.

use kube::ResourceExt;

use super::problem::Problem;
use crate::{
    api::{
        MailBackup, MailRestore, MailSnapshot,
        restore::{AtTime, From, OfBackup},
    },
    operator::backup::snapshots::is_complete,
};

/// Jobs are told which mailboxes in their environment, which has room for so many bytes.
const ADDRESSES: usize = 60_000;

/// The snapshot of a restore. `backups` and `snapshots` are those of its namespace; what was begun stays with the one that it
/// was begun with.
///
/// # Errors
/// There is none, or it is not proven.
pub fn resolve<'a>(
    restore: &MailRestore,
    backups: &[MailBackup],
    snapshots: &'a [MailSnapshot],
) -> Result<&'a MailSnapshot, Problem> {
    let system = &restore.spec.system.name;
    fits(restore)?;
    let begun = restore.status.as_ref().and_then(|status| status.snapshot.as_deref());
    let From { snapshot, latest_verified, point_in_time } = &restore.spec.from;
    let named = begun.or(snapshot.as_deref());
    let found = match (named, latest_verified, point_in_time) {
        (Some(name), ..) => by_name(name, snapshots)?,
        (None, Some(of), _) => latest_verified_of(of, backups, snapshots)?,
        (None, None, Some(at)) => at_time(at, backups, snapshots)?,
        (None, None, None) => return Err(Problem::ends("InvalidSpec", "spec.from names nothing")),
    };
    if found.spec.system.name != *system {
        let (name, other) = (found.name_any(), &found.spec.system.name);
        return Err(Problem::ends(
            "AnotherSystem",
            format!(
                "MailSnapshot {name} is of MailSystem {other}, and not of {system}: name another in spec.from"
            ),
        ));
    }
    let verified = found.status.as_ref().is_some_and(|status| status.verified.is_some());
    let proven = verified && is_complete(found);
    if !proven && !restore.spec.allow_unverified {
        return Err(Problem::ends(
            "SnapshotNotVerified",
            format!(
                "no restore has proven MailSnapshot {} in this cluster{}: wait for a proof and make another MailRestore, or say allowUnverified: true in it",
                found.name_any(),
                if is_complete(found) { "" } else { ", and it is not complete" }
            ),
        ));
    }
    Ok(found)
}

fn fits(restore: &MailRestore) -> Result<(), Problem> {
    let size: usize = restore.spec.mailboxes.addresses.iter().map(|address| address.len() + 3).sum();
    if size > ADDRESSES {
        let message = "spec.mailboxes: these addresses are too long together; make several MailRestores, or say all: true";
        return Err(Problem::ends("SelectorTooLarge", message));
    }
    Ok(())
}

fn by_name<'a>(name: &str, snapshots: &'a [MailSnapshot]) -> Result<&'a MailSnapshot, Problem> {
    let found = snapshots.iter().find(|snapshot| snapshot.name_any() == name);
    found.filter(|snapshot| snapshot.metadata.deletion_timestamp.is_none()).ok_or_else(|| {
        Problem::waits(
            "SnapshotMissing",
            format!("there is no MailSnapshot {name}, or it is being deleted; kubectl get mailsnapshots lists those that there are"),
        )
    })
}

fn backup<'a>(name: &str, backups: &'a [MailBackup]) -> Result<&'a MailBackup, Problem> {
    backups.iter().find(|backup| backup.name_any() == name).ok_or_else(|| {
        Problem::waits("BackupMissing", format!("there is no MailBackup {name} in this namespace: create it"))
    })
}

fn latest_verified_of<'a>(
    of: &OfBackup,
    backups: &[MailBackup],
    snapshots: &'a [MailSnapshot],
) -> Result<&'a MailSnapshot, Problem> {
    let status = backup(&of.backup, backups)?.status.as_ref();
    match status.and_then(|status| status.verified_snapshot.as_deref()) {
        Some(name) => by_name(name, snapshots),
        None => Err(Problem::ends(
            "SnapshotNotVerified",
            format!(
                "no restore has proven a snapshot of MailBackup {} yet: name a snapshot, and say allowUnverified: true",
                of.backup
            ),
        )),
    }
}

fn at_time<'a>(
    at: &AtTime,
    backups: &[MailBackup],
    snapshots: &'a [MailSnapshot],
) -> Result<&'a MailSnapshot, Problem> {
    backup(&at.backup, backups)?;
    let of = || {
        let of = snapshots.iter().filter(|snapshot| snapshot.spec.backup == at.backup);
        of.filter(|snapshot| snapshot.metadata.deletion_timestamp.is_none())
    };
    let older = of().filter(|snapshot| snapshot.spec.time.0 <= at.time.0);
    older.max_by_key(|snapshot| (is_complete(snapshot), snapshot.spec.time.0)).ok_or_else(|| {
        let first = of().min_by_key(|snapshot| snapshot.spec.time.0);
        let first = first.map(|it| format!("; the oldest is {} of {}", it.name_any(), it.spec.time.0));
        let (backup, time) = (&at.backup, at.time.0);
        Problem::waits(
            "SnapshotMissing",
            format!("MailBackup {backup} has no snapshot of {time} or before{}", first.unwrap_or_default()),
        )
    })
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

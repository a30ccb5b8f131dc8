//! MailSnapshots, rebuilt from what the repositories have: listings and the objects that there are come in, the objects that
//! there are to be go out. Pure.
//!
//! A run is one object with a part for each shard. A shard is expected in every run from its first one on; where some
//! mailboxes are selected a shard may have none of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

pub use super::keeping::{has_finalizer, ids, is_complete, is_doubtful, provable, to_forget};
use super::{snapshot_object, validated::Validated};
use crate::{api::MailSnapshot, job::Stored};

/// The condition of a MailSnapshot that says whether it has all.
pub const COMPLETE: &str = "Complete";

/// What is known of the repository of a shard.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The shard.
    pub shard: u32,
    /// Snapshots that it has.
    pub stored: Vec<Stored>,
    /// Whether it has no others.
    pub whole: bool,
    /// Those that were to be forgotten.
    pub forgotten: BTreeSet<String>,
}

/// What is to become of the objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// To be written.
    pub apply: Vec<MailSnapshot>,
    /// To be deleted: the repositories do not have them.
    pub delete: Vec<String>,
    /// Snapshots in repositories that went without our doing: the shard, the run, and the id.
    pub vanished: Vec<(u32, String, String)>,
    /// How many there are then.
    pub count: u32,
}

/// A part of a run.
#[derive(Clone, Debug)]
pub struct Known {
    /// The snapshot's id.
    pub id: String,
    /// What the repository says of it, if that was read now.
    pub stored: Option<Stored>,
}

/// The parts of a run, by shard.
pub type Parts = BTreeMap<u32, Known>;

/// What is to become of the objects. `lacking` are shards whose backup failed, and in which run.
#[must_use]
pub fn view(
    v: &Validated,
    existing: &[MailSnapshot],
    listings: &[Listing],
    lacking: Option<(&str, &BTreeSet<u32>)>,
    now: &Time,
) -> View {
    let mut view = View::default();
    let mut runs = known(existing);
    for listing in listings {
        drop_gone(&mut runs, listing, &mut view.vanished);
        add_listed(&mut runs, listing);
    }
    let times: BTreeMap<_, _> =
        runs.iter().map(|(run, parts)| (run.clone(), time(run, parts, existing))).collect();
    let mut first: BTreeMap<u32, Timestamp> = BTreeMap::new();
    for (run, parts) in &runs {
        for shard in parts.keys() {
            let at = times.get(run).copied().unwrap_or(now.0);
            first.entry(*shard).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    for (run, parts) in &runs {
        let old = existing.iter().find(|object| object.name_any() == *run);
        if parts.is_empty() {
            view.delete.push(run.clone());
            continue;
        }
        view.count += 1;
        let at = times.get(run).copied().unwrap_or(now.0);
        let expected = |shard: &u32| first.get(shard).is_some_and(|first| *first <= at);
        let mut missing: BTreeSet<u32> = first.keys().copied().filter(expected).collect();
        if v.mailboxes.is_some() {
            missing.clear();
        }
        // What it had and has no more.
        missing.extend(old.iter().flat_map(|old| &old.spec.parts).map(|part| part.shard));
        missing.extend(lacking.filter(|(of, _)| of == run).map(|(_, shards)| shards).into_iter().flatten());
        missing.retain(|shard| !parts.contains_key(shard));
        let object = snapshot_object::object(v, (run, at), parts, (old, &missing), now);
        let going = old.is_some_and(|old| old.metadata.deletion_timestamp.is_some());
        if !going && !old.is_some_and(|old| snapshot_object::stands(old, &object)) {
            view.apply.push(object);
        }
    }
    view
}

fn known(existing: &[MailSnapshot]) -> BTreeMap<String, Parts> {
    let parts = |object: &MailSnapshot| {
        let parts = object.spec.parts.iter();
        parts.map(|part| (part.shard, Known { id: part.id.clone(), stored: None })).collect()
    };
    existing.iter().map(|object| (object.name_any(), parts(object))).collect()
}

/// Takes away what the repository does not have any more.
fn drop_gone(
    runs: &mut BTreeMap<String, Parts>,
    listing: &Listing,
    vanished: &mut Vec<(u32, String, String)>,
) {
    let listed: BTreeSet<_> = listing.stored.iter().map(|stored| stored.id.as_str()).collect();
    for (run, parts) in runs {
        let Some(part) = parts.get(&listing.shard) else { continue };
        let ours = listing.forgotten.contains(&part.id);
        // That something was forgotten is believed if it was said to be, or shows.
        let gone = if listing.whole {
            ours || !listed.contains(part.id.as_str())
        } else {
            ours && !listed.is_empty() && !listed.contains(part.id.as_str())
        };
        if gone {
            if !ours {
                vanished.push((listing.shard, run.clone(), part.id.clone()));
            }
            parts.remove(&listing.shard);
        }
    }
}

fn add_listed(runs: &mut BTreeMap<String, Parts>, listing: &Listing) {
    let stays = |stored: &&Stored| !(listing.whole && listing.forgotten.contains(&stored.id));
    for stored in listing.stored.iter().filter(stays).filter(|stored| is_name(&stored.run)) {
        let parts = runs.entry(stored.run.clone()).or_default();
        // A run that was killed and begun again may have left two.
        let better = |known: &Known| match &known.stored {
            Some(before) => (before.complete, before.frozen) >= (stored.complete, stored.frozen),
            None => false,
        };
        if !parts.get(&listing.shard).is_some_and(better) {
            parts.insert(listing.shard, Known { id: stored.id.clone(), stored: Some(stored.clone()) });
        }
    }
}

/// Whether an object can have this name.
fn is_name(run: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&run.len()) && run.chars().all(inner) && !run.starts_with('-') && !run.ends_with('-')
}

/// When the first part was frozen. What an object says of it stays.
fn time(run: &str, parts: &Parts, existing: &[MailSnapshot]) -> Timestamp {
    if let Some(old) = existing.iter().find(|object| object.name_any() == run) {
        return old.spec.time.0;
    }
    let frozen = parts.values().filter_map(|part| part.stored.as_ref()).map(|stored| stored.frozen).min();
    let seconds = frozen.unwrap_or_default().div_euclid(1000);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;

//! From what was seen of the shards to what status says of them: `status.shards`, `ReplicationHealthy`, `StaleTakeover`, and
//! whether each shard is served. Pure.

use k8s_openapi::jiff::Timestamp;

use super::{Shard, Store};
use crate::{
    api::system::{ProgressStatus, ShardStatus, StorePodStatus},
    conditions::Finding,
    role::{Phase, Report, StaleTakeover},
};

/// The condition that each replica has everything.
pub const REPLICATION: &str = "ReplicationHealthy";
/// The condition that a store serves which may lack changes. It is there only then.
pub const STALE: &str = "StaleTakeover";

/// Whether shards are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Of each shard that nobody serves, what its stores say.
    pub missing: Vec<String>,
    /// Of none of these did any store answer.
    pub silent: bool,
    /// What a store says that neither serves nor has everything, where another serves.
    pub second: Option<String>,
}

/// Whether the shards are served.
#[must_use]
pub fn served(shards: &[Shard]) -> Served {
    let without = || shards.iter().filter(|shard| shard.primary().is_none());
    let second = shards.iter().find_map(|shard| {
        let (primary, _) = shard.primary()?;
        let other = shard.beside(&primary.pod)?;
        let rests = other.said.as_ref().is_some_and(|report| report.phase == Phase::InSync);
        (!rests).then(|| words(other))
    });
    Served { missing: without().map(unserved).collect(), silent: without().all(Shard::is_silent), second }
}

fn unserved(shard: &Shard) -> String {
    let stores: Vec<_> = shard.stores.iter().map(words).collect();
    let stores = if stores.is_empty() { "it has no pods".to_owned() } else { stores.join(", ") };
    format!("no store of shard {} serves: {stores}", shard.number)
}

/// What a store says, with its name.
fn words(store: &Store) -> String {
    let pod = &store.pod;
    match &store.said {
        None => format!("{pod} does not answer"),
        Some(Report { phase, message, .. }) if message.is_empty() => format!("{pod} is {phase:?}"),
        Some(Report { phase, message, .. }) => format!("{pod} is {phase:?} ({message})"),
    }
}

/// What is wrong with the replica of a shard, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    CatchingUp,
    Returning,
    Seeding,
    ReplicaUnavailable,
    ReplicaFailing,
}

impl Trouble {
    const fn reason(self) -> &'static str {
        match self {
            Self::CatchingUp => "CatchingUp",
            Self::Returning => "Returning",
            Self::Seeding => "Seeding",
            Self::ReplicaUnavailable => "ReplicaUnavailable",
            Self::ReplicaFailing => "ReplicaFailing",
        }
    }

    const fn of(phase: Phase) -> Self {
        match phase {
            // It follows, and the primary has not registered that it has everything.
            Phase::CatchingUp | Phase::InSync => Self::CatchingUp,
            Phase::Returning => Self::Returning,
            Phase::Unseeded | Phase::Seeding => Self::Seeding,
            Phase::Failing => Self::ReplicaFailing,
            // A second one that serves is outdated, and about to stop.
            Phase::Primary | Phase::Electing | Phase::Waiting => Self::ReplicaUnavailable,
        }
    }
}

/// How a shard is replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Replication {
    InSync,
    Lacking(Trouble, String),
    /// It cannot be judged.
    Open(&'static str, String),
}

fn replication_of(shard: &Shard) -> Replication {
    let number = shard.number;
    let Some((primary, report)) = shard.primary() else {
        return if shard.is_silent() {
            Replication::Open("NotObserved", format!("no store of shard {number} answers"))
        } else {
            Replication::Open("NoPrimary", format!("no store of shard {number} serves"))
        };
    };
    if report.in_sync {
        return Replication::InSync;
    }
    let Some(other) = shard.beside(&primary.pod) else {
        let message = format!("{} has no second store: its pod is not there", primary.pod);
        return Replication::Lacking(Trouble::ReplicaUnavailable, message);
    };
    let trouble = other.said.as_ref().map_or(Trouble::ReplicaUnavailable, |said| Trouble::of(said.phase));
    let mut message = words(other);
    let theirs = other.said.as_ref();
    if theirs.is_none_or(|said| said.message.is_empty()) && !report.message.is_empty() {
        message = format!("{message}; {}: {}", primary.pod, report.message);
    }
    if let Some(progress) = progress(report, theirs) {
        message = format!("{message}, {} of {} mailboxes done", progress.done, progress.total);
    }
    if let Some(lag) = report.lag.filter(|lag| lag.changes > 0) {
        message = format!("{message}, {} changes behind for {} s", lag.changes, lag.seconds);
    }
    Replication::Lacking(trouble, message)
}

fn progress(primary: &Report, replica: Option<&Report>) -> Option<crate::role::Progress> {
    replica.and_then(|replica| replica.progress).or(primary.progress)
}

/// `ReplicationHealthy`.
#[must_use]
pub fn replication(shards: &[Shard]) -> Finding {
    let (mut lacking, mut open) = (Vec::new(), Vec::new());
    for shard in shards {
        match replication_of(shard) {
            Replication::InSync => {}
            Replication::Lacking(trouble, message) => lacking.push((trouble, message)),
            Replication::Open(reason, message) => open.push((reason, message)),
        }
    }
    let all = |messages: Vec<String>| messages.join("; ");
    if let Some(worst) = lacking.iter().map(|(trouble, _)| *trouble).max() {
        let messages = lacking.into_iter().map(|(_, message)| message);
        let messages = messages.chain(open.into_iter().map(|(_, message)| message)).collect();
        return Finding::no(REPLICATION, worst.reason(), all(messages));
    }
    if let Some((reason, _)) = open.first() {
        let reason = *reason;
        return Finding::unknown(
            REPLICATION,
            reason,
            all(open.into_iter().map(|(_, message)| message).collect()),
        );
    }
    if shards.is_empty() {
        return Finding::unknown(REPLICATION, "NotObserved", "no store was looked at yet");
    }
    Finding::yes(REPLICATION, "InSync", "the other store of each shard has everything")
}

/// `StaleTakeover`, if some shard is served by a store that may lack changes.
#[must_use]
pub fn stale(shards: &[Shard]) -> Option<Finding> {
    let told = shards.iter().filter_map(|shard| {
        let (store, report) = shard.primary()?;
        let StaleTakeover { from, until } = report.stale_takeover?;
        Some(format!(
            "{} serves shard {} in epoch {} although it was not in sync: changes that were made from {} to {} may be missing until the other disk comes back",
            store.pod,
            shard.number,
            report.epoch,
            at(from),
            at(until)
        ))
    });
    let told: Vec<_> = told.collect();
    (!told.is_empty()).then(|| Finding::yes(STALE, "ChangesMayBeMissing", told.join("; ")))
}

/// A time as people read it.
fn at(seconds: u64) -> String {
    if seconds == 0 {
        return "the beginning".to_owned();
    }
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// What status says of a shard.
#[must_use]
pub fn status(shard: &Shard) -> ShardStatus {
    let primary = shard.primary();
    let replica = primary.and_then(|(store, _)| shard.beside(&store.pod));
    let report = primary.map(|(_, report)| report);
    let theirs = replica.and_then(|store| store.said.as_ref());
    let lag = report.and_then(|report| report.lag);
    let message = match replication_of(shard) {
        Replication::InSync => String::new(),
        Replication::Lacking(_, message) => message,
        Replication::Open(..) => unserved(shard),
    };
    ShardStatus {
        shard: shard.number,
        primary: primary.map(|(store, _)| store.pod.clone()),
        replica: replica.map(|store| store.pod.clone()),
        epoch: shard.epoch(),
        in_sync: report.map(|report| report.in_sync),
        pods: shard.stores.iter().map(pod).collect(),
        lag_seconds: lag.map(|lag| lag.seconds),
        lag_changes: lag.map(|lag| lag.changes),
        progress: report
            .and_then(|report| progress(report, theirs))
            .map(|progress| ProgressStatus { done: progress.done, total: progress.total }),
        message,
    }
}

fn pod(store: &Store) -> StorePodStatus {
    let said = store.said.as_ref();
    StorePodStatus {
        name: store.pod.clone(),
        node: store.node.clone(),
        phase: said.map(|report| format!("{:?}", report.phase)),
        epoch: said.map(|report| report.epoch),
        message: said.map(|report| report.message.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

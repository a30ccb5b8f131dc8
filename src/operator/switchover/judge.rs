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
mod tests {
    use super::*;
    use crate::{
        operator::switchover::observe::tests::{report, shard},
        role::{Lag, Progress},
    };

    fn lonely(other: Option<Report>) -> Shard {
        let mut primary = report(0, 4, Phase::Primary);
        primary.in_sync = false;
        primary.message = "no replica follows".into();
        shard([Some(primary), other])
    }

    fn healthy() -> Shard {
        shard([Some(report(0, 4, Phase::Primary)), Some(report(1, 4, Phase::InSync))])
    }

    #[test]
    fn replication_is_what_the_primary_registered_and_else_what_the_other_says() {
        let yes = replication(&[healthy()]);
        assert_eq!((yes.status, yes.reason), (Some(true), "InSync"));
        let of = |phase| replication(&[lonely(Some(report(1, 4, phase)))]);
        for (phase, reason) in [
            (Phase::Unseeded, "Seeding"),
            (Phase::Seeding, "Seeding"),
            (Phase::Returning, "Returning"),
            (Phase::CatchingUp, "CatchingUp"),
            (Phase::InSync, "CatchingUp"),
            (Phase::Waiting, "ReplicaUnavailable"),
            (Phase::Electing, "ReplicaUnavailable"),
            (Phase::Failing, "ReplicaFailing"),
        ] {
            let found = of(phase);
            assert_eq!((found.status, found.reason), (Some(false), reason), "{phase:?}");
            assert!(found.message.starts_with(&format!("demo-store-0-1 is {phase:?}")), "{}", found.message);
            assert!(found.message.ends_with("demo-store-0-0: no replica follows"), "{}", found.message);
        }
        let silent = replication(&[lonely(None)]);
        let message = "demo-store-0-1 does not answer; demo-store-0-0: no replica follows";
        assert_eq!((silent.reason, silent.message.as_str()), ("ReplicaUnavailable", message));
        let mut no_pod = lonely(None);
        no_pod.stores.pop();
        assert_eq!(replication(&[no_pod]).reason, "ReplicaUnavailable");
        // An operator that cannot reach the replica does not know better than the primary that does.
        assert_eq!(replication(&[shard([Some(report(0, 4, Phase::Primary)), None])]).status, Some(true));
    }

    #[test]
    fn nothing_is_said_of_replication_while_nobody_serves() {
        let waiting = shard([Some(report(0, 4, Phase::Waiting)), None]);
        let nobody = replication(std::slice::from_ref(&waiting));
        assert_eq!((nobody.status, nobody.reason), (None, "NoPrimary"));
        assert_eq!(replication(&[shard([None, None])]).reason, "NotObserved");
        assert_eq!(replication(&[]).status, None);
        let both = replication(&[waiting, lonely(Some(report(1, 4, Phase::CatchingUp)))]);
        assert_eq!((both.status, both.reason), (Some(false), "CatchingUp"));
        assert!(both.message.ends_with("no store of shard 0 serves"), "{}", both.message);
    }

    #[test]
    fn the_worst_replica_names_the_reason_and_all_are_told() {
        let shards = [
            lonely(Some(report(1, 4, Phase::CatchingUp))),
            lonely(Some(report(1, 4, Phase::Failing))),
            lonely(Some(report(1, 4, Phase::Seeding))),
            healthy(),
        ];
        let found = replication(&shards);
        assert_eq!(found.reason, "ReplicaFailing");
        for word in ["CatchingUp", "Failing", "Seeding"] {
            assert!(found.message.contains(word), "{}", found.message);
        }
    }

    #[test]
    fn progress_and_lag_are_in_the_words() {
        let mut shard = lonely(Some(report(1, 0, Phase::Seeding)));
        let primary = shard.stores[0].said.as_mut().unwrap();
        primary.progress = Some(Progress { done: 120, total: 4000 });
        primary.lag = Some(Lag { seconds: 12, changes: 40 });
        let message = replication(std::slice::from_ref(&shard)).message;
        let end = ", 120 of 4000 mailboxes done, 40 changes behind for 12 s";
        assert!(message.ends_with(end), "{message}");
        let status = status(&shard);
        assert_eq!((status.lag_seconds, status.lag_changes), (Some(12), Some(40)));
        assert_eq!(status.progress, Some(ProgressStatus { done: 120, total: 4000 }));
        assert_eq!(status.message, message);
    }

    #[test]
    fn a_shard_is_served_by_who_says_so_and_else_its_stores_say_why_not() {
        assert_eq!(served(&[healthy()]), Served { silent: true, ..Served::default() });
        let mut waiting = report(1, 4, Phase::Waiting);
        waiting.message = "no gateway reaches this store".into();
        let found = served(&[healthy(), shard([None, Some(waiting)])]);
        let words = "no store of shard 0 serves: demo-store-0-0 does not answer, demo-store-0-1 is Waiting (no gateway reaches this store)";
        assert_eq!((found.missing, found.silent), (vec![words.to_owned()], false));
        let nothing = served(&[Shard::unknown(3)]);
        assert_eq!(nothing.missing, ["no store of shard 3 serves: it has no pods"]);
        assert!(nothing.silent);
        let second = served(&[lonely(Some(report(1, 4, Phase::CatchingUp)))]).second;
        assert_eq!(second.as_deref(), Some("demo-store-0-1 is CatchingUp"));
    }

    #[test]
    fn a_stale_takeover_names_its_span_for_as_long_as_its_epoch() {
        assert_eq!(stale(&[healthy()]), None);
        let mut shard = lonely(None);
        let span = StaleTakeover { from: 1_764_036_000, until: 1_764_036_300 };
        shard.stores[0].said.as_mut().unwrap().stale_takeover = Some(span);
        let found = stale(&[healthy(), shard]).unwrap();
        assert_eq!((found.status, found.reason), (Some(true), "ChangesMayBeMissing"));
        assert!(
            found.message.contains("from 2025-11-25T02:00:00Z to 2025-11-25T02:05:00Z"),
            "{}",
            found.message
        );
    }

    #[test]
    fn status_says_who_serves_and_what_each_pod_does() {
        let seen = status(&healthy());
        assert_eq!(
            (seen.primary.as_deref(), seen.replica.as_deref()),
            (Some("demo-store-0-0"), Some("demo-store-0-1"))
        );
        assert_eq!((seen.epoch, seen.in_sync, seen.message.as_str()), (Some(4), Some(true), ""));
        assert_eq!(seen.pods[1].phase.as_deref(), Some("InSync"));
        assert_eq!(seen.pods[1].node.as_deref(), Some("node-1"));
        let dark = status(&shard([None, None]));
        assert_eq!(
            (dark.primary, dark.epoch, dark.in_sync, dark.pods[0].phase.clone()),
            (None, None, None, None)
        );
        assert!(dark.message.contains("does not answer"), "{}", dark.message);
    }
}

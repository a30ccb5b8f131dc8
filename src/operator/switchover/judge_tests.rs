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
    assert!(found.message.contains("from 2025-11-25T02:00:00Z to 2025-11-25T02:05:00Z"), "{}", found.message);
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

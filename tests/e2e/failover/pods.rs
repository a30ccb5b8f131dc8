//! The primary's processes and its pod are taken away, each in its own manner.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use rustix::process::Signal;
use tokio::time::sleep;

use super::{
    SERVES, SETTLED,
    pair::{self, Pair, pod},
    story::{Cast, Lost, served_again},
};
use crate::{
    local::{self, Stopped},
    world::eventually,
};

/// A primary that nobody hears any more is gone after fencing and kill, and some for a busy machine.
const FENCED: Duration = Duration::from_secs(15);

/// Kills Cyrus' master in a store.
pub(crate) async fn kill_cyrus(pair: &Pair, ordinal: usize) {
    let place = pair.place(&pod(ordinal)).await.unwrap();
    local::process(&place.uid, "cyrmaster").expect("a Cyrus on this host").signal(Signal::KILL);
}

/// Kills the agent of a store; its container starts again.
pub(crate) async fn kill_agent(pair: &Pair, ordinal: usize) {
    let place = pair.place(&pod(ordinal)).await.unwrap();
    local::kill_agent(&place.uid, SETTLED).await;
}

/// Stops the agent of the primary so long that the other has to take over, and looks whether its Cyrus is killed all the
/// same. The epoch that began.
pub(crate) async fn stop_agent(pair: &Pair, ordinal: usize, epoch: u64) -> u64 {
    let place = pair.place(&pod(ordinal)).await.unwrap();
    let _stopped = Stopped::new(local::agent(&place.uid).expect("an agent on this host"));
    let fenced =
        eventually(FENCED, "the watchdog kills Cyrus", async || match local::cyrus(&place.uid).len() {
            0 => Ok(()),
            left => Err(format!("{left} processes of Cyrus are left")),
        });
    let ((), (server, later)) = tokio::join!(fenced, pair.serves_above(epoch, SERVES));
    assert_ne!(server, ordinal, "the store whose agent is stopped does not serve");
    later
}

#[test]
fn when_the_primarys_pod_is_deleted_at_once_mail_goes_on() {
    pair::run(async |pair| {
        let what = "primary's pod deleted at once";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::Nothing), async |roles| {
            pair.delete_now(&pod(roles.primary)).await;
            served_again(pair, what, roles).await.1 - 1
        })
        .await;
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_primarys_pod_is_deleted_gently_the_other_takes_over() {
    pair::run(async |pair| {
        let what = "primary's pod deleted";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::Nothing), async |roles| {
            let name = pod(roles.primary);
            pair.world.api::<Pod>().delete(&name, &DeleteParams::default()).await.unwrap();
            let (server, epoch) = served_again(pair, what, roles).await;
            assert_eq!(server, roles.replica(), "it was asked to make way before it ended");
            epoch - 1
        })
        .await;
    });
}

#[test]
fn when_cyrus_is_killed_mail_goes_on() {
    pair::run(async |pair| {
        let what = "Cyrus killed";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::Nothing), async |roles| {
            kill_cyrus(pair, roles.primary).await;
            served_again(pair, what, roles).await.1 - 1
        })
        .await;
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_primarys_agent_is_killed_mail_goes_on() {
    pair::run(async |pair| {
        let what = "primary's agent killed";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::Nothing), async |roles| {
            kill_agent(pair, roles.primary).await;
            served_again(pair, what, roles).await.1 - 1
        })
        .await;
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_primarys_agent_hangs_its_watchdog_ends_its_service_and_the_other_takes_over() {
    pair::run(async |pair| {
        let what = "primary's agent hangs";
        let cast = Cast::new(pair).await;
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                stop_agent(pair, roles.primary, roles.epoch).await - 1
            })
            .await;
        // It sees the later epoch when it goes on, and follows.
        assert_eq!(change.after.primary, change.before.replica());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(pair.settled().await, change.after);
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_replica_is_killed_nobody_notices() {
    pair::run(async |pair| {
        let what = "replica's pod deleted at once";
        let cast = Cast::new(pair).await;
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                let name = pod(roles.replica());
                let uid = pair.look_up(&name).await.unwrap().uid;
                pair.delete_now(&name).await;
                pair.replaced(&name, &uid).await;
                roles.epoch - 1
            })
            .await;
        assert_eq!(change.after, change.before, "the primary went on in its epoch");
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_both_pods_are_deleted_at_once_mail_waits_and_comes() {
    pair::run(async |pair| {
        let what = "both stores deleted at once";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::BothStores), async |roles| {
            for ordinal in 0..2 {
                pair.delete_now(&pod(ordinal)).await;
            }
            pair.serves_above(roles.epoch, SETTLED).await.1 - 1
        })
        .await;
    });
}

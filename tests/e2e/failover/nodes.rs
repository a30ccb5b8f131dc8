//! The primary's node is cut off from the network, or loses its power.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    SERVES, SETTLED,
    pair::{self, Pair, pod},
    roles::Roles,
    story::{Cast, Lost, served_again},
};
use crate::{
    local::{self, Away},
    world::eventually,
};

/// A node is away so long after the other store serves: less than the 50 s after which Kubernetes notices.
const AWAY: Duration = Duration::from_secs(20);

/// The primary, on a node that can be taken away: without the object storage, whose loss stops the acceptance of mail on
/// purpose, without the other store, and not with all name servers.
pub(crate) async fn primary_alone(pair: &Pair) -> (Roles, String) {
    local::spread_name_servers(&pair.world.client, SETTLED).await;
    let roles = pair.settled().await;
    let nodes = [pair.look_up(&pod(0)).await.unwrap().node, pair.look_up(&pod(1)).await.unwrap().node];
    assert_ne!(nodes[0], nodes[1], "the stores are on one node");
    let storage = pair.pods("app=s3").await;
    let roles = if storage.iter().any(|(_, place)| place.node == nodes[roles.primary]) {
        pair.switch_over(roles).await
    } else {
        roles
    };
    (roles, nodes[roles.primary].clone())
}

/// The store of a cut node says that it does not serve, asked from its own node.
pub(crate) async fn is_fenced(pair: &Pair, ordinal: usize) {
    eventually(SERVES, "the store that is cut off has stopped", async || {
        let report = pair.report(ordinal).await?;
        if report.serving { Err(format!("{report:?}")) } else { Ok(()) }
    })
    .await;
}

#[test]
fn when_the_primarys_node_is_cut_off_it_fences_itself_the_other_serves_and_it_returns_as_replica() {
    pair::run(async |pair| {
        let what = "primary's node cut off";
        let cast = Cast::new(pair).await;
        let (_, node) = primary_alone(pair).await;
        let change = cast
            .under_load((pair, what, Lost::Node(&node)), async |roles| {
                let _away = Away::network_of(&node);
                let (server, epoch) = served_again(pair, what, roles).await;
                assert_eq!(server, roles.replica());
                is_fenced(pair, roles.primary).await;
                sleep(AWAY).await;
                assert!(!pair.report(roles.primary).await.unwrap().serving, "it serves again while cut off");
                epoch - 1
            })
            .await;
        assert_eq!(change.after.primary, change.before.replica());
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_primarys_node_loses_its_power_the_other_serves_and_it_returns_as_replica() {
    pair::run(async |pair| {
        let what = "primary's node without power";
        let cast = Cast::new(pair).await;
        let (_, node) = primary_alone(pair).await;
        let change = cast
            .under_load((pair, what, Lost::Node(&node)), async |roles| {
                let _away = Away::power_of(&node);
                let (server, epoch) = served_again(pair, what, roles).await;
                assert_eq!(server, roles.replica());
                sleep(AWAY).await;
                epoch - 1
            })
            .await;
        assert_eq!(change.after.primary, change.before.replica());
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_replicas_node_is_cut_off_the_primary_goes_on_alone() {
    pair::run(async |pair| {
        let what = "replica's node cut off";
        let cast = Cast::new(pair).await;
        // The node of the primary that can be taken away becomes the replica's.
        let (roles, node) = primary_alone(pair).await;
        pair.switch_over(roles).await;
        let change = cast
            .under_load((pair, what, Lost::Node(&node)), async |roles| {
                let _away = Away::network_of(&node);
                eventually(SERVES, "the primary registers that it is alone", async || {
                    let report = pair.report(roles.primary).await?;
                    if report.serving && !report.in_sync { Ok(()) } else { Err(format!("{report:?}")) }
                })
                .await;
                sleep(AWAY).await;
                let report = pair.report(roles.primary).await.unwrap();
                assert!(report.serving && report.epoch == roles.epoch, "{report:?}");
                roles.epoch - 1
            })
            .await;
        assert_eq!(change.after, change.before);
    });
}

//! What is around the stores is away: the API server, the operator, the name server. The stores decide by themselves.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures::FutureExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    SERVES, SETTLED,
    pair::{self, Pair, pod},
    pods::{kill_agent, kill_cyrus},
    story::{Cast, Lost, served_again},
};
use crate::{
    local::{self, Away, Stopped},
    world::eventually,
};

/// Longer than a primary goes on that neither the other store nor the API server answers.
const NOTICED: Duration = Duration::from_secs(12);

#[test]
fn without_the_api_server_the_primary_goes_on_and_starts_again_after_its_cyrus_and_its_agent_were_killed() {
    pair::run(async |pair| {
        let what = "Cyrus killed without the API server";
        let cast = Cast::new(pair).await;
        cast.under_load((pair, what, Lost::Nothing), async |roles| {
            let _away = Away::api();
            sleep(NOTICED).await;
            let report = pair.report(roles.primary).await.unwrap();
            assert!(report.serving && report.epoch == roles.epoch, "the other store answers: {report:?}");
            kill_cyrus(pair, roles.primary).await;
            let (server, epoch) = served_again(pair, what, roles).await;
            kill_agent(pair, server).await;
            pair.serves_above(epoch, SERVES).await.1 - 1
        })
        .await;
    });
}

/// Runs with so many pods of the operator, and waits until they are there.
async fn operators(pair: &Pair, replicas: i32) {
    let deployments: Api<Deployment> = Api::namespaced(pair.world.client.clone(), "mail-system");
    let pods: Api<Pod> = Api::namespaced(pair.world.client.clone(), "mail-system");
    let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch("mail-operator", &PatchParams::default(), &scale).await.unwrap();
    eventually(SETTLED, &format!("{replicas} pods of the operator run"), async || {
        let labels = ListParams::default().labels("app.kubernetes.io/name=mail-operator");
        let pods = pods.list(&labels).await.map_err(|error| error.to_string())?.items.len();
        let status = deployments.get("mail-operator").await.map_err(|error| error.to_string())?.status;
        let ready = status.and_then(|status| status.ready_replicas).unwrap_or_default();
        let there = usize::try_from(replicas).is_ok_and(|wanted| wanted == pods);
        if there && ready == replicas { Ok(()) } else { Err(format!("{pods} pods, {ready} ready")) }
    })
    .await;
}

#[test]
#[ignore = "minutes: make test-failover"]
fn without_the_operator_the_other_store_takes_over_all_the_same() {
    pair::run(async |pair| {
        let what = "primary's pod deleted at once without the operator";
        let cast = Cast::new(pair).await;
        let deployments: Api<Deployment> = Api::namespaced(pair.world.client.clone(), "mail-system");
        let replicas = deployments.get("mail-operator").await.unwrap().spec.unwrap().replicas.unwrap();
        operators(pair, 0).await;
        let test = cast.under_load((pair, what, Lost::Nothing), async |roles| {
            pair.delete_now(&pod(roles.primary)).await;
            served_again(pair, what, roles).await.1 - 1
        });
        // The other tests need the operator, whatever becomes of this one.
        let result = AssertUnwindSafe(test).catch_unwind().await;
        operators(pair, replicas).await;
        result.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn when_the_name_servers_hang_the_primary_goes_on_in_its_epoch() {
    pair::run(async |pair| {
        let what = "name servers hang";
        let cast = Cast::new(pair).await;
        let change = cast
            .under_load((pair, what, Lost::Nothing), async |roles| {
                let servers: Api<Pod> = Api::namespaced(pair.world.client.clone(), "kube-system");
                let labels = ListParams::default().labels("k8s-app=kube-dns");
                let servers = servers.list(&labels).await.unwrap();
                let found = servers.iter().filter_map(|pod| local::process(&pod.uid()?, "coredns"));
                let stopped: Vec<_> = found.map(Stopped::new).collect();
                assert_eq!(stopped.len(), servers.items.len(), "not all of them run on this host");
                sleep(NOTICED).await;
                roles.epoch - 1
            })
            .await;
        assert_eq!(change.after, change.before);
    });
}

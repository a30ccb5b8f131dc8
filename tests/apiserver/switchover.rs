//! Who is primary, as the operator tells it and people change it: two agents of a shard that say what a test has them say.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    process::Output,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, routing::get};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    coordination::v1::Lease,
    core::v1::{Event, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use mail_operator::{
    api::system::ShardStatus,
    conditions,
    names::{ROLE_LABEL, lease},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    agent,
    harness::{self, TestApi},
    operator::{Running, apply, condition, eventually, storage_class, systems},
};

/// What both agents say of their roles.
type Says = [Arc<Mutex<Value>>; 2];

/// The pods of shard 0, with agents at `net`.1 and `net`.2.
async fn stores(api: &TestApi, net: &str) -> Says {
    let says = [Arc::new(Mutex::new(Value::Null)), Arc::new(Mutex::new(Value::Null))];
    for (ordinal, said) in says.iter().enumerate() {
        let ip = format!("{net}.{}", ordinal + 1);
        let said = Arc::clone(said);
        let status = get(async move || Json(json!({"directory": {}, "role": *said.lock().unwrap()})));
        let address = (ip.parse::<IpAddr>().unwrap(), mail_operator::names::ports::HTTP);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        tokio::spawn(async { axum::serve(listener, Router::new().route("/status", status)).await });
        let labels = json!({"app.kubernetes.io/component": "store", "mail.angiang.gov.vn/shard": "0"});
        agent::pod(api, &format!("demo-store-0-{ordinal}"), &labels, &ip).await;
    }
    says
}

fn say(says: &Says, ordinal: usize, epoch: u64, phase: &str, in_sync: bool) {
    *says[ordinal].lock().unwrap() = json!({
        "pod": format!("demo-store-0-{ordinal}"), "epoch": epoch, "serving": phase == "Primary", "phase": phase,
        "in_sync": in_sync,
    });
}

async fn shard(api: &TestApi) -> Option<ShardStatus> {
    systems(api).get("demo").await.unwrap().status?.shards.into_iter().next()
}

async fn primary(api: &TestApi) -> Option<String> {
    shard(api).await?.primary
}

async fn roles(api: &TestApi) -> Vec<Option<String>> {
    let pods: Api<Pod> = Api::namespaced(api.client.clone(), &api.namespace);
    let mut roles = Vec::new();
    for name in ["demo-store-0-0", "demo-store-0-1"] {
        roles.push(pods.get(name).await.unwrap().labels().get(ROLE_LABEL).cloned());
    }
    roles
}

fn are(roles: &[Option<String>], expected: [&str; 2]) -> bool {
    roles.iter().map(Option::as_deref).eq(expected.map(Some))
}

/// What the controller of StatefulSets, which does not run here, says of the pods: so many are ready.
async fn looked_at(api: &TestApi, ready: u32) {
    let sets: Api<StatefulSet> = Api::namespaced(api.client.clone(), &api.namespace);
    let status = json!({"status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": ready}});
    sets.patch_status("demo-store-0", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

#[tokio::test]
async fn who_serves_is_in_the_status_the_labels_the_events_and_the_figures() {
    let api = harness::api("roles").await;
    storage_class(&api.client, "standard", true).await;
    let says = stores(&api, "127.9.51").await;
    say(&says, 0, 4, "Primary", true);
    say(&says, 1, 4, "InSync", true);
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let (healthy, _) = condition(&api, "ReplicationHealthy", "InSync").await;
    assert_eq!(healthy.status, "True");
    let (available, _) = condition(&api, "StoreAvailable", "Available").await;
    assert_eq!((available.status.as_str(), available.message.as_str()), ("True", "every shard is served"));
    let seen = shard(&api).await.unwrap();
    assert_eq!(
        (seen.primary.as_deref(), seen.replica.as_deref()),
        (Some("demo-store-0-0"), Some("demo-store-0-1"))
    );
    assert_eq!((seen.epoch, seen.in_sync), (Some(4), Some(true)));
    eventually(async || roles(&api).await, |roles| are(roles, ["primary", "replica"])).await;
    let figures = operator.metrics().await;
    let namespace = &api.namespace;
    for line in [
        format!(
            "mail_store_serving{{namespace=\"{namespace}\",system=\"demo\",shard=\"0\",pod=\"demo-store-0-0\"}} 1"
        ),
        format!("mail_store_epoch{{namespace=\"{namespace}\",system=\"demo\",shard=\"0\"}} 4"),
    ] {
        assert!(figures.contains(&line), "{line} is not in:\n{figures}");
    }

    // The primary is gone; the other takes over without being in sync.
    *says[0].lock().unwrap() = Value::Null;
    say(&says, 1, 5, "Primary", false);
    says[1].lock().unwrap()["stale_takeover"] = json!({"from": 1_764_036_000, "until": 1_764_036_300});
    eventually(async || primary(&api).await, |pod| pod.as_deref() == Some("demo-store-0-1")).await;
    let (lacking, _) = condition(&api, "ReplicationHealthy", "ReplicaUnavailable").await;
    assert_eq!(lacking.status, "False");
    let (stale, _) = condition(&api, "StaleTakeover", "ChangesMayBeMissing").await;
    assert!(stale.status == "True" && stale.message.contains("2025-11-25T02:00:00Z"), "{}", stale.message);
    condition(&api, "StoreAvailable", "Available").await;
    eventually(async || roles(&api).await, |roles| are(roles, ["replica", "primary"])).await;
    let events: Api<Event> = Api::namespaced(api.client.clone(), &api.namespace);
    let told = async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let turns = events.into_iter().filter(|event| event.reason.as_deref() == Some("PrimaryChanged"));
        turns.map(|event| event.message.unwrap_or_default()).collect::<Vec<_>>()
    };
    let told = eventually(told, |told| !told.is_empty()).await;
    assert_eq!(told, ["demo-store-0-1 serves shard 0 in epoch 5, demo-store-0-0 served it in epoch 4"]);

    // Nobody answers the operator, which says nothing of those who ask for their mail as long as pods are ready.
    looked_at(&api, 2).await;
    *says[1].lock().unwrap() = Value::Null;
    let (silent, _) = condition(&api, "StoreAvailable", "NotObserved").await;
    assert_eq!(silent.status, "Unknown");
    // None is ready either: nothing is known of replication, and what was said of the takeover stands.
    looked_at(&api, 0).await;
    let (down, _) = condition(&api, "StoreAvailable", "Unavailable").await;
    assert_eq!(down.status, "False");
    assert!(down.message.contains("demo-store-0-1 does not answer"), "{}", down.message);
    let (unknown, _) = condition(&api, "ReplicationHealthy", "NotObserved").await;
    assert_eq!(unknown.status, "Unknown");
    condition(&api, "StaleTakeover", "ChangesMayBeMissing").await;
    condition(&api, "Ready", "Unavailable").await;
    assert!(are(&roles(&api).await, ["replica", "primary"]), "a store that does not answer keeps its label");
    operator.stop().await;
}

#[tokio::test]
async fn figures_that_change_all_the_time_are_written_slowly_and_a_restart_writes_nothing() {
    let api = harness::api("lag").await;
    storage_class(&api.client, "standard", true).await;
    let says = stores(&api, "127.9.52").await;
    say(&says, 0, 4, "Primary", false);
    say(&says, 1, 4, "CatchingUp", false);
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "ReplicationHealthy", "CatchingUp").await;
    let growing = Arc::clone(&says[0]);
    let lag = tokio::spawn(async move {
        for seconds in 10_u64.. {
            growing.lock().unwrap()["lag"] = json!({"seconds": seconds, "changes": seconds * 7});
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let version = async || systems(&api).get("demo").await.unwrap().resource_version().unwrap();
    let mut versions = std::collections::BTreeSet::new();
    for _ in 0..40 {
        versions.insert(version().await);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(versions.len() <= 2, "{} writes in ten seconds", versions.len() - 1);
    eventually(async || shard(&api).await, |it| it.as_ref().is_some_and(|it| it.lag_seconds > Some(10)))
        .await;
    lag.abort();

    say(&says, 0, 4, "Primary", true);
    say(&says, 1, 4, "InSync", true);
    condition(&api, "ReplicationHealthy", "InSync").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    operator.stop().await;
    let before = version().await;
    let operator = Running::start(&api, "two").await;
    eventually(async || operator.reconciled().await, |count| *count > 0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(before, version().await);
    operator.stop().await;
}

fn leases(api: &TestApi) -> Api<Lease> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn annotate(api: &TestApi, annotations: &[(&str, Option<&str>)]) {
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    let patch = json!({"metadata": {"annotations": annotations}});
    leases(api).patch("demo-store-0", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn annotation(api: &TestApi, key: &str) -> Option<String> {
    leases(api).get("demo-store-0").await.unwrap().annotations().get(key).cloned()
}

/// A primary that obeys an order to hand over: the other has the next epoch.
fn obey(api: &TestApi, says: &Says) -> JoinHandle<()> {
    let (leases, says) = (leases(api), says.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let lease = leases.get("demo-store-0").await.unwrap();
            let epoch = lease.annotations().get(lease::EPOCH).map_or("0", String::as_str);
            if lease.annotations().get(lease::SWITCHOVER).map(String::as_str) != Some(epoch) {
                continue;
            }
            let next: u64 = epoch.parse::<u64>().unwrap() + 1;
            let ordinal = usize::from(next % 2 == 1);
            let patch = json!({"metadata": {"annotations": {
                lease::EPOCH: next.to_string(), lease::IN_SYNC: "true", lease::SWITCHOVER: null}}});
            leases.patch("demo-store-0", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            say(&says, 1 - ordinal, next, "InSync", true);
            say(&says, ordinal, next, "Primary", true);
        }
    })
}

/// A kubeconfig of somebody with the rights that the documentation gives to whoever may switch over.
fn on_call(api: &TestApi, folder: &std::path::Path) -> std::path::PathBuf {
    let user = format!("on-call-{}", api.namespace);
    let here = ["-n", &api.namespace];
    let create = |arguments: &[&str]| api.run("kubectl", &[&here[..], &["create"], arguments].concat());
    create(&["role", "mail-see", "--verb=get,list", "--resource=mailsystems.mail.angiang.gov.vn"]);
    create(&[
        "role",
        "mail-switchover",
        "--verb=get,patch",
        "--resource=leases.coordination.k8s.io",
        "--resource-name=demo-store-0",
    ]);
    for role in ["mail-see", "mail-switchover"] {
        create(&["rolebinding", role, &format!("--role={role}"), &format!("--user={user}")]);
    }
    let text = std::fs::read_to_string(api.kubeconfig()).unwrap();
    let text = text.replace("user: {token:", &format!("user: {{as: '{user}', token:"));
    assert!(text.contains(&user));
    let path = folder.join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    path
}

async fn mail(kubeconfig: &std::path::Path, namespace: &str, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-mail"))
        .args(["-n", namespace])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .await
        .unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test]
async fn somebody_with_few_rights_switches_over_and_is_refused_where_mail_would_be_missing() {
    let api = harness::api("switchover").await;
    storage_class(&api.client, "standard", true).await;
    let says = stores(&api, "127.9.53").await;
    say(&says, 0, 4, "Primary", true);
    say(&says, 1, 4, "InSync", true);
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "ReplicationHealthy", "InSync").await;
    annotate(&api, &[(lease::EPOCH, Some("4")), (lease::IN_SYNC, Some("true"))]).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, here) = (on_call(&api, folder.path()), api.namespace.clone());
    let mail = async |arguments: &[&str]| mail(&config, &here, arguments).await;

    let (done, said) = mail(&["status", "demo"]).await;
    assert!(done && said.contains("demo-store-0-0") && said.contains("ReplicationHealthy"), "{said}");
    let row = said.lines().find(|line| line.contains("demo-store-0-1")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["0", "demo-store-0-1", "replica", "InSync", "4"]);

    let (done, said) = mail(&["switchover", "--timeout", "2"]).await;
    assert!(!done && said.contains("the order is withdrawn"), "{said}");
    assert_eq!(annotation(&api, lease::SWITCHOVER).await, None);

    let obeying = obey(&api, &says);
    let (done, said) = mail(&["switchover", "demo", "--to", "demo-store-0-1"]).await;
    assert!(done && said.contains("demo-store-0-1 serves shard 0 in epoch 5"), "{said}");
    assert_eq!(primary(&api).await.as_deref(), Some("demo-store-0-1"));
    let (done, said) = mail(&["switchover", "demo", "--to", "demo-store-0-1"]).await;
    assert!(done && said.contains("already"), "{said}");
    obeying.abort();

    annotate(&api, &[(lease::IN_SYNC, Some("false"))]).await;
    say(&says, 1, 5, "Primary", false);
    say(&says, 0, 5, "Returning", false);
    condition(&api, "ReplicationHealthy", "Returning").await;
    let (done, said) = mail(&["switchover", "demo"]).await;
    assert!(!done && said.contains("nothing was ordered") && said.contains("Returning"), "{said}");
    assert_eq!(annotation(&api, lease::SWITCHOVER).await, None);
    operator.stop().await;
}

#[tokio::test]
async fn a_disk_is_declared_lost_by_name_and_only_where_nobody_serves() {
    let api = harness::api("lost").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    eventually(async || leases(&api).get_opt("demo-store-0").await.unwrap(), Option::is_some).await;
    annotate(&api, &[(lease::EPOCH, Some("4"))]).await;
    let (config, here) = (api.kubeconfig().to_owned(), api.namespace.clone());
    let declare = async |pod: &str, confirm: &str| {
        mail(&config, &here, &["declare-lost", pod, "--confirm", confirm, "--timeout", "3"]).await
    };
    let (done, said) = declare("demo-store-0-0", "demo-store-0-1").await;
    assert!(!done && said.contains("repeat the pod's name"), "{said}");

    let renewed = leases(&api);
    let renewing = tokio::spawn(async move {
        for count in 0_u64.. {
            let patch = json!({"metadata": {"annotations": {"x.vn/renewal": count.to_string()}}});
            renewed.patch("demo-store-0", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let (done, said) = declare("demo-store-0-1", "demo-store-0-1").await;
    assert!(!done && said.contains("demo-store-0-0 renews its Lease"), "{said}");
    renewing.abort();
    assert_eq!(annotation(&api, lease::DECLARE_LOST).await, None);

    let (done, said) = declare("demo-store-0-0", "demo-store-0-0").await;
    assert!(!done && said.contains("the declaration stands"), "{said}");
    assert_eq!(annotation(&api, lease::DECLARE_LOST).await.as_deref(), Some("demo-store-0-0@4"));
    annotate(&api, &[(lease::DECLARE_LOST, None)]).await;
    let taking = leases(&api);
    let taken = tokio::spawn(async move {
        while !taking.get("demo-store-0").await.unwrap().annotations().contains_key(lease::DECLARE_LOST) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let patch = json!({"metadata": {"annotations": {lease::EPOCH: "5"}}});
        taking.patch("demo-store-0", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    });
    let (done, said) = declare("demo-store-0-0", "demo-store-0-0").await;
    taken.await.unwrap();
    assert!(done && said.contains("demo-store-0-1 has taken epoch 5"), "{said}");
    assert!(said.contains("delete pvc data-demo-store-0-0"), "{said}");
    operator.stop().await;
}

#[tokio::test]
async fn a_system_with_one_store_for_each_shard_says_nothing_of_replication() {
    let api = harness::api("single").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn", "store": {"replicas": 1}})).await;
    condition(&api, "StoreAvailable", "NotObserved").await;
    let status = systems(&api).get("demo").await.unwrap().status.unwrap();
    assert!(conditions::get(&status.conditions, "ReplicationHealthy").is_none() && status.shards.is_empty());
    let config = api.kubeconfig().to_owned();
    let (done, said) = mail(&config, &api.namespace, &["switchover", "demo"]).await;
    assert!(!done && said.contains("there is no other"), "{said}");
    operator.stop().await;
}

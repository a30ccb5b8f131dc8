//! An API server that was restored from a backup: its directory is older than that of the agents, and must not pass for
//! theirs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::get};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::{api::RetiredMailbox, conditions, directory::ISSUED};
use serde_json::json;

use crate::{
    agent,
    harness::{self, TestApi},
    mailbox::{mailboxes, put, reason, secret, served},
    operator::{Running, eventually, systems},
};

const PARTS: [&str; 2] = ["demo-directory", "demo-directory-1-0"];

fn secrets(api: &TestApi) -> Api<Secret> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn numbers(api: &TestApi) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    for part in PARTS {
        let data = secrets(api).get(part).await.unwrap().data.unwrap();
        let number = String::from_utf8(data[ISSUED].0.clone()).unwrap().parse().unwrap();
        numbers.insert(part.to_owned(), number);
    }
    numbers
}

#[tokio::test]
async fn a_directory_from_a_backup_is_issued_again_above_what_agents_hold_and_counts_when_they_have_it() {
    let api = harness::api("restored").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.12.1").await;
    secret(&api, "pass", json!({"password": "hunter2"})).await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "passwordSecret": {"name": "pass"}})).await;
    reason(&api, "an", "Served").await;
    let mut backup = Vec::new();
    for part in PARTS {
        backup.push(secrets(&api).get(part).await.unwrap());
    }
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn", "passwordSecret": {"name": "pass"}})).await;
    reason(&api, "binh", "Served").await;
    operator.stop().await;

    // The backup knows nothing of binh. One agent was told of more issues than the API server ever had.
    mailboxes(&api).delete("binh", &DeleteParams::default()).await.unwrap();
    for part in &backup {
        let patch = Patch::Merge(json!({"data": part.data}));
        let name = part.metadata.name.as_deref().unwrap();
        secrets(&api).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }
    let held: BTreeMap<_, _> =
        numbers(&api).await.into_iter().map(|(part, it)| (part, it + 86_400_000)).collect();
    let reported = Arc::new(Mutex::new(held.clone()));
    stubborn(&api, "127.9.12.3", reported.clone()).await;

    let operator = Running::start(&api, "two").await;
    let higher = |issued: &BTreeMap<String, u64>| held.iter().all(|(part, held)| issued[part] > *held);
    let issued = eventually(async || numbers(&api).await, higher).await;
    eventually(async || replica.find("binh@x.vn").is_none(), |gone| *gone).await;
    assert_eq!(replica.issued(), issued);
    let metrics = operator.metrics().await;
    assert!(metrics.contains("mail_directory_restored_total 1"), "{metrics}");
    let directory = async || {
        let status = systems(&api).get("demo").await.unwrap().status.unwrap_or_default();
        conditions::get(&status.conditions, "DirectoryServed").cloned()
    };
    let told = eventually(directory, Option::is_some).await.unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("Unknown", "Restored"));
    // It was served before the backup was put back, and is not said to be now.
    let message = reason(&api, "an", "AwaitingAgents").await;
    assert!(message.contains("Not every gateway"), "{message}");
    let retired: Api<RetiredMailbox> = Api::namespaced(api.client.clone(), &api.namespace);
    assert!(retired.list(&ListParams::default()).await.unwrap().items.is_empty());

    *reported.lock().unwrap() = issued.clone();
    reason(&api, "an", "Served").await;
    eventually(directory, Option::is_none).await;
    assert_eq!(numbers(&api).await, issued, "it was issued once");
    operator.stop().await;
}

/// A second gateway that holds what it is told to.
async fn stubborn(api: &TestApi, ip: &str, reported: Arc<Mutex<BTreeMap<String, u64>>>) {
    let status = get(async move || Json(json!({"directory": *reported.lock().unwrap()})));
    let address = (ip.parse::<std::net::IpAddr>().unwrap(), mail_operator::names::ports::HTTP);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async { axum::serve(listener, Router::new().route("/status", status)).await });
    agent::pod(api, "demo-gateway-1", &json!({"app.kubernetes.io/component": "gateway"}), ip).await;
}

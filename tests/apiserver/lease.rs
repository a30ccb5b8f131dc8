//! One operator works at a time.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mail_operator::operator::Error;
use serde_json::json;

use crate::{
    harness::{self, TestApi},
    operator::{Running, eventually},
};

async fn holder(api: &TestApi) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(api.client.clone(), &api.namespace);
    leases.get_opt("mail-operator").await.unwrap()?.spec?.holder_identity
}

#[tokio::test]
async fn a_standby_is_ready_and_takes_over_at_once_when_the_lease_is_released() {
    let api = harness::api("lease").await;
    let first = Running::start(&api, "one").await;
    eventually(async || holder(&api).await, |holder| holder.as_deref() == Some("one")).await;
    let second = Running::start(&api, "two").await;
    eventually(async || second.readiness().await, |answer| answer.starts_with("HTTP/1.1 200")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(holder(&api).await.as_deref(), Some("one"));
    first.stop().await;
    // Released, not left to expire: nobody holds it, or the other one does already.
    assert_ne!(holder(&api).await.as_deref(), Some("one"));
    eventually(async || holder(&api).await, |holder| holder.as_deref() == Some("two")).await;
    second.stop().await;
}

#[tokio::test]
async fn an_operator_that_lost_the_lease_ends() {
    let api = harness::api("lost").await;
    let operator = Running::start(&api, "one").await;
    eventually(async || holder(&api).await, |holder| holder.as_deref() == Some("one")).await;
    let leases: Api<Lease> = Api::namespaced(api.client.clone(), &api.namespace);
    let patch = json!({"spec": {"holderIdentity": "thief"}});
    leases.patch("mail-operator", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert!(matches!(operator.end().await, Err(Error::LeaseLost)));
    assert_eq!(holder(&api).await.as_deref(), Some("thief"));
}

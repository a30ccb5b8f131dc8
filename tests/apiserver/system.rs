//! The MailSystem controller: what it makes, what it leaves alone, what it says.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Namespace, Secret, Service},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    harness,
    mailbox::{mailboxes, put, served},
    operator::{Running, any, apply, condition, eventually, storage_class, systems, versions},
};

#[tokio::test]
async fn a_system_is_made_whole_and_a_restart_writes_nothing() {
    let api = harness::api("system").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn", "store": {"shards": 2}})).await;
    let (ready, _) = condition(&api, "Ready", "NotObserved").await;
    assert_eq!(ready.status, "Unknown");
    let made = versions(&api).await;
    for name in [
        "StatefulSet/demo-gateway ",
        "StatefulSet/demo-store-0 ",
        "StatefulSet/demo-store-1 ",
        "StatefulSet/demo-cache ",
        "Deployment/demo-antispam ",
        "Deployment/demo-antivirus ",
        "Service/demo-gateway ",
        "Service/demo-gateway-pods ",
        "Service/demo-store-1 ",
        "ConfigMap/demo-postfix ",
        "ConfigMap/demo-valkey ",
        "Secret/demo-tls ",
        "Secret/demo-internal ",
        "ServiceAccount/demo-store ",
        "NetworkPolicy/demo-cache ",
        "PodDisruptionBudget/demo-gateway ",
    ] {
        assert!(made.iter().any(|line| line.starts_with(name)), "{name} is not in {made:#?}");
    }
    // Nothing announces the last write of the mailboxes' controller.
    tokio::time::sleep(Duration::from_secs(2)).await;
    operator.stop().await;

    let before = versions(&api).await;
    let operator = Running::start(&api, "two").await;
    eventually(async || operator.reconciled().await, |count| *count > 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(before, versions(&api).await);
    assert!(operator.reconciled().await < 10, "it reconciles without end");
    operator.stop().await;
}

#[tokio::test]
async fn what_is_ours_is_put_back_and_what_others_added_stays() {
    let api = harness::api("drift").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let deployments: Api<Deployment> = Api::namespaced(api.client.clone(), &api.namespace);
    eventually(async || deployments.get_opt("demo-antispam").await.unwrap(), Option::is_some).await;
    let patch = json!({
        "metadata": {"annotations": {"x.vn/note": "keep"}},
        "spec": {"replicas": 7, "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}},
    });
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    deployments.patch("demo-antispam", &params, &Patch::Merge(patch)).await.unwrap();
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().unwrap().replicas;
    let back =
        eventually(async || deployments.get("demo-antispam").await.unwrap(), |d| replicas(d) == Some(2))
            .await;
    assert_eq!(back.metadata.annotations.unwrap()["x.vn/note"], "keep");
    let template = back.spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert_eq!(template["kubectl.kubernetes.io/restartedAt"], "now");

    let secrets: Api<Secret> = Api::namespaced(api.client.clone(), &api.namespace);
    let token = secrets.get("demo-internal").await.unwrap().data.unwrap()["token"].clone();
    secrets.delete("demo-internal", &DeleteParams::default()).await.unwrap();
    let again = eventually(async || secrets.get_opt("demo-internal").await.unwrap(), Option::is_some).await;
    assert_ne!(again.unwrap().data.unwrap()["token"], token);
    operator.stop().await;
}

#[tokio::test]
async fn a_missing_storage_class_is_named_and_its_workload_follows_once_it_is_there() {
    let api = harness::api("classes").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    let class = format!("{}-fast", api.namespace);
    let storage = json!({"size": "1Gi", "storageClassName": class});
    apply(&api, json!({"hostname": "mail.x.vn", "gateway": {"queueStorage": storage}})).await;
    let (found, _) = condition(&api, "GatewayAvailable", "StorageClassNotFound").await;
    assert!(found.status == "False" && found.message.contains(&class), "{}", found.message);
    let sets: Api<StatefulSet> = Api::namespaced(api.client.clone(), &api.namespace);
    eventually(async || sets.get_opt("demo-store-0").await.unwrap(), Option::is_some).await;
    assert!(sets.get_opt("demo-gateway").await.unwrap().is_none());
    storage_class(&api.client, &class, false).await;
    eventually(async || sets.get_opt("demo-gateway").await.unwrap(), Option::is_some).await;
    condition(&api, "GatewayAvailable", "NotObserved").await;
    operator.stop().await;
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_and_the_rest_is_made() {
    let api = harness::api("refused").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    let service = json!({"annotations": {"not a key": "x"}});
    apply(&api, json!({"hostname": "mail.x.vn", "gateway": {"service": service}})).await;
    let (ready, _) = condition(&api, "Ready", "ApplyFailed").await;
    assert!(ready.message.contains("Service demo-gateway:"), "{}", ready.message);
    assert_eq!(any(&api, "statefulset", "demo-gateway")["spec"]["replicas"], 2);
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "Ready", "NotObserved").await;
    let services: Api<Service> = Api::namespaced(api.client.clone(), &api.namespace);
    assert!(services.get_opt("demo-gateway").await.unwrap().is_some());
    operator.stop().await;
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_left_alone_and_nothing_is_called_wrong() {
    let api = harness::api("terminating").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    condition(&api, "Ready", "NotObserved").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    let secrets: Api<Secret> = Api::namespaced(api.client.clone(), &api.namespace);
    eventually(async || secrets.get_opt("an-credentials").await.unwrap(), Option::is_some).await;
    // No controller empties it here: it stays as it is while it goes.
    let namespaces: Api<Namespace> = Api::all(api.client.clone());
    namespaces.delete(&api.namespace, &DeleteParams::default()).await.unwrap();
    let generation = |status: Option<i64>| status == Some(2);
    let deployments: Api<Deployment> = Api::namespaced(api.client.clone(), &api.namespace);
    deployments.delete("demo-antispam", &DeleteParams::default()).await.unwrap();
    secrets.delete("an-credentials", &DeleteParams::default()).await.unwrap();
    secrets.delete("demo-directory", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(deployments.get_opt("demo-antispam").await.unwrap().is_none(), "it can be made after all");
    let said = api.run("kubectl", &["-n", &api.namespace, "get", "mail", "-o", "yaml"]);
    assert!(!said.contains("ApplyFailed") && !said.contains("SecretRefused"), "{said}");
    // Status of what is there is told all the same.
    let patch = Patch::Merge(json!({"spec": {"quota": "3Gi"}}));
    mailboxes(&api).patch("an", &PatchParams::default(), &patch).await.unwrap();
    put(&api, "MailDomain", "x", json!({"domain": "x.vn", "system": {"name": "demo"}, "dnsCheck": false}))
        .await;
    let domain = async || any(&api, "maildomain", "x")["status"]["observedGeneration"].as_i64();
    eventually(domain, |it| generation(*it)).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_paused_system_is_left_alone() {
    let api = harness::api("paused").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "Ready", "NotObserved").await;
    apply(&api, json!({"hostname": "mail.x.vn", "antispam": {"replicas": 5}, "paused": true})).await;
    condition(&api, "Ready", "Paused").await;
    assert_eq!(any(&api, "deployment", "demo-antispam")["spec"]["replicas"], 2);
    apply(&api, json!({"hostname": "mail.x.vn", "antispam": {"replicas": 5}})).await;
    condition(&api, "Ready", "NotObserved").await;
    assert_eq!(any(&api, "deployment", "demo-antispam")["spec"]["replicas"], 5);
    operator.stop().await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_mended_and_keeps_no_other_waiting() {
    let api = harness::api("malformed").await;
    storage_class(&api.client, "standard", true).await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let status = json!({"status": {"components": [{"name": "x", "ready": 5_000_000_000_u64, "desired": 1, "image": "x"}]}});
    let url =
        format!("/apis/mail.angiang.gov.vn/v1alpha1/namespaces/{}/mailsystems/demo/status", api.namespace);
    let request = axum::http::Request::patch(url)
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status).unwrap())
        .unwrap();
    api.client.request_text(request).await.unwrap();
    assert!(systems(&api).get("demo").await.is_err(), "it fits the type after all");

    let operator = Running::start(&api, "one").await;
    eventually(async || systems(&api).get("demo").await.is_ok(), |fits| *fits).await;
    condition(&api, "Ready", "NotObserved").await;
    let events =
        api.run("kubectl", &["-n", &api.namespace, "get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("InvalidSpec"), "{events}");
    operator.stop().await;
}

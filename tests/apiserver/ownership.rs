//! Objects of others that have the names which a system needs: they are left alone, and said.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    agent,
    harness::{self, TestApi},
    mailbox::put,
    operator::{Running, any, apply, condition, eventually, storage_class, systems},
};

trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Serialize
    + DeserializeOwned
    + std::fmt::Debug
{
}
impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Serialize
        + DeserializeOwned
        + std::fmt::Debug
{
}

fn objects<K: Object>(api: &TestApi) -> Api<K> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn make<K: Object>(api: &TestApi, object: Value) -> (String, String) {
    let object: K = serde_json::from_value(object).unwrap();
    let made = objects::<K>(api).create(&PostParams::default(), &object).await.unwrap();
    (made.name_any(), made.resource_version().unwrap())
}

fn deployment(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        },
    })
}

/// What the condition says of the domain's key.
fn signing(api: &TestApi) -> Value {
    let conditions = any(api, "maildomain", "x")["status"]["conditions"].clone();
    let found =
        conditions.as_array().into_iter().flatten().find(|it| it["type"] == "DkimKeyAvailable").cloned();
    found.unwrap_or_default()
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone_and_named_and_the_rest_is_made() {
    let api = harness::api("ownership").await;
    storage_class(&api.client, "standard", true).await;
    let theirs = [
        ("deployment", make::<Deployment>(&api, deployment("demo-antivirus")).await),
        (
            "configmap",
            make::<ConfigMap>(&api, json!({"metadata": {"name": "demo-nginx"}, "data": {"a": "b"}})).await,
        ),
        ("secret", make::<Secret>(&api, json!({"metadata": {"name": "demo-directory-1-0"}})).await),
        ("secret", make::<Secret>(&api, json!({"metadata": {"name": "demo-dkim"}})).await),
        (
            "pvc",
            make::<PersistentVolumeClaim>(
                &api,
                json!({
                    "metadata": {"name": "data-demo-store-0-0"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }),
            )
            .await,
        ),
    ];
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    agent::start(&api, "127.9.13.1").await;
    put(&api, "MailDomain", "x", json!({"domain": "x.vn", "system": {"name": "demo"}, "dnsCheck": false}))
        .await;
    let (ready, _) = condition(&api, "Ready", "NameTaken").await;
    assert_eq!(ready.status, "False");
    for part in [
        "Deployment demo-antivirus",
        "ConfigMap demo-nginx",
        "PersistentVolumeClaim data-demo-store-0-0",
        "kubectl -n",
    ] {
        assert!(ready.message.contains(part), "{part}: {}", ready.message);
    }
    let (told, _) = condition(&api, "DirectoryServed", "NameTaken").await;
    assert!(told.status == "False" && told.message.contains("Secret demo-directory-1-0"), "{}", told.message);
    let key = eventually(async || signing(&api), |it| it["reason"] == "NameTaken").await;
    assert!(key["message"].as_str().unwrap().contains("Secret demo-dkim"), "{key}");

    // Others go on, but for what would run with somebody else's files.
    for (kind, name) in
        [("deployment", "demo-antispam"), ("statefulset", "demo-cache"), ("configmap", "demo-postfix")]
    {
        any(&api, kind, name);
    }
    for absent in ["demo-gateway", "demo-store-0"] {
        let found = api.try_run("kubectl", &["-n", &api.namespace, "get", "statefulset", absent]);
        assert!(!found.status.success(), "{absent} was made");
    }
    for (kind, (name, version)) in &theirs {
        assert_eq!(any(&api, kind, name)["metadata"]["resourceVersion"], json!(version), "{kind} {name}");
    }

    // They go, or are handed over.
    let gone = DeleteParams::default();
    objects::<Deployment>(&api).delete("demo-antivirus", &gone).await.unwrap();
    objects::<Secret>(&api).delete("demo-directory-1-0", &gone).await.unwrap();
    objects::<Secret>(&api).delete("demo-dkim", &gone).await.unwrap();
    for (kind, name, mark) in [
        ("configmap", "demo-nginx", "app.kubernetes.io/managed-by=mail-operator"),
        ("persistentvolumeclaim", "data-demo-store-0-0", "app.kubernetes.io/name=mail-operator"),
    ] {
        let said = format!("label {kind} {name} {mark} app.kubernetes.io/instance=demo");
        assert!(ready.message.contains(&said), "{said}: {}", ready.message);
        let instance = "app.kubernetes.io/instance=demo";
        api.run("kubectl", &["-n", &api.namespace, "label", kind, name, mark, instance]);
    }
    apply(&api, json!({"hostname": "mail.x.vn", "antispam": {"replicas": 1}})).await;
    condition(&api, "Ready", "NotObserved").await;
    eventually(async || signing(&api), |it| it["reason"] == "KeyAvailable").await;
    assert_eq!(any(&api, "deployment", "demo-antivirus")["metadata"]["ownerReferences"][0]["name"], "demo");
    assert!(any(&api, "configmap", "demo-nginx")["data"]["nginx.conf"].is_string());
    any(&api, "statefulset", "demo-gateway");
    operator.stop().await;
}

#[tokio::test]
async fn an_object_that_took_the_place_of_ours_is_noticed_and_what_a_former_system_left_is_taken_up() {
    let api = harness::api("ownership").await;
    storage_class(&api.client, "standard", true).await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "Ready", "NotObserved").await;
    apply(&api, json!({"hostname": "mail.x.vn", "paused": true})).await;
    condition(&api, "Ready", "Paused").await;
    let deployments = objects::<Deployment>(&api);
    deployments.delete("demo-antispam", &DeleteParams::default()).await.unwrap();
    let (name, version) = make::<Deployment>(&api, deployment("demo-antispam")).await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let (ready, _) = condition(&api, "Ready", "NameTaken").await;
    assert!(ready.message.contains("Deployment demo-antispam"), "{}", ready.message);
    assert_eq!(any(&api, "deployment", &name)["metadata"]["resourceVersion"], json!(version));
    deployments.delete("demo-antispam", &DeleteParams::default()).await.unwrap();
    apply(&api, json!({"hostname": "mail.x.vn", "antispam": {"replicas": 1}})).await;
    condition(&api, "Ready", "NotObserved").await;

    // Nothing is collected here: another system of the name finds all that its predecessor had.
    systems(&api).delete("demo", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let system = apply(&api, json!({"hostname": "mail.x.vn"})).await;
    condition(&api, "Ready", "NotObserved").await;
    let owner = async || any(&api, "deployment", "demo-antispam")["metadata"]["ownerReferences"].clone();
    let uid = system.uid().unwrap();
    eventually(owner, |owners| {
        owners.as_array().is_some_and(|it| it.len() == 1 && it[0]["uid"] == json!(uid))
    })
    .await;
    // A label that somebody took away does not make it a stranger.
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}));
    deployments.patch("demo-antispam", &PatchParams::default(), &patch).await.unwrap();
    apply(&api, json!({"hostname": "mail.x.vn", "antispam": {"replicas": 3}})).await;
    let replicas = async || any(&api, "deployment", "demo-antispam")["spec"]["replicas"].as_i64();
    eventually(replicas, |it| *it == Some(3)).await;
    operator.stop().await;
}

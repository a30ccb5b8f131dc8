//! MailBackup: what it lacks, what it begins, and what it says of it, on a real API server. Nothing runs the pods here.

use k8s_openapi::api::{
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{PersistentVolumeClaim, Secret},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use mail_operator::{
    api::{MailBackup, MailBackupStatus, MailSystem},
    conditions,
};
use serde_json::{Value, json};

use crate::{
    harness::{self, TestApi},
    operator::{Running, apply, eventually, storage_class, systems},
};

/// Makes an object, whatever it is.
pub async fn make<K>(api: &TestApi, object: Value)
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(api.client.clone(), &api.namespace);
    objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// The password and the credentials.
pub async fn secrets(api: &TestApi) {
    make::<Secret>(api, json!({"metadata": {"name": "key"}, "stringData": {"password": "p"}})).await;
    let keys = json!({"accessKeyId": "i", "secretAccessKey": "s"});
    make::<Secret>(api, json!({"metadata": {"name": "s3"}, "stringData": keys})).await;
}

/// A system `demo` whose shards have one store each, with its volumes.
pub async fn system(api: &TestApi, shards: u32) -> MailSystem {
    storage_class(&api.client, "standard", true).await;
    for shard in 0..shards {
        let claim = json!({"metadata": {"name": format!("data-demo-store-{shard}-0"),
            "labels": {"app.kubernetes.io/name": "mail-operator", "app.kubernetes.io/instance": "demo"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        make::<PersistentVolumeClaim>(api, claim).await;
    }
    apply(api, json!({"hostname": "mail.x.vn", "store": {"shards": shards, "replicas": 1}})).await
}

/// A MailBackup `name` with these fields besides.
pub async fn backup(api: &TestApi, name: &str, fields: &Value) {
    let mut spec = json!({"system": {"name": "demo"}, "encryptionSecret": "key", "objects": "None",
        "repository": {"objectStorage": {"endpoint": "http://s3.x.vn:9000", "bucket": "backups", "credentialsSecret": "s3"}}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    make::<MailBackup>(api, json!({"metadata": {"name": name}, "spec": spec})).await;
}

/// Those of the test.
pub fn backups(api: &TestApi) -> Api<MailBackup> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

/// Waits until the condition has this reason, and returns the status.
pub async fn says(api: &TestApi, name: &str, type_: &str, reason: &str) -> MailBackupStatus {
    let status = async || backups(api).get(name).await.unwrap().status.unwrap_or_default();
    eventually(status, |status| {
        conditions::get(&status.conditions, type_).is_some_and(|condition| condition.reason == reason)
    })
    .await
}

/// The Jobs of the test, by name.
pub async fn jobs(api: &TestApi) -> Vec<Job> {
    let jobs: Api<Job> = Api::namespaced(api.client.clone(), &api.namespace);
    jobs.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn what_is_lacking_is_said_and_looked_for_again() {
    let api = harness::api("backup-lacks").await;
    let operator = Running::start(&api, "one").await;
    backup(&api, "nightly", &json!({"schedule": "30 1 * * *", "suspend": true})).await;
    says(&api, "nightly", "Ready", "EncryptionSecretMissing").await;
    for (name, schedule, zone, reason) in [
        ("never", "0 0 30 2 *", "Etc/UTC", "ScheduleNeverFires"),
        ("odd", "61 * * * *", "Etc/UTC", "InvalidSchedule"),
        ("mars", "30 1 * * *", "Mars/Olympus", "UnknownTimeZone"),
    ] {
        let place = json!({"volume": {"claim": "nfs", "path": name}});
        let fields = json!({"schedule": schedule, "timeZone": zone, "repository": place});
        backup(&api, name, &fields).await;
        says(&api, name, "Ready", reason).await;
    }
    secrets(&api).await;
    // What a Secret lacks is looked for every 15 seconds.
    says(&api, "nightly", "Ready", "SystemMissing").await;
    backup(&api, "second", &json!({"schedule": "0 3 * * *"})).await;
    let status = says(&api, "second", "Ready", "RepositoryInUse").await;
    let message = &conditions::get(&status.conditions, "Ready").unwrap().message;
    assert!(message.contains(&format!("{}/nightly", api.namespace)), "{message}");
    let own = json!({"objectStorage": {"bucket": "backups", "prefix": "other", "credentialsSecret": "s3"}});
    backup(&api, "third", &json!({"schedule": "0 3 * * *", "repository": own})).await;
    says(&api, "third", "Ready", "SystemMissing").await;
    let volume = json!({"volume": {"claim": "nothing-there"}});
    backup(&api, "fourth", &json!({"schedule": "0 3 * * *", "repository": volume})).await;
    says(&api, "fourth", "Ready", "ClaimMissing").await;
    operator.stop().await;
}

#[tokio::test]
async fn a_backup_that_is_asked_for_is_one_job_under_one_lease() {
    let api = harness::api("backup-job").await;
    secrets(&api).await;
    let operator = Running::start(&api, "one").await;
    system(&api, 1).await;
    backup(&api, "nightly", &json!({"schedule": "30 1 * * *", "verify": {"mode": "None"}})).await;
    let found = eventually(async || jobs(&api).await, |jobs| !jobs.is_empty()).await;
    let value = serde_json::to_value(&found[0]).unwrap();
    let labels = &value["metadata"]["labels"];
    assert_eq!(labels["mail.angiang.gov.vn/backup"], "nightly");
    assert_eq!(value["metadata"]["ownerReferences"][0]["kind"], "MailBackup");
    let pod = &value["spec"]["template"]["spec"];
    let work =
        pod["containers"][0]["env"].as_array().unwrap().iter().find(|it| it["name"] == "WORK").unwrap();
    assert!(work["value"].as_str().unwrap().starts_with("{\"maintain\":"), "it is listed first: {work}");
    assert_eq!(pod["automountServiceAccountToken"], false);

    let leases: Api<Lease> = Api::namespaced(api.client.clone(), &api.namespace);
    let held = async || {
        let all = leases.list(&ListParams::default()).await.unwrap().items;
        let held =
            all.into_iter().filter_map(|lease| Some((lease.metadata.name?, lease.spec?.holder_identity?)));
        held.filter(|(name, _)| name.starts_with("backup-")).collect::<Vec<_>>()
    };
    let run = value["metadata"]["labels"]["mail.angiang.gov.vn/run"].as_str().unwrap().to_owned();
    assert_eq!(held().await.first().unwrap().1, format!("MailBackup/nightly/{run}"));
    // While it is listed nothing else begins, whoever asks for it.
    let ask = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/run-now": "2026-12-01T00:00:00Z"}}});
    backups(&api).patch("nightly", &PatchParams::default(), &Patch::Merge(ask)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(jobs(&api).await.len(), 1);
    let status = backups(&api).get("nightly").await.unwrap().status.unwrap();
    assert_eq!(status.running.unwrap().run, run);
    assert_eq!(status.last_run_now, None);
    operator.stop().await;

    // Another operator goes on with the same Job; one that is deleted is made again.
    let operator = Running::start(&api, "two").await;
    let all: Api<Job> = Api::namespaced(api.client.clone(), &api.namespace);
    let (name, uid) = (found[0].metadata.name.clone().unwrap(), found[0].metadata.uid.clone());
    all.delete(&name, &DeleteParams::background()).await.unwrap();
    eventually(
        async || jobs(&api).await,
        |jobs| jobs.iter().any(|job| job.metadata.name.as_deref() == Some(&name) && job.metadata.uid != uid),
    )
    .await;
    systems(&api).delete("demo", &DeleteParams::default()).await.unwrap();
    operator.stop().await;
}

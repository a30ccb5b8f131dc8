//! MailRestores from their beginning to their end, on a real API server. Nothing runs the pods here: the test says what they
//! would have said.

use k8s_openapi::api::{batch::v1::Job, coordination::v1::Lease};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use mail_operator::{
    api::{MailRestore, MailRestoreStatus, MailSnapshot, restore::RestorePhase},
    conditions,
    job::{Failed, MaintainDone, RestoreDone, RestoreWork, Said, Stored, Work},
};
use serde_json::{Value, json};

use crate::{
    backup::{backup, jobs, make, secrets, system},
    backup_runs::{complete, end, wait_for},
    harness::{self, TestApi},
    operator::{Running, eventually},
};

const RUN: &str = "nightly-20261130-183000";

fn restores(api: &TestApi) -> Api<MailRestore> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn restore(api: &TestApi, name: &str, fields: Value) {
    let mut spec = json!({"system": {"name": "demo"}, "from": {"snapshot": RUN}, "mailboxes": {"all": true}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    make::<MailRestore>(api, json!({"metadata": {"name": name}, "spec": spec})).await;
}

/// Waits until `Complete` has this reason, and returns the status.
async fn says(api: &TestApi, name: &str, reason: &str) -> MailRestoreStatus {
    let status = async || restores(api).get(name).await.unwrap().status.unwrap_or_default();
    eventually(status, |status| {
        conditions::get(&status.conditions, "Complete").is_some_and(|it| it.reason == reason)
    })
    .await
}

/// A system with two shards, and a MailBackup whose repository has one snapshot that no restore has proven.
async fn stored(api: &TestApi) {
    secrets(api).await;
    system(api, 2).await;
    let fields = json!({"schedule": "30 1 * * *", "suspend": true, "verify": {"mode": "None"}});
    backup(api, "nightly", &fields).await;
    for shard in 0..2 {
        let listed = |work: &Work| match work {
            Work::Maintain(work) => work.repository.host == format!("demo-store-{shard}"),
            _ => false,
        };
        let (job, _) = wait_for(api, listed).await;
        let snapshot = Stored {
            id: format!("{:064x}", shard + 1),
            run: RUN.to_owned(),
            frozen: 1_796_000_000_123,
            mailboxes: Some(2),
            messages: Some(10),
            added: Some(1024),
            complete: true,
        };
        let done = MaintainDone { snapshots: vec![snapshot], size: Some(1024), failed: None };
        // They are recorded when all have ended.
        end(api, &job, &Said::Done(done).line()).await;
    }
    let snapshots: Api<MailSnapshot> = Api::namespaced(api.client.clone(), &api.namespace);
    let shown = async || snapshots.get_opt(RUN).await.unwrap().map_or(0, |it| it.spec.parts.len());
    eventually(shown, |parts| *parts == 2).await;
}

async fn of_shard(api: &TestApi, id: &str) -> (Job, RestoreWork) {
    let (job, work) = wait_for(api, |work| matches!(work, Work::Restore(work) if work.snapshot == id)).await;
    let Work::Restore(work) = work else { panic!("no restore") };
    (job, work)
}

async fn holders(api: &TestApi) -> Vec<String> {
    let leases: Api<Lease> = Api::namespaced(api.client.clone(), &api.namespace);
    let all = leases.list(&ListParams::default()).await.unwrap().items;
    let backups = all.into_iter().filter(|it| it.metadata.name.as_deref().unwrap().starts_with("backup-"));
    backups.filter_map(|lease| lease.spec?.holder_identity).filter(|it| !it.is_empty()).collect()
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_with_what_to_do() {
    let api = harness::api("restore-refused").await;
    let operator = Running::start(&api, "one").await;
    stored(&api).await;
    restore(&api, "unproven", json!({})).await;
    let status = says(&api, "unproven", "SnapshotNotVerified").await;
    assert_eq!(status.phase, RestorePhase::Failed);
    assert!(conditions::is_true(&status.conditions, "Failed") && status.finished.is_some());
    restore(&api, "none-proven", json!({"from": {"latestVerified": {"backup": "nightly"}}})).await;
    assert_eq!(says(&api, "none-proven", "SnapshotNotVerified").await.phase, RestorePhase::Failed);
    restore(&api, "missing", json!({"from": {"snapshot": "nightly-9"}})).await;
    assert_eq!(says(&api, "missing", "SnapshotMissing").await.phase, RestorePhase::Pending);
    restore(&api, "no-backup", json!({"from": {"latestVerified": {"backup": "weekly"}}})).await;
    assert_eq!(says(&api, "no-backup", "BackupMissing").await.phase, RestorePhase::Pending);
    let early = json!({"pointInTime": {"backup": "nightly", "time": "2020-01-01T00:00:00Z"}});
    restore(&api, "too-early", json!({"from": early})).await;
    assert_eq!(says(&api, "too-early", "SnapshotMissing").await.phase, RestorePhase::Pending);
    let changed = json!({"spec": {"allowUnverified": true}});
    let error = restores(&api).patch("missing", &PatchParams::default(), &Patch::Merge(changed)).await;
    assert!(error.unwrap_err().to_string().contains("make another MailRestore"));
    assert!(jobs(&api).await.is_empty() && holders(&api).await.is_empty());
    operator.stop().await;
}

#[tokio::test]
async fn a_restore_is_one_job_for_each_shard_under_one_lease_and_is_never_begun_again() {
    let api = harness::api("restore-job").await;
    let operator = Running::start(&api, "one").await;
    stored(&api).await;
    let fields = json!({"allowUnverified": true, "mailboxes": {"addresses": ["An@x.vn"]},
        "messages": {"folder": "Cơ quan"}, "target": {"folder": "Cũ"}});
    restore(&api, "back", fields).await;
    let (first, work) = of_shard(&api, &format!("{:064x}", 1)).await;
    assert_eq!(work.addresses, ["an@x.vn".to_owned()].into());
    assert_eq!((work.filter.folder.as_deref(), work.shard, work.stores.len()), (Some("Cơ quan"), 0, 2));
    assert!(work.stores[&1].host.starts_with("demo-store-1-{pod}.demo-store-1."), "{:?}", work.stores);
    let value = serde_json::to_value(&first).unwrap();
    assert_eq!(value["metadata"]["ownerReferences"][0]["kind"], "MailRestore");
    assert_eq!(value["metadata"]["labels"]["mail.angiang.gov.vn/backup"], "nightly");
    let mounts =
        value["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].as_array().unwrap().clone();
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/etc/gateway-login"), "{mounts:?}");
    let status = says(&api, "back", "Running").await;
    assert_eq!((status.phase, status.snapshot.as_deref()), (RestorePhase::Running, Some(RUN)));
    assert_eq!(
        (status.what.as_deref(), holders(&api).await),
        (Some("An@x.vn"), vec!["MailRestore/back/back".into()])
    );
    operator.stop().await;

    // Another operator goes on with the same Jobs.
    let operator = Running::start(&api, "two").await;
    let (second, _) = of_shard(&api, &format!("{:064x}", 2)).await;
    let nothing = Failed { reason: "NothingMatches".into(), message: "x".into() };
    let done = RestoreDone { failure: Some(nothing), ..RestoreDone::default() };
    keep(&api, &second, &Said::Done(done).line()).await;
    let done = RestoreDone {
        found: 3,
        restored: 2,
        skipped: 1,
        examples: vec!["Cơ quan: x".into()],
        mailboxes: ["an@x.vn".to_owned()].into(),
        ..RestoreDone::default()
    };
    complete(&api, &first, &Said::Done(done).line()).await;
    let status = says(&api, "back", "Succeeded").await;
    assert_eq!((status.phase, status.examples.len()), (RestorePhase::Succeeded, 1));
    assert_eq!(
        (status.found, status.restored, status.skipped, status.failed),
        (Some(3), Some(2), Some(1), Some(0))
    );
    eventually(async || (jobs(&api).await.len(), holders(&api).await.len()), |left| *left == (0, 0)).await;
    operator.stop().await;

    let operator = Running::start(&api, "three").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(jobs(&api).await.is_empty(), "what ended is never begun again");
    operator.stop().await;
}

/// Ends a Job as hopeless with these words. It stays until the others have ended.
async fn keep(api: &TestApi, job: &Job, said: &str) {
    let all: Api<Job> = Api::namespaced(api.client.clone(), &api.namespace);
    let name = job.metadata.name.clone().unwrap();
    let time = "2026-12-01T00:00:01Z";
    let failed = |type_: &str| json!({"type": type_, "status": "True", "reason": "PodFailurePolicy", "lastTransitionTime": time});
    let status = json!({"status": {"startTime": "2026-12-01T00:00:00Z", "failed": 1,
        "conditions": [failed("FailureTarget"), failed("Failed")]}});
    let result = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/result": said}}});
    all.patch(&name, &PatchParams::default(), &Patch::Merge(result)).await.unwrap();
    all.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

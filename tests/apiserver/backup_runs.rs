//! Runs of a MailBackup from their beginning to their end. The Jobs are completed by the test: it writes on them what their
//! pods would have said, as the operator does when it has read a log.

use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::{
    api::{MailSnapshot, backup::Activity},
    conditions,
    job::{BackupDone, Failed, MaintainDone, Said, Stored, VerifyDone, Work},
};
use serde_json::{Value, json};

use crate::{
    backup::{backup, backups, jobs, says, secrets, system},
    harness::{self, TestApi},
    operator::{Running, condition, eventually},
};

const RUN_NOW: &str = "mail.angiang.gov.vn/run-now";

fn work(job: &Job) -> Work {
    let value = serde_json::to_value(job).unwrap();
    let environment = value["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
    let work = environment.iter().find(|it| it["name"] == "WORK").unwrap();
    serde_json::from_str(work["value"].as_str().unwrap()).unwrap()
}

/// Waits for a Job that does such work.
pub async fn wait_for(api: &TestApi, fits: impl Fn(&Work) -> bool) -> (Job, Work) {
    let found = eventually(async || jobs(api).await, |jobs| jobs.iter().any(|job| fits(&work(job)))).await;
    let job = found.into_iter().find(|job| fits(&work(job))).unwrap();
    let work = work(&job);
    (job, work)
}

/// Ends a Job with these words.
pub async fn end(api: &TestApi, job: &Job, said: &str) {
    let all: Api<Job> = Api::namespaced(api.client.clone(), &api.namespace);
    let name = job.name_any();
    let status = json!({"status": {"startTime": "2026-12-01T00:00:00Z", "completionTime": "2026-12-01T00:00:01Z",
        "succeeded": 1, "conditions": [
        {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-12-01T00:00:01Z"},
        {"type": "Complete", "status": "True", "lastTransitionTime": "2026-12-01T00:00:01Z"}]}});
    let result = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/result": said}}});
    all.patch(&name, &PatchParams::default(), &Patch::Merge(result)).await.unwrap();
    // One that was done is recorded at once, and may be gone by now.
    let _ = all.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await;
}

/// Ends a Job with these words, and waits until it is recorded and gone.
pub async fn complete(api: &TestApi, job: &Job, said: &str) {
    end(api, job, said).await;
    let all: Api<Job> = Api::namespaced(api.client.clone(), &api.namespace);
    let uid = job.uid();
    let gone = async || all.get_opt(&job.name_any()).await.unwrap();
    eventually(gone, |now| {
        now.as_ref().is_none_or(|now| now.uid() != uid || now.metadata.deletion_timestamp.is_some())
    })
    .await;
}

fn stored(number: u32, run: &str) -> Stored {
    Stored {
        id: format!("{number:064x}"),
        run: run.to_owned(),
        frozen: 1_796_000_000_000 + i64::from(number),
        mailboxes: Some(3),
        messages: Some(30),
        added: Some(4096),
        complete: true,
    }
}

fn listed(snapshots: Vec<Stored>) -> String {
    Said::Done(MaintainDone { snapshots, size: Some(1 << 20), failed: None }).line()
}

fn is_listing(work: &Work) -> bool {
    matches!(work, Work::Maintain(_))
}

fn snapshots(api: &TestApi) -> Api<MailSnapshot> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn ask(api: &TestApi, word: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {RUN_NOW: word}}}));
    backups(api).patch("nightly", &PatchParams::default(), &patch).await.unwrap();
}

/// Answers listings with these until a Job does something else.
async fn next_work(api: &TestApi, have: &[Stored]) -> (Job, Work) {
    loop {
        let (job, work) = wait_for(api, |_| true).await;
        if !is_listing(&work) {
            return (job, work);
        }
        complete(api, &job, &listed(have.to_vec())).await;
    }
}

#[tokio::test]
async fn a_run_is_listed_backed_up_shown_and_proven() {
    let api = harness::api("backup-run").await;
    secrets(&api).await;
    let operator = Running::start(&api, "one").await;
    system(&api, 1).await;
    backup(&api, "nightly", &json!({"schedule": "30 1 1 1 *"})).await;
    let missing = Failed { reason: "RepositoryMissing".into(), message: "there is none".into() };
    let (job, _) = wait_for(&api, is_listing).await;
    let none = MaintainDone { snapshots: Vec::new(), size: None, failed: Some(missing) };
    complete(&api, &job, &Said::Done(none).line()).await;
    says(&api, "nightly", "Ready", "Scheduled").await;
    ask(&api, "2026-12-01T01:00:00Z").await;
    let (job, Work::Backup(work)) = wait_for(&api, |work| matches!(work, Work::Backup(_))).await else {
        panic!()
    };
    assert!(work.create && work.pod == "demo-store-0-0" && work.expected.is_empty(), "{work:?}");
    let status = backups(&api).get("nightly").await.unwrap().status.unwrap();
    assert_eq!(status.last_run_now.as_deref(), Some("2026-12-01T01:00:00Z"));
    let one = stored(1, &work.run);
    let (snapshot, failed) = (Some(one.clone()), None);
    let done = BackupDone { snapshot, failed, vanished: Vec::new(), lacking: [].into(), took: 5 };
    complete(&api, &job, &Said::Done(done).line()).await;
    let object = snapshots(&api).get(&work.run).await.unwrap();
    assert_eq!(object.spec.parts[0].id, one.id);
    let status = says(&api, "nightly", "Succeeded", "Succeeded").await;
    assert_eq!(status.last_success.unwrap().0.as_second(), 1_796_000_000);

    let (job, Work::Verify(proof)) = next_work(&api, std::slice::from_ref(&one)).await else { panic!() };
    assert_eq!(proof.snapshot, one.id);
    let done = VerifyDone {
        failed: None,
        mailboxes: [].into(),
        counted: mail_operator::job::Counted::default(),
        restored: Some(750_000),
        took: 800_000,
    };
    complete(&api, &job, &Said::Done(done).line()).await;
    let status = says(&api, "nightly", "Verified", "Verified").await;
    assert_eq!((status.restore_time.as_deref(), status.snapshots), (Some("12m30s"), Some(1)));
    assert_eq!(status.verified_snapshot.as_deref(), Some(work.run.as_str()));
    let kinds: Vec<_> = status.history.iter().map(|run| run.activity).collect();
    assert_eq!(kinds, [Activity::Verify, Activity::Backup]);
    let object = snapshots(&api).get(&work.run).await.unwrap().status.unwrap();
    assert!(object.verified.is_some() && conditions::is_true(&object.conditions, "Verified"));
    condition(&api, "BackupVerified", "Verified").await;

    // Deleted, it comes back from the repository; lost there, it is told.
    snapshots(&api).delete(&work.run, &DeleteParams::default()).await.unwrap();
    let (job, _) = wait_for(&api, is_listing).await;
    complete(&api, &job, &listed(vec![one])).await;
    eventually(async || snapshots(&api).get_opt(&work.run).await.unwrap(), Option::is_some).await;
    ask(&api, "2026-12-01T02:00:00Z").await;
    let (job, Work::Backup(second)) = next_work(&api, &[]).await else { panic!() };
    assert!(!second.create && second.expected.len() == 1, "{second:?}");
    let failed = Some(Failed { reason: "WrongPassword".into(), message: "wrong password".into() });
    let done = BackupDone { snapshot: None, failed, vanished: Vec::new(), lacking: [].into(), took: 5 };
    complete(&api, &job, &Said::Done(done).line()).await;
    says(&api, "nightly", "Succeeded", "WrongPassword").await;
    says(&api, "nightly", "Ready", "WrongPassword").await;
    let (job, _) = wait_for(&api, is_listing).await;
    complete(&api, &job, &listed(Vec::new())).await;
    says(&api, "nightly", "SnapshotsVanished", "Vanished").await;
    assert!(snapshots(&api).list(&ListParams::default()).await.unwrap().items.is_empty());
    let metrics = operator.metrics().await;
    assert!(metrics.contains("mail_backup_last_verified_timestamp_seconds{namespace="), "{metrics}");
    operator.stop().await;
}

#[tokio::test]
async fn with_the_policy_delete_a_deleted_snapshot_is_forgotten_and_not_with_its_backup() {
    let api = harness::api("backup-forget").await;
    secrets(&api).await;
    let operator = Running::start(&api, "one").await;
    system(&api, 1).await;
    let fields = json!({"schedule": "30 1 1 1 *", "reclaimPolicy": "Delete", "verify": {"mode": "None"}});
    backup(&api, "nightly", &fields).await;
    let two = vec![stored(1, "nightly-20261201-013000"), stored(2, "nightly-20261202-013000")];
    let (job, _) = wait_for(&api, is_listing).await;
    complete(&api, &job, &listed(two.clone())).await;
    let finalizers = async || {
        let all = snapshots(&api).list(&ListParams::default()).await.unwrap().items;
        all.iter().map(|it| (it.name_any(), it.finalizers().to_vec())).collect::<Vec<_>>()
    };
    let shown = eventually(finalizers, |all| all.len() == 2).await;
    assert_eq!(shown[0].1, ["mail.angiang.gov.vn/forget"]);
    snapshots(&api).delete("nightly-20261201-013000", &DeleteParams::default()).await.unwrap();
    // A minute is waited for after the last listing.
    let fits = |work: &Work| matches!(work, Work::Maintain(work) if !work.forget.is_empty());
    let (job, Work::Maintain(work)) = wait_for_long(&api, fits).await else { panic!() };
    assert_eq!(work.forget, [two[0].id.clone()].into());
    complete(&api, &job, &listed(vec![two[1].clone()])).await;
    eventually(finalizers, |all| all.len() == 1).await;
    let status = backups(&api).get("nightly").await.unwrap().status.unwrap();
    assert!(conditions::get(&status.conditions, "SnapshotsVanished").is_none());
    // With its MailBackup an object goes, and its snapshot stays: nothing asks for it to be forgotten.
    backups(&api).delete("nightly", &DeleteParams::default()).await.unwrap();
    snapshots(&api).delete("nightly-20261202-013000", &DeleteParams::default()).await.unwrap();
    eventually(finalizers, Vec::is_empty).await;
    assert!(jobs(&api).await.iter().all(|job| !fits(&self::work(job))));
    operator.stop().await;
}

async fn wait_for_long(api: &TestApi, fits: impl Fn(&Work) -> bool + Copy) -> (Job, Work) {
    for _ in 0..60 {
        if jobs(api).await.iter().any(|job| fits(&work(job))) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    wait_for(api, fits).await
}

#[tokio::test]
async fn an_empty_cluster_shows_what_a_repository_has() {
    let api = harness::api("backup-empty").await;
    secrets(&api).await;
    let operator = Running::start(&api, "one").await;
    backup(&api, "nightly", &json!({"suspend": true, "retention": {"keepLast": 1}})).await;
    let (job, Work::Maintain(work)) = wait_for(&api, is_listing).await else { panic!() };
    assert!(work.forget.is_empty());
    let two = vec![stored(1, "nightly-20261201-013000"), stored(2, "nightly-20261202-013000")];
    complete(&api, &job, &listed(two)).await;
    says(&api, "nightly", "Ready", "SystemMissing").await;
    let all = async || snapshots(&api).list(&ListParams::default()).await.unwrap().items;
    let shown = eventually(all, |all| all.len() == 2).await;
    let complete =
        conditions::get(&shown[0].status.as_ref().unwrap().conditions, "Complete").cloned().unwrap();
    assert_eq!((complete.status.as_str(), complete.reason.as_str()), ("Unknown", "SystemMissing"));
    let none: Vec<Value> = Vec::new();
    assert_eq!(jobs(&api).await.iter().map(|job| json!(job.name_any())).collect::<Vec<_>>(), none);
    operator.stop().await;
}

//! `kubectl mail backup`, `snapshots` and `restore` on objects whose status a test writes, as the operator would.

use std::process::Output;

use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use mail_operator::{
    api::{MailBackup, MailRestore, MailSnapshot},
    names::RUN_NOW,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    harness::{self, TestApi},
    operator::eventually,
};

fn objects<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(api: &TestApi) -> Api<K> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn put<K>(api: &TestApi, name: &str, spec: Value, status: Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec});
    let kind = objects::<K>(api);
    kind.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    set(&kind, name, status).await;
}

async fn set<K: DeserializeOwned>(kind: &Api<K>, name: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    kind.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn mail(api: &TestApi, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-mail"))
        .args(["-n", &api.namespace])
        .args(arguments)
        .env("KUBECONFIG", api.kubeconfig())
        .output()
        .await
        .unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

async fn nightly(api: &TestApi) {
    let spec = json!({"system": {"name": "mail"}, "encryptionSecret": "key", "schedule": "30 1 * * *",
        "repository": {"volume": {"claim": "backup"}}});
    let old = json!({"run": "nightly-old", "activity": "Backup", "reason": "Succeeded"});
    put::<MailBackup>(api, "nightly", spec, json!({"history": [old]})).await;
}

async fn snapshot(api: &TestApi, run: &str, status: Value) {
    let spec = json!({"backup": "nightly", "system": {"name": "mail"}, "run": run, "time": "2026-12-01T01:00:00Z",
        "parts": [{"shard": 0, "id": "a1"}]});
    put::<MailSnapshot>(api, run, spec, status).await;
}

fn complete(status: &str, reason: &str, message: &str) -> Value {
    json!({"type": "Complete", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-12-01T08:00:00Z"})
}

/// Acts on the wish as the operator does, with a run that ends so.
async fn acts(api: &TestApi, run: &str, reason: &str) -> String {
    let backups = objects::<MailBackup>(api);
    let seen = backups.get("nightly").await.unwrap().status.and_then(|it| it.last_run_now);
    let wish = async || backups.get("nightly").await.unwrap().metadata.annotations?.get(RUN_NOW).cloned();
    let wish = eventually(wish, |wish| wish.is_some() && *wish != seen).await.unwrap();
    let running = json!({"run": run, "activity": "Backup", "progress": "shard 0: storing, 42 %", "percent": 42,
            "mailboxes": 3, "bytes": 2048});
    set(&backups, "nightly", json!({"lastRunNow": wish, "running": running})).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let past = json!({"run": run, "activity": "Backup", "reason": reason, "message": "as it was", "started":
            "2026-12-01T08:00:00Z", "finished": "2026-12-01T08:01:05Z", "mailboxes": ["an@x.vn"]});
    set(&backups, "nightly", json!({"running": null, "history": [past]})).await;
    wish
}

#[tokio::test]
async fn a_backup_that_is_asked_for_is_followed_to_its_end() {
    let api = harness::api("kubectl-backup").await;
    nightly(&api).await;
    snapshot(&api, "nightly-1", json!({"mailboxes": 3, "messages": 1200, "added": "1Gi"})).await;
    let wait = ["backup", "nightly", "--wait"];
    let ((done, said), wish) = tokio::join!(mail(&api, &wait), acts(&api, "nightly-1", "Succeeded"));
    assert!(done && wish.parse::<jiff::Timestamp>().is_ok(), "{wish} {said}");
    for line in [
        "nightly-1: shard 0: storing, 42 %; 3 mailboxes, 2.0 KiB",
        "nightly-1 succeeded after 1m05s: as it was",
        "mailsnapshot/nightly-1: 3 mailboxes, 1200 messages, 1Gi added",
    ] {
        assert!(said.lines().any(|it| it == line), "{line} is not in:\n{said}");
    }

    let ((done, said), _) = tokio::join!(mail(&api, &wait), acts(&api, "nightly-2", "NoSpace"));
    let failed = "nightly-2 did not succeed: NoSpace: as it was. Mailboxes concerned: an@x.vn";
    assert!(!done && said.contains(failed), "{said}");

    let (done, said) = mail(&api, &["backup", "nightly"]).await;
    assert!(done && said.trim() == "mailbackup/nightly is asked to run now", "{said}");
    let (done, said) = mail(&api, &["backup", "nightly", "--wait", "--timeout", "1"]).await;
    assert!(!done && said.contains("has not ended within 1 s"), "{said}");
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    objects::<MailBackup>(&api).patch("nightly", &PatchParams::default(), &suspend).await.unwrap();
    let (done, said) = mail(&api, &["backup", "nightly"]).await;
    assert!(!done && said.contains("is suspended"), "{said}");
    let (done, said) = mail(&api, &["backup", "weekly"]).await;
    assert!(!done && said.contains("weekly"), "{said}");
}

#[tokio::test]
async fn snapshots_are_listed_and_none_is_an_error() {
    let api = harness::api("kubectl-snapshots").await;
    let (done, said) = mail(&api, &["snapshots"]).await;
    assert!(!done && said.contains("there is no MailSnapshot in namespace"), "{said}");
    let status = json!({"mailboxes": 3, "messages": 1200, "conditions": [complete("True", "Complete", "")]});
    snapshot(&api, "nightly-1", status).await;
    let (done, said) = mail(&api, &["snapshots", "nightly"]).await;
    let row = said.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    let expected = ["nightly-1", "nightly", "2026-12-01T01:00:00Z", "3", "1200", "True", "never"];
    assert!(done && row == expected, "{said}");
    let (done, said) = mail(&api, &["snapshots", "weekly"]).await;
    assert!(!done && said.contains("there is no MailSnapshot of weekly"), "{said}");
}

/// Carries the only restore out as the operator does.
async fn carries_out(api: &TestApi, status: Value) -> MailRestore {
    let restores = objects::<MailRestore>(api);
    let new = async || {
        let all = restores.list(&ListParams::default()).await.unwrap().items;
        all.into_iter().find(|it| it.status.is_none())
    };
    let restore = eventually(new, Option::is_some).await.unwrap();
    let running = json!({"phase": "Running", "snapshot": "nightly-1", "progress": "reading"});
    set(&restores, &restore.name_any(), running).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    set(&restores, &restore.name_any(), status).await;
    restore
}

#[tokio::test]
async fn a_restore_is_made_of_flags_and_followed_to_its_end() {
    let api = harness::api("kubectl-restore").await;
    nightly(&api).await;
    snapshot(&api, "nightly-1", json!({})).await;
    let status = json!({"phase": "Succeeded", "restored": 1, "skipped": 0, "examples": ["an@x.vn INBOX: Họp"],
        "started": "2026-12-01T08:00:00Z", "finished": "2026-12-01T08:00:07Z"});
    let words =
        ["restore", "--latest-verified", "nightly", "--mailbox", "an@x.vn", "--subject", "họp", "--wait"];
    let ((done, said), made) = tokio::join!(mail(&api, &words), carries_out(&api, status));
    assert!(done && said.contains("running from nightly-1: reading"), "{said}");
    let end = "1 messages came back, 0 were there already; from nightly-1, in 7s\n  an@x.vn INBOX: Họp\n";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(made.spec.system.name, "mail");
    assert_eq!(made.spec.messages.unwrap().subject.as_deref(), Some("họp"));

    let nothing = "no message of an@x.vn has that Message-ID";
    let failed = json!({"phase": "Failed", "examples": ["near: Giấy mời"],
        "conditions": [complete("False", "NothingMatches", nothing)]});
    let words = ["restore", "--from-snapshot", "nightly-1", "--mailbox", "an@x.vn", "--message-id", "<1@x>"];
    let words = [&words[..], &["--name", "second", "--wait"]].concat();
    let ((done, said), _) = tokio::join!(mail(&api, &words), carries_out(&api, failed));
    let end = format!("second failed: NothingMatches: {nothing}");
    assert!(!done && said.contains("near: Giấy mời") && said.contains(&end), "{said}");

    for (bad, word) in [
        (&["--from-snapshot", "gone", "--all"][..], "gone"),
        (&["--latest-verified", "nightly", "--all", "-s", "web"], "a backup of mail, not of web"),
        (
            &["--latest-verified", "nightly", "--all", "--to-folder", "/x"],
            "must neither begin nor end with /",
        ),
        (&["--latest-verified", "nightly", "--all", "--name", "second"], "already exists"),
    ] {
        let (done, said) = mail(&api, &[&["restore"], bad].concat()).await;
        assert!(!done && said.contains(word), "{bad:?}: {said}");
    }
}

use serde_json::{Value, json};

use super::*;

const WISH: &str = "2026-12-01T08:00:00.000Z";

fn backup(status: &Value) -> MailBackup {
    serde_json::from_value(json!({
        "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailBackup", "metadata": {"name": "nightly"},
        "spec": {"system": {"name": "mail"}, "encryptionSecret": "key", "repository": {"volume": {"claim": "backup"}}},
        "status": status}))
    .unwrap()
}

fn running(run: &str, activity: &str) -> Value {
    json!({"run": run, "activity": activity, "progress": "shard 0: storing, 42 %", "percent": 42, "mailboxes": 120,
        "bytes": 1_610_612_736_u64, "estimated": "2026-12-01T08:20:00Z"})
}

#[test]
fn the_run_that_was_asked_for_is_none_that_was_there_before() {
    let old = json!({"run": "nightly-old", "activity": "Backup", "reason": "Succeeded"});
    let before = backup(&json!({"history": [old], "running": running("nightly-now", "Backup")}));
    let known = runs(&before);
    let at = |more: Value| {
        let mut status = json!({"lastRunNow": WISH, "history": [old]});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = backup(&status);
        match step(&object, WISH, &known) {
            Step::Asked => "asked".to_owned(),
            Step::Waits(why) => why,
            Step::Taken => "taken".to_owned(),
            Step::Runs(running) => running.run.clone(),
            Step::Ended(past) => format!("{} {}", past.run, past.reason),
        }
    };
    let yet = json!({"lastRunNow": "2026-11-30T08:00:00.000Z"});
    assert_eq!(at(yet.clone()), "asked");
    let with = |key: &str, value: Value| {
        let mut more = yet.clone();
        more[key] = value;
        more
    };
    let waits = at(with("running", running("nightly-proof", "Verify")));
    assert!(waits.starts_with("first comes nightly-proof: shard 0"), "{waits}");
    let busy = json!([{"type": "Ready", "status": "False", "reason": "RepositoryBusy", "message": "weekly works on it",
        "lastTransitionTime": "2026-12-01T08:00:00Z"}]);
    assert_eq!(at(with("conditions", busy)), "weekly works on it");
    assert_eq!(at(json!({"running": running("nightly-now", "Backup")})), "taken", "it ran before");
    assert_eq!(at(json!({"running": running("nightly-proof", "Verify")})), "taken", "it is no backup");
    assert_eq!(at(json!({"running": running("nightly-new", "Backup")})), "nightly-new");
    let failed = json!({"run": "nightly-new", "activity": "Backup", "reason": "NoSpace"});
    let ended = json!({"running": running("nightly-proof", "Verify"), "history": [failed, old]});
    assert_eq!(at(ended), "nightly-new NoSpace");
    assert_eq!(step(&backup(&Value::Null), WISH, &known), Step::Asked);
}

#[test]
fn progress_and_outcome_are_told_in_a_line() {
    let running: Running = serde_json::from_value(running("nightly-1", "Backup")).unwrap();
    assert_eq!(
        progress(&running),
        "nightly-1: shard 0: storing, 42 %; 120 mailboxes, 1.5 GiB, done about 2026-12-01T08:20:00Z"
    );
    let past: PastRun = serde_json::from_value(json!({"run": "nightly-1", "activity": "Backup",
        "reason": "PartiallyFailed", "message": "2 files could not be read", "mailboxes": ["an@x.vn", "binh@x.vn"]}))
    .unwrap();
    assert_eq!(
        failure(&past),
        "nightly-1 did not succeed: PartiallyFailed: 2 files could not be read. Mailboxes concerned: an@x.vn, binh@x.vn"
    );
    let ready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "SecretMissing",
        "message": "make the Secret key", "lastTransitionTime": "2026-12-01T08:00:00Z"}]});
    assert_eq!(trouble(&backup(&ready)), ". Ready is False (SecretMissing): make the Secret key");
    assert_eq!(trouble(&backup(&Value::Null)), "");
}

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use super::*;

fn time(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn snapshot(name: &str, at: &str, verified: bool) -> MailSnapshot {
    let spec = json!({
        "backup": "nightly", "system": {"name": "demo"}, "run": name, "time": at,
        "parts": [{"shard": 0, "id": "a".repeat(64)}],
    });
    let mut snapshot = MailSnapshot::new(name, serde_json::from_value(spec).unwrap());
    let complete = Condition {
        type_: "Complete".into(),
        status: "True".into(),
        reason: "Complete".into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: time(at),
    };
    let mut status = crate::api::MailSnapshotStatus { conditions: vec![complete], ..Default::default() };
    status.verified = verified.then(|| time(at));
    snapshot.status = Some(status);
    snapshot
}

fn snapshots() -> Vec<MailSnapshot> {
    vec![
        snapshot("n-1", "2026-11-01T00:00:00Z", true),
        snapshot("n-2", "2026-11-02T00:00:00Z", true),
        snapshot("n-3", "2026-11-03T00:00:00Z", false),
    ]
}

fn backups(verified: Option<&str>) -> Vec<MailBackup> {
    let mut backup = crate::operator::backup::testing::backup("{}");
    backup.status.get_or_insert_default().verified_snapshot = verified.map(Into::into);
    vec![backup]
}

fn restore(from: &Value, more: &Value) -> MailRestore {
    let mut spec = json!({"system": {"name": "demo"}, "from": from, "mailboxes": {"all": true}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    MailRestore::new("r", serde_json::from_value(spec).unwrap())
}

fn resolved(restore: &MailRestore, verified: Option<&str>) -> Result<String, (&'static str, bool)> {
    let all = snapshots();
    let found = resolve(restore, &backups(verified), &all);
    found.map(ResourceExt::name_any).map_err(|problem| (problem.reason, problem.ends))
}

#[test]
fn one_is_taken_by_name_if_it_is_proven_or_need_not_be() {
    let by_name = |name: &str, more| resolved(&restore(&json!({"snapshot": name}), &more), None);
    assert_eq!(by_name("n-1", json!({})), Ok("n-1".into()));
    assert_eq!(by_name("n-3", json!({})), Err(("SnapshotNotVerified", true)));
    assert_eq!(by_name("n-3", json!({"allowUnverified": true})), Ok("n-3".into()));
    assert_eq!(by_name("n-9", json!({})), Err(("SnapshotMissing", false)));
    assert_eq!(by_name("n-1", json!({"system": {"name": "other"}})), Err(("AnotherSystem", true)));
}

#[test]
fn the_latest_that_was_proven_is_never_another_one() {
    let latest = |backup: &str| restore(&json!({"latestVerified": {"backup": backup}}), &json!({}));
    assert_eq!(resolved(&latest("nightly"), Some("n-2")), Ok("n-2".into()));
    assert_eq!(resolved(&latest("nightly"), Some("gone")), Err(("SnapshotMissing", false)));
    assert_eq!(resolved(&latest("nightly"), None), Err(("SnapshotNotVerified", true)));
    assert_eq!(resolved(&latest("weekly"), None), Err(("BackupMissing", false)));
}

#[test]
fn mail_of_a_time_is_never_younger_than_that() {
    let at = |time: &str, more| {
        let from = json!({"pointInTime": {"backup": "nightly", "time": time}});
        resolved(&restore(&from, &more), None)
    };
    assert_eq!(at("2026-11-02T06:59:59+07:00", json!({})), Ok("n-1".into()));
    assert_eq!(at("2026-11-02T07:00:00+07:00", json!({})), Ok("n-2".into()));
    assert_eq!(at("2026-12-01T00:00:00Z", json!({})), Err(("SnapshotNotVerified", true)));
    assert_eq!(at("2026-12-01T00:00:00Z", json!({"allowUnverified": true})), Ok("n-3".into()));
    assert_eq!(at("2026-10-01T00:00:00Z", json!({})), Err(("SnapshotMissing", false)));
}

#[test]
fn what_was_begun_stays_with_its_snapshot() {
    let mut restore = restore(&json!({"latestVerified": {"backup": "nightly"}}), &json!({}));
    restore.status.get_or_insert_default().snapshot = Some("n-1".into());
    assert_eq!(resolved(&restore, Some("n-2")), Ok("n-1".into()));
}

#[test]
fn more_addresses_than_a_pod_can_be_told_are_refused() {
    let addresses: Vec<_> = (0..1000).map(|n| format!("{}{n}@x.vn", "a".repeat(60))).collect();
    let restore = restore(&json!({"snapshot": "n-1"}), &json!({"mailboxes": {"addresses": addresses}}));
    assert_eq!(resolved(&restore, None), Err(("SelectorTooLarge", true)));
}

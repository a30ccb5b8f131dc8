//! MailBackup, MailSnapshot and MailRestore.

use serde_json::{Value, json};

use super::{check, check_changes, spec, stored};

fn backup() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailBackup", "metadata": {"name": "nightly"},
           "spec": {"system": {"name": "mail"}, "encryptionSecret": "password",
                    "repository": {"objectStorage": {"bucket": "backups", "credentialsSecret": "s3"}}}})
}

/// The same, on a volume.
fn on_volume() -> Value {
    let mut backup = backup();
    backup["spec"]["repository"] = json!({"volume": {"claim": "nfs"}});
    backup
}

/// A MailRestore of this from that.
fn of(mailboxes: Value, from: Value) -> Value {
    let mut restore = restore();
    restore["spec"]["mailboxes"] = mailboxes;
    restore["spec"]["from"] = from;
    restore
}

fn restore() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailRestore", "metadata": {"name": "one"},
           "spec": {"system": {"name": "mail"}, "from": {"snapshot": "nightly-1"}, "mailboxes": {"all": true}}})
}

fn snapshot() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailSnapshot", "metadata": {"name": "nightly-1"},
           "spec": {"system": {"name": "mail"}, "backup": "nightly", "run": "nightly-1", "time": "2026-12-01T18:30:00Z",
                    "parts": [{"shard": 0, "id": "aa"}]}})
}

#[tokio::test]
async fn where_backups_are_kept_is_checked() {
    let named = |name: String, refusal| (json!({"metadata": {"name": name}}), refusal);
    let one = "exactly one of objectStorage and volume has to be there";
    let repository = |value: Value, refusal| spec(&json!({"repository": value}), refusal);
    let volume = |path: &str, refusal| repository(json!({"volume": {"path": path}}), refusal);
    let path = "must be names of letters, digits and . _ - with / between them";
    check(
        backup(),
        vec![
            (json!({}), None),
            named("a".repeat(40), None),
            named("a".repeat(41), Some("limited to 40 characters")),
            spec(&json!({"encryptionSecret": ""}), Some("should be at least 1 chars long")),
            repository(json!({"volume": {"claim": "nfs"}}), Some(one)),
            repository(json!({"objectStorage": {"bucket": "a"}}), Some("should be at least 3 chars long")),
            repository(json!({"objectStorage": {"endpoint": "s3.x.vn"}}), Some("must be https://host")),
        ],
    )
    .await;
    let mut nowhere = backup();
    nowhere["spec"]["repository"] = json!({});
    check(nowhere, vec![(json!({}), Some(one))]).await;
    check(
        on_volume(),
        vec![
            (json!({}), None),
            volume("backup", None),
            volume("a/b.c", None),
            volume("/a", Some(path)),
            volume("a/../b", Some(path)),
            volume("..", Some(path)),
        ],
    )
    .await;
}

#[tokio::test]
async fn times_and_selections_of_backups_are_checked() {
    let keep = "say how many to keep, or leave retention out to keep all";
    let selector = "name addresses or domains, or leave mailboxes out for all";
    let size = "must be a quantity, such as 100Gi";
    let late = |value: &str, refusal| spec(&json!({"startingDeadline": value}), refusal);
    let mailboxes = |value: Value, refusal| spec(&json!({"mailboxes": value}), refusal);
    let verify = |value: Value, refusal| spec(&json!({"verify": value}), refusal);
    check(
        backup(),
        vec![
            spec(&json!({"schedule": "30 1 * * *", "timeZone": "Asia/Ho_Chi_Minh"}), None),
            spec(&json!({"schedule": "* * *"}), Some("should be at least 9 chars long")),
            late("90m", None),
            late("2h", None),
            late("0m", Some("must be a number of minutes, hours or days")),
            late("90s", Some("must be a number of minutes, hours or days")),
            mailboxes(json!({}), Some(selector)),
            mailboxes(json!({"addresses": []}), Some(selector)),
            mailboxes(json!({"addresses": ["an@x.vn"]}), None),
            mailboxes(json!({"addresses": ["an.x.vn"]}), Some("should match")),
            mailboxes(json!({"domains": ["x.vn"]}), None),
            mailboxes(json!({"domains": ["X.vn"]}), Some("should match")),
            mailboxes(json!({"domains": ["x.vn", "x.vn"]}), Some("Duplicate value")),
            spec(&json!({"retention": {}}), Some(keep)),
            spec(&json!({"retention": {"keepLast": 1}}), None),
            spec(&json!({"retention": {"keepDaily": 0}}), Some("should be greater than or equal to 1")),
            verify(json!({"mode": "Check", "samplePercent": 0}), None),
            verify(json!({"mode": "Often"}), Some("Unsupported value")),
            verify(json!({"samplePercent": 101}), Some("should be less than or equal to 100")),
            verify(json!({"scratch": {"size": "10Gi"}}), None),
            verify(json!({"scratch": {"size": "0"}}), Some(size)),
            verify(json!({"scratch": {"size": "much"}}), Some(size)),
            spec(&json!({"reclaimPolicy": "Recycle"}), Some("Unsupported value")),
            spec(&json!({"objects": "WithSecrets"}), None),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_restore_asks_for_is_checked() {
    let target = |value: Value, refusal| spec(&json!({"target": value}), refusal);
    check(
        restore(),
        vec![
            (json!({}), None),
            (json!({"metadata": {"name": "a".repeat(51)}}), Some("limited to 50 characters")),
            target(json!({}), Some("name a mailbox, a folder, or both")),
            target(json!({"folder": "Khôi phục/2026"}), None),
            target(json!({"folder": "/a"}), Some("must neither begin nor end with /")),
            spec(&json!({"messages": {"subject": ""}}), Some("should be at least 1 chars long")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_restore_is_of_one_snapshot_and_says_which_mailboxes() {
    let from = "exactly one of snapshot, latestVerified and pointInTime has to be there";
    let which = "exactly one of addresses and all: true has to be there";
    let (all, an) = (json!({"all": true}), json!({"addresses": ["an@x.vn"]}));
    let named = json!({"snapshot": "nightly-1"});
    let at = |time: &str| json!({"pointInTime": {"backup": "nightly", "time": time}});
    for (mailboxes, source, refusal) in [
        (all.clone(), json!({}), Some(from)),
        (all.clone(), json!({"snapshot": "a", "latestVerified": {"backup": "nightly"}}), Some(from)),
        (all.clone(), json!({"latestVerified": {"backup": "nightly"}}), None),
        (all.clone(), at("2026-12-01T08:00:00+07:00"), None),
        (all, at("yesterday"), Some("date-time")),
        (json!({}), named.clone(), Some(which)),
        (json!({"all": false}), named.clone(), Some(which)),
        (json!({"all": true, "addresses": ["an@x.vn"]}), named.clone(), Some(which)),
        (an, named, None),
    ] {
        check(of(mailboxes, source), vec![(json!({}), refusal)]).await;
    }
}

#[tokio::test]
async fn what_was_begun_cannot_be_made_another() {
    check_changes(
        backup(),
        vec![
            spec(&json!({"system": {"name": "other"}}), Some("the system of a backup cannot be changed")),
            spec(
                &json!({"repository": {"objectStorage": {"bucket": "other"}}}),
                Some("the repository of a backup cannot be changed"),
            ),
            spec(&json!({"schedule": "0 * * * *", "suspend": true, "encryptionSecret": "other"}), None),
        ],
    )
    .await;
    check_changes(
        restore(),
        vec![
            spec(&json!({"dryRun": true}), Some("a restore is carried out once")),
            (json!({"metadata": {"labels": {"a": "b"}}}), None),
        ],
    )
    .await;
    check_changes(
        snapshot(),
        vec![
            spec(&json!({"backup": "other"}), Some("it says what was; it cannot be changed")),
            spec(&json!({"time": "2026-12-02T18:30:00Z"}), Some("it says what was; it cannot be changed")),
            spec(&json!({"reclaimPolicy": "Delete"}), None),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_backup_does_not_say_is_filled_in() {
    let spec = stored(backup()).await;
    assert_eq!(spec["timeZone"], "Etc/UTC");
    assert_eq!((&spec["objects"], &spec["reclaimPolicy"]), (&json!("WithoutSecrets"), &json!("Retain")));
    assert_eq!((&spec["verify"]["mode"], &spec["verify"]["samplePercent"]), (&json!("Restore"), &json!(5)));
    assert_eq!(spec["suspend"], json!(false));
}

use serde_json::json;

use super::*;
use crate::operator::backup::testing::validated;

fn now() -> Time {
    serde_json::from_value("2026-12-05T12:00:00Z".into()).unwrap()
}

type Gone = [(u32, String, String)];

fn told(
    status: serde_json::Value,
    more: &str,
    (held, vanished): (Option<&str>, &Gone),
) -> Vec<(String, String, String)> {
    let (status, v): (MailBackupStatus, _) = (serde_json::from_value(status).unwrap(), validated(more, 1));
    let said = Said { validated: Some(&v), held, vanished, problem: None };
    let all = conditions(&status, said, Some(1), &now());
    all.into_iter().map(|it| (it.status, it.reason, it.message)).collect()
}

fn words(status: serde_json::Value, more: &str) -> Vec<String> {
    told(status, more, (None, &[]))
        .into_iter()
        .map(|(status, reason, _)| format!("{status} {reason}"))
        .collect()
}

fn run(activity: &str, reason: &str) -> serde_json::Value {
    json!({"run": "r", "activity": activity, "reason": reason, "message": "m", "finished": "2026-12-05T11:00:00Z"})
}

#[test]
fn nothing_is_said_of_what_was_not_done() {
    assert_eq!(words(json!({}), "{}"), ["True Beginning", "Unknown NotRun", "Unknown NotRun"]);
    assert_eq!(words(json!({}), "suspend: true")[0], "True Suspended");
    let off = words(json!({"history": [run("Backup", "Succeeded")]}), "verify: {mode: None}");
    assert_eq!(off[1..], ["True Succeeded", "Unknown Disabled"]);
}

#[test]
fn a_failure_is_told_with_its_reason_and_what_to_do() {
    let failed = told(json!({"history": [run("Backup", "WrongPassword")]}), "{}", (None, &[]));
    assert_eq!((failed[0].0.as_str(), failed[0].1.as_str()), ("False", "WrongPassword"));
    assert!(failed[0].2.contains("bring back the Secret"), "{}", failed[0].2);
    assert_eq!(words(json!({"history": [run("Backup", "Neverheard")]}), "{}")[1], "False Failed");
    let listing =
        json!({"history": [run("Maintain", "RepositoryOfAnotherSystem"), run("Backup", "Succeeded")]});
    assert_eq!(words(listing, "{}")[..2], ["False RepositoryOfAnotherSystem", "True Succeeded"]);
    let held = told(json!({}), "{}", (Some("MailRestore/x/x"), &[]));
    assert_eq!((held[0].0.as_str(), held[0].1.as_str()), ("False", "RepositoryBusy"));
}

#[test]
fn verified_is_only_what_was_restored() {
    let proof = |more: serde_json::Value| {
        let mut status = json!({"history": [run("Verify", "Succeeded")]});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        words(status, "{}")[2].clone()
    };
    assert_eq!(
        proof(json!({"lastVerified": "2026-12-05T11:00:00Z", "verifiedSnapshot": "s"})),
        "True Verified"
    );
    assert_eq!(proof(json!({"lastVerified": "2026-12-01T11:00:00Z"})), "Unknown OnlyChecked");
    let mut bad = run("Verify", "FilesDiffer");
    bad["mailboxes"] = json!(["an@x.vn"]);
    let failed = told(json!({"history": [bad]}), "{}", (None, &[]));
    assert!(failed[2].1 == "FilesDiffer" && failed[2].2.contains("an@x.vn"), "{failed:?}");
}

#[test]
fn snapshots_that_vanished_are_told_of_for_a_week() {
    let gone = [(0, "r".to_owned(), "ab".repeat(32))];
    let found = told(json!({}), "{}", (None, &gone));
    assert!(found[3].1 == "Vanished" && found[3].2.contains("r (shard 0, abababab)"), "{found:?}");
    let old = |at: &str| json!({"conditions": [{"type": VANISHED, "status": "True", "reason": "Vanished", "message": "m", "lastTransitionTime": at}]});
    assert_eq!(words(old("2026-11-29T12:00:00Z"), "{}").len(), 4);
    assert_eq!(words(old("2026-11-28T11:00:00Z"), "{}").len(), 3);
}

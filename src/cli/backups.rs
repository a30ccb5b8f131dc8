//! What `kubectl mail status` says of backups: a line for each MailBackup. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::{
    columns::{lines, row},
    words::{time, verdict},
};
use crate::api::MailBackup;

/// Conditions that have a column; True is as it should be.
const KNOWN: [&str; 3] = ["Ready", "Succeeded", "Verified"];

/// The table with what is amiss, or that there is none.
pub(super) fn told(backups: &[MailBackup]) -> String {
    if backups.is_empty() {
        return "No MailBackup: nothing is backed up\n".to_owned();
    }
    let titles = [
        "BACKUP",
        "READY",
        "SUCCEEDED",
        "LAST-SUCCESS",
        "VERIFIED",
        "LAST-VERIFIED",
        "RESTORE-TIME",
        "NEXT",
        "NOW",
    ];
    let mut rows = vec![row(titles)];
    rows.extend(backups.iter().map(of));
    lines(&rows) + &backups.iter().flat_map(amiss).collect::<String>()
}

/// A line for each condition that is not as it should be, or that tells of trouble by being there.
fn amiss(backup: &MailBackup) -> Vec<String> {
    let conditions = backup.status.iter().flat_map(|status| &status.conditions);
    let bad = conditions.filter(|it| it.status == "False" || !KNOWN.contains(&it.type_.as_str()));
    let line = |it: &Condition| {
        format!("{}: {} {} ({}): {}\n", backup.name_any(), it.type_, it.status, it.reason, it.message)
    };
    bad.map(line).collect()
}

fn of(backup: &MailBackup) -> Vec<String> {
    let status = backup.status.clone().unwrap_or_default();
    let condition = |type_: &str| {
        let verdict = verdict(&status.conditions, type_);
        if verdict.is_empty() { "Unknown".to_owned() } else { verdict }
    };
    let never = |at: String| if at.is_empty() { "never".to_owned() } else { at };
    let next = if backup.spec.suspend { "suspended".to_owned() } else { time(status.next_run.as_ref()) };
    let now = status.running.as_ref().map(|it| format!("{}: {}", it.run, it.progress));
    row([
        &backup.name_any(),
        &condition("Ready"),
        &condition("Succeeded"),
        &never(time(status.last_success.as_ref())),
        &condition("Verified"),
        &never(time(status.last_verified.as_ref())),
        status.restore_time.as_deref().unwrap_or_default(),
        &next,
        &now.unwrap_or_default(),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_backup_has_a_line_and_what_is_not_known_says_so() {
        let backup = |name: &str, suspend: bool, status| {
            serde_json::from_value::<MailBackup>(json!({
                "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailBackup", "metadata": {"name": name},
                "spec": {"system": {"name": "mail"}, "encryptionSecret": "key", "suspend": suspend,
                    "repository": {"volume": {"claim": "backup"}}},
                "status": status}))
            .unwrap()
        };
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({"type": type_, "status": status, "reason": reason, "message": format!("{reason}…"),
                "lastTransitionTime": "2026-12-01T08:00:00Z"})
        };
        let status = json!({"lastSuccess": "2026-11-30T18:30:04Z", "lastVerified": "2026-11-30T19:00:00Z",
            "nextRun": "2026-12-01T18:30:00Z", "restoreTime": "12m30s",
            "running": {"run": "nightly-v", "activity": "Verify", "progress": "shard 0, 42 %", "percent": 42,
                "mailboxes": 0, "bytes": 0},
            "conditions": [condition("Ready", "True", "Scheduled"), condition("Succeeded", "False", "NoSpace"),
                condition("Verified", "True", "Restored"), condition("SnapshotsVanished", "True", "Vanished")]});
        let expected = "\
BACKUP    READY     SUCCEEDED         LAST-SUCCESS           VERIFIED   LAST-VERIFIED          RESTORE-TIME   NEXT                   NOW
nightly   True      False (NoSpace)   2026-11-30T18:30:04Z   True       2026-11-30T19:00:00Z   12m30s         2026-12-01T18:30:00Z   nightly-v: shard 0, 42 %
weekly    Unknown   Unknown           never                  Unknown    never                                 suspended
nightly: Succeeded False (NoSpace): NoSpace…
nightly: SnapshotsVanished True (Vanished): Vanished…
";
        let text = told(&[backup("nightly", false, status), backup("weekly", true, json!({}))]);
        assert_eq!(text, expected);
        assert_eq!(told(&[]), "No MailBackup: nothing is backed up\n");
    }
}

//! `kubectl mail snapshots`: what could come back. MailSnapshots come in, a table goes out.

use std::io::Write;

use clap::Args;
use kube::{Api, ResourceExt, api::ListParams};

use super::{
    Error, Target,
    cluster::client,
    columns::{lines, row},
    words::{time, verdict},
};
use crate::{api::MailSnapshot, conditions};

/// Of which backup.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the MailBackup; all of the namespace if absent.
    backup: Option<String>,
}

/// Prints them, the newest first.
pub(super) async fn run(target: &Target, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let (client, namespace) = client(target).await?;
    let snapshots: Api<MailSnapshot> = Api::namespaced(client, &namespace);
    let listed = snapshots.list(&ListParams::default()).await?.items;
    let wanted = |it: &MailSnapshot| {
        let (backup, system) = (arguments.backup.as_ref(), target.system.as_ref());
        backup.is_none_or(|name| it.spec.backup == *name)
            && system.is_none_or(|name| it.spec.system.name == *name)
    };
    let found: Vec<_> = listed.into_iter().filter(wanted).collect();
    if found.is_empty() {
        let of = arguments.backup.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
        return Err(Error::Incomplete(format!("there is no MailSnapshot{of} in namespace {namespace}")));
    }
    Ok(write!(out, "{}", table(found))?)
}

fn table(mut snapshots: Vec<MailSnapshot>) -> String {
    snapshots.sort_by(|a, b| b.spec.time.0.cmp(&a.spec.time.0).then_with(|| a.name_any().cmp(&b.name_any())));
    let titles = ["SNAPSHOT", "BACKUP", "TIME", "MAILBOXES", "MESSAGES", "ADDED", "COMPLETE", "VERIFIED"];
    let mut rows = vec![row(titles)];
    rows.extend(snapshots.iter().map(of));
    lines(&rows)
}

fn of(snapshot: &MailSnapshot) -> Vec<String> {
    let (spec, status) = (&snapshot.spec, snapshot.status.clone().unwrap_or_default());
    let count = |figure: Option<u64>| figure.map(|it| it.to_string()).unwrap_or_default();
    let failed = conditions::get(&status.conditions, "Verified").is_some_and(|it| it.status == "False");
    let verified = match &status.verified {
        _ if failed => verdict(&status.conditions, "Verified"),
        None => "never".to_owned(),
        at => time(at.as_ref()),
    };
    row([
        &snapshot.name_any(),
        &spec.backup,
        &time(Some(&spec.time)),
        &count(status.mailboxes),
        &count(status.messages),
        status.added.as_deref().unwrap_or_default(),
        &verdict(&status.conditions, "Complete"),
        &verified,
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_comes_first_and_what_was_not_proven_says_so() {
        let condition = |type_: &str, status: &str, reason: &str| {
            json!({"type": type_, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-12-01T08:00:00Z"})
        };
        let snapshot = |name: &str, at: &str, status| {
            serde_json::from_value::<MailSnapshot>(json!({
                "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailSnapshot", "metadata": {"name": name},
                "spec": {"backup": "nightly", "system": {"name": "mail"}, "run": name, "time": at, "parts": []},
                "status": status}))
            .unwrap()
        };
        let good = json!({"mailboxes": 3, "messages": 1200, "added": "1Gi", "verified": "2026-11-30T20:00:00Z",
            "conditions": [condition("Complete", "True", "Complete"), condition("Verified", "True", "Restored")]});
        let bad = json!({"mailboxes": 3, "messages": 1300, "verified": "2026-11-30T20:00:00Z",
            "conditions": [condition("Complete", "False", "Vanished"), condition("Verified", "False", "Differs")]});
        let text = table(vec![
            snapshot("nightly-a", "2026-11-29T18:30:00Z", good),
            snapshot("nightly-c", "2026-12-01T18:30:00.25Z", json!({})),
            snapshot("nightly-b", "2026-11-30T18:30:00Z", bad),
        ]);
        let expected = "\
SNAPSHOT    BACKUP    TIME                   MAILBOXES   MESSAGES   ADDED   COMPLETE           VERIFIED
nightly-c   nightly   2026-12-01T18:30:00Z                                                     never
nightly-b   nightly   2026-11-30T18:30:00Z   3           1300               False (Vanished)   False (Differs)
nightly-a   nightly   2026-11-29T18:30:00Z   3           1200       1Gi     True               2026-11-30T20:00:00Z
";
        assert_eq!(text, expected);
    }
}

//! A restore on its way to its end: its status comes in, lines go out.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use kube::Api;
use tokio::time::sleep;

use crate::{
    api::{MailRestore, MailRestoreStatus, restore::RestorePhase},
    cli::{Error, backup::LOOK, words::between},
    conditions,
};

/// Prints what is new until it has ended, and then what came of it; an error if not all came back.
pub(super) async fn follow(
    restores: &Api<MailRestore>,
    name: &str,
    timeout: Option<u64>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let (began, mut last) = (Instant::now(), String::new());
    loop {
        let object = restores.get(name).await?;
        let status = object.status.clone().unwrap_or_default();
        match status.phase {
            RestorePhase::Succeeded => return Ok(write!(out, "{}", came(&object))?),
            RestorePhase::Failed => {
                write!(out, "{}", came(&object))?;
                return Err(Error::Incomplete(format!("{name} failed{}", why(&status))));
            }
            RestorePhase::Pending | RestorePhase::Running => {}
        }
        let line = progress(&status);
        if line != last {
            writeln!(out, "{line}")?;
            last = line;
        }
        if let Some(seconds) = timeout.filter(|seconds| began.elapsed() > Duration::from_secs(*seconds)) {
            let why = why(&status);
            return Err(Error::Incomplete(format!(
                "{name} has not ended within {seconds} s, and goes on{why}"
            )));
        }
        sleep(LOOK).await;
    }
}

fn progress(status: &MailRestoreStatus) -> String {
    let from = status.snapshot.as_ref().map(|name| format!(" from {name}")).unwrap_or_default();
    match (status.phase, &status.progress) {
        (RestorePhase::Running, Some(progress)) => format!("running{from}: {progress}"),
        (RestorePhase::Running, None) => format!("running{from}"),
        _ => format!("waiting{}", why(status)),
    }
}

/// What the condition says that tells why it is not complete.
fn why(status: &MailRestoreStatus) -> String {
    let complete = conditions::get(&status.conditions, "Complete");
    complete.map(|it| format!(": {}: {}", it.reason, it.message)).unwrap_or_default()
}

/// What came back or would, and some of it.
fn came(object: &MailRestore) -> String {
    let status = object.status.clone().unwrap_or_default();
    let examples: Vec<_> = status.examples.iter().map(|example| format!("  {example}\n")).collect();
    let examples = examples.concat();
    if status.found == Some(0) {
        let near = if examples.is_empty() { "" } else { "; near what was asked for:" };
        return format!("nothing came back{near}\n{examples}");
    }
    let figure = |figure: Option<u64>| figure.unwrap_or_default();
    let verb = if object.spec.dry_run { "would come back" } else { "came back" };
    let mut parts = vec![format!("{} messages {verb}", figure(status.restored))];
    parts.push(format!("{} were there already", figure(status.skipped)));
    if figure(status.failed) > 0 {
        parts.push(format!("{} did not come back", figure(status.failed)));
    }
    if let Some(objects) = status.objects.filter(|count| *count > 0) {
        parts.push(format!("{objects} objects were made"));
    }
    let from = status.snapshot.as_ref().map(|name| format!("; from {name}")).unwrap_or_default();
    let took = between(status.started.as_ref(), status.finished.as_ref());
    let took = took.map(|took| format!(", in {took}")).unwrap_or_default();
    format!("{}{from}{took}\n{examples}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn restore(dry_run: bool, status: &Value) -> MailRestore {
        serde_json::from_value(json!({
            "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailRestore", "metadata": {"name": "one"},
            "spec": {"system": {"name": "mail"}, "from": {"snapshot": "nightly-1"}, "dryRun": dry_run,
                "mailboxes": {"addresses": ["an@x.vn"]}},
            "status": status}))
        .unwrap()
    }

    #[test]
    fn what_came_back_is_told_with_examples() {
        let status = json!({"phase": "Succeeded", "snapshot": "nightly-1", "found": 15, "restored": 12, "skipped": 3,
            "failed": 0, "started": "2026-12-01T08:00:00Z", "finished": "2026-12-01T08:00:08Z",
            "examples": ["an@x.vn INBOX: Giấy mời họp"]});
        assert_eq!(
            came(&restore(false, &status)),
            "12 messages came back, 3 were there already; from nightly-1, in 8s\n  an@x.vn INBOX: Giấy mời họp\n"
        );
        let dry = came(&restore(true, &status));
        assert!(dry.starts_with("12 messages would come back, "), "{dry}");
        let failed = json!({"phase": "Failed", "restored": 1, "skipped": 0, "failed": 2, "objects": 4});
        assert_eq!(
            came(&restore(false, &failed)),
            "1 messages came back, 0 were there already, 2 did not come back, 4 objects were made\n"
        );
    }

    #[test]
    fn what_is_near_is_told_where_nothing_came_back() {
        let near = "there is a folder Sent with 3 messages";
        let status = json!({"phase": "Failed", "found": 0, "restored": 0, "skipped": 0, "examples": [near]});
        let expected = format!("nothing came back; near what was asked for:\n  {near}\n");
        assert_eq!(came(&restore(false, &status)), expected);
        assert_eq!(came(&restore(false, &json!({"phase": "Failed", "found": 0}))), "nothing came back\n");
    }

    #[test]
    fn where_it_is_and_what_it_waits_for_is_told() {
        let told = |status: Value| progress(&restore(false, &status).status.unwrap());
        let complete = json!([{"type": "Complete", "status": "False", "reason": "RepositoryInUse",
            "message": "a backup of it runs", "lastTransitionTime": "2026-12-01T08:00:00Z"}]);
        assert_eq!(told(json!({"conditions": complete})), "waiting: RepositoryInUse: a backup of it runs");
        assert_eq!(told(json!({})), "waiting");
        assert_eq!(
            told(json!({"phase": "Running", "snapshot": "nightly-1", "progress": "reading, 40 %"})),
            "running from nightly-1: reading, 40 %"
        );
    }
}

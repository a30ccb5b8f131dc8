//! `kubectl mail status`: who serves each shard, how backups stand, and what is amiss, from the status of the objects.

use std::io::Write;

use clap::Args;

use super::{
    Error, backups,
    cluster::System,
    columns::{lines, row},
};
use crate::{
    api::{
        MailSystem,
        system::{ShardStatus, StorePodStatus},
    },
    conditions,
};

/// Of which system.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the MailSystem, as with --system.
    #[arg(value_name = "SYSTEM")]
    pub name: Option<String>,
}

/// Prints it.
pub(super) async fn run(system: &System, out: &mut impl Write) -> Result<(), Error> {
    let object = system.object().await?;
    // Who may see the system need not be allowed to see its backups.
    let backups = system.backups().await;
    let backups =
        backups.map_or_else(|error| format!("Backups are not known: {error}\n"), |it| backups::told(&it));
    Ok(write!(out, "{}", told(&system.name.to_string(), &object, &backups))?)
}

fn told(name: &str, object: &MailSystem, backups: &str) -> String {
    let Some(status) = &object.status else {
        return format!("{name}: the operator has not looked at it yet\n");
    };
    let ready = conditions::get(&status.conditions, "Ready");
    let ready = ready.map_or_else(
        || "not known yet".to_owned(),
        |ready| format!("{} ({}): {}", ready.status, ready.reason, ready.message),
    );
    let mut parts = vec![format!("{name}, {}\nReady: {ready}\n{}\n", object.spec.hostname, figures(object))];
    if !status.shards.is_empty() {
        parts.push(lines(&shards(&status.shards)));
    }
    let mut workloads = vec![row(["WORKLOAD", "READY", "IMAGE"])];
    workloads.extend(
        status
            .components
            .iter()
            .map(|it| row([&it.name, &format!("{}/{}", it.ready, it.desired), &it.image])),
    );
    parts.push(lines(&workloads));
    parts.push(backups.to_owned());
    let mut table = vec![row(["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"])];
    table.extend(status.conditions.iter().map(|it| {
        let since = it.last_transition_time.0.to_string();
        row([&it.type_, &it.status, &it.reason, &since, &it.message])
    }));
    parts.push(lines(&table));
    parts.join("\n")
}

fn figures(object: &MailSystem) -> String {
    let Some(status) = &object.status else { return String::new() };
    let mut figures = vec![format!("{} mailboxes", status.mailboxes), format!("{} domains", status.domains)];
    if object.spec.journal.is_some() {
        let unaccounted =
            status.unaccounted.map_or_else(|| "not known".to_owned(), |count| count.to_string());
        let oldest = status.oldest_unaccounted.as_ref();
        let oldest = oldest.map(|time| format!(", the oldest accepted at {}", time.0)).unwrap_or_default();
        figures.push(format!("accepted messages unaccounted for: {unaccounted}{oldest}"));
    }
    figures.join("; ")
}

fn shards(shards: &[ShardStatus]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["SHARD", "POD", "NODE", "ROLE", "PHASE", "EPOCH", "LAG", "DONE", "MESSAGE"])];
    for shard in shards {
        rows.extend(shard.pods.iter().map(|pod| store(shard, pod)));
        if shard.pods.is_empty() {
            rows.push(row([&shard.shard.to_string(), "", "", "", "", "", "", "", &shard.message]));
        }
    }
    rows
}

fn store(shard: &ShardStatus, pod: &StorePodStatus) -> Vec<String> {
    let is = |role: &Option<String>| role.as_deref() == Some(&pod.name);
    let role = match () {
        () if is(&shard.primary) => "primary",
        () if is(&shard.replica) => "replica",
        () => "none",
    };
    // What the replica lacks, and how far it is, stands in its line.
    let lacking = is(&shard.replica);
    let lag = shard
        .lag_seconds
        .filter(|_| lacking)
        .map(|seconds| format!("{seconds} s, {} changes", shard.lag_changes.unwrap_or_default()));
    let done = shard.progress.filter(|_| lacking).map(|it| format!("{} of {}", it.done, it.total));
    let epoch = pod.epoch.map(|epoch| epoch.to_string());
    row([
        &shard.shard.to_string(),
        &pod.name,
        pod.node.as_deref().unwrap_or_default(),
        role,
        pod.phase.as_deref().unwrap_or("does not answer"),
        &epoch.unwrap_or_default(),
        &lag.unwrap_or_default(),
        &done.unwrap_or_default(),
        &pod.message,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_and_what_is_amiss_is_in_it() {
        let object: MailSystem = serde_json::from_value(serde_json::json!({
            "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailSystem", "metadata": {"name": "mail"},
            "spec": {"hostname": "mail.x.vn", "journal": {"objectStorage": {"bucket": "b", "credentialsSecret": "s"}}},
            "status": {
                "mailboxes": 3, "domains": 1, "unaccounted": 0,
                "components": [{"name": "mail-store-0", "ready": 1, "desired": 2, "image": "cyrus:1"}],
                "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "every part serves",
                    "lastTransitionTime": "2025-11-25T02:00:00Z"}],
                "shards": [{
                    "shard": 0, "primary": "mail-store-0-0", "replica": "mail-store-0-1", "epoch": 4, "inSync": false,
                    "lagSeconds": 12, "lagChanges": 40,
                    "pods": [
                        {"name": "mail-store-0-0", "node": "a", "phase": "Primary", "epoch": 4},
                        {"name": "mail-store-0-1", "node": "b", "phase": "CatchingUp", "epoch": 4, "message": "it gets what the primary has"},
                    ]}, {"shard": 1, "message": "no store of shard 1 serves: it has no pods"}]}}))
        .unwrap();
        let expected = "\
mail/mail, mail.x.vn
Ready: True (Serving): every part serves
3 mailboxes; 1 domains; accepted messages unaccounted for: 0

SHARD   POD              NODE   ROLE      PHASE        EPOCH   LAG                MESSAGE
0       mail-store-0-0   a      primary   Primary      4
0       mail-store-0-1   b      replica   CatchingUp   4       12 s, 40 changes   it gets what the primary has
1                                                                                 no store of shard 1 serves: it has no pods

WORKLOAD       READY   IMAGE
mail-store-0   1/2     cyrus:1

No MailBackup: nothing is backed up

CONDITION   STATUS   REASON    SINCE                  MESSAGE
Ready       True     Serving   2025-11-25T02:00:00Z   every part serves
";
        assert_eq!(told("mail/mail", &object, &backups::told(&[])), expected);
        let new = MailSystem { status: None, ..object };
        assert_eq!(told("mail/mail", &new, ""), "mail/mail: the operator has not looked at it yet\n");
    }
}

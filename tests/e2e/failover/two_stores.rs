//! Two stores come up by themselves, and what one has the other has.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, AttachParams, DynamicObject},
};
use mail_operator::{api::MailSystem, names::ROLE_LABEL};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::{
    pair::{self, Pair, pod},
    roles::Roles,
    story::delivered,
};
use crate::world::{eventually, unique};

/// The files of a store's spool that have this text.
async fn files_with(pair: &Pair, ordinal: usize, text: &str) -> Result<usize, String> {
    // As Cyrus' user: root in this container may not read what is another's.
    let user = ["setpriv", "--reuid=cyrus", "--regid=mail", "--clear-groups"];
    let look = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--", text, "/data/spool"];
    let command = user.into_iter().chain(look);
    let params = AttachParams::default().container("cyrus").stderr(false);
    let pods = pair.world.api::<Pod>();
    let mut process = pods.exec(&pod(ordinal), command, &params).await.map_err(|e| e.to_string())?;
    let mut output = String::new();
    let mut stdout = process.stdout().ok_or("no output")?;
    stdout.read_to_string(&mut output).await.map_err(|e| e.to_string())?;
    // A message is a file called by its number and a full stop; Cyrus' own files have names.
    let messages = output.lines().filter(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix('.').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    Ok(messages.count())
}

#[test]
fn a_new_system_has_one_store_that_serves_and_one_that_follows_and_a_message_is_on_both_disks() {
    pair::run(async |pair| {
        let roles = pair.settled().await;
        let an = pair.world.mailbox(json!({})).await;
        let subject = delivered(&pair.world, &an).await;
        // At once: the replica had it before the message was called delivered.
        for ordinal in [roles.primary, roles.replica()] {
            assert_eq!(files_with(pair, ordinal, &subject).await, Ok(1), "store {ordinal}");
        }
        assert_eq!(files_with(pair, roles.replica(), &unique("nobody")).await, Ok(0));
        // What it was told counts for that agent's run: it goes on without another word.
        assert_eq!(pair.settled().await, roles);
    });
}

#[test]
#[ignore = "minutes: make test-failover"]
fn a_replica_that_was_away_gets_what_came_meanwhile() {
    pair::run(async |pair| {
        let roles = pair.settled().await;
        let an = pair.world.mailbox(json!({})).await;
        let replica = pod(roles.replica());
        let uid = pair.look_up(&replica).await.unwrap().uid;
        pair.delete_now(&replica).await;
        let subject = delivered(&pair.world, &an).await;
        pair.replaced(&replica, &uid).await;
        assert_eq!(pair.settled().await, roles, "the primary went on");
        eventually(super::SETTLED, "the replica has it", async || {
            match files_with(pair, roles.replica(), &subject).await? {
                1 => Ok(()),
                other => Err(format!("{other} files")),
            }
        })
        .await;
        let after = pair.switch_over(roles).await;
        crate::imap::wait_for(&pair.world, &an, &subject).await;
        assert_eq!(after.primary, roles.replica());
    });
}

/// What the operator makes of a shard: in the status, and on the labels of its pods.
async fn told(pair: &Pair, roles: Roles) -> Result<(), String> {
    let kind = ApiResource::erase::<MailSystem>(&());
    let systems: Api<DynamicObject> =
        Api::namespaced_with(pair.world.client.clone(), &pair.world.namespace, &kind);
    let system = systems.get("mail").await.map_err(|error| error.to_string())?;
    let shard = &system.data["status"]["shards"][0];
    let (primary, replica) = (pod(roles.primary), pod(roles.replica()));
    let is_told = shard["primary"] == *primary
        && shard["replica"] == *replica
        && shard["epoch"] == roles.epoch
        && shard["inSync"] == true;
    if !is_told {
        return Err(system.data["status"].to_string());
    }
    for (name, role) in [(&primary, "primary"), (&replica, "replica")] {
        let pod = pair.world.api::<Pod>().get(name).await.map_err(|error| error.to_string())?;
        if pod.labels().get(ROLE_LABEL).is_none_or(|label| label != role) {
            return Err(format!("{name} has the labels {:?}", pod.labels()));
        }
    }
    Ok(())
}

#[test]
fn the_operator_tells_who_serves_before_and_after_a_switchover() {
    pair::run(async |pair| {
        let before = pair.settled().await;
        let soon = Duration::from_mins(1);
        eventually(soon, "status and labels say who serves", async || told(pair, before).await).await;
        let after = pair.switch_over(before).await;
        eventually(soon, "they say who serves now", async || told(pair, after).await).await;
    });
}

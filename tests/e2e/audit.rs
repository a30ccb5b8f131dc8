//! The delivery audit: what is delivered or waits is accounted for, what vanishes is not, and comes back exactly once.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures::FutureExt;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams};
use mail_operator::api::{MailSystem, Mailbox};
use serde_json::{Value, json};

use crate::{
    imap,
    plugin::kubectl_mail,
    smtp::{Smtp, message},
    world::{Account, World, eventually, run, run_alone, unique},
};

const LONG: Duration = Duration::from_mins(4);

/// Sends a message from outside; gives its Message-ID.
async fn accepted(world: &World, to: &[&str], subject: &str) -> String {
    let text = message("dan@example.com", to[0], subject, "x");
    let mut smtp = Smtp::inbound(world).await.unwrap();
    let reply = smtp.send("dan@example.com", to, &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    line.to_owned()
}

/// Waits until the story of a message has all of these parts; gives it.
async fn story(world: &World, message_id: &str, parts: &[&str]) -> String {
    eventually(LONG, "the story of the message", async || {
        let told = kubectl_mail(world, &["trace", message_id, "--since", "1h"]);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let missing: Vec<_> = parts.iter().filter(|part| !text.contains(**part)).collect();
        if missing.is_empty() {
            return Ok(text);
        }
        Err(format!("{missing:?} not in {text}{}", String::from_utf8_lossy(&told.stderr)))
    })
    .await
}

async fn accounted(world: &World, status: &str, reason: &str) {
    eventually(LONG, &format!("DeliveryAccounted={status}, {reason}"), async || {
        let found = world.condition::<MailSystem>("mail", "DeliveryAccounted", status, LONG).await;
        if found == reason { Ok(()) } else { Err(found) }
    })
    .await;
}

async fn merge(world: &World, patch: Value) {
    let patch = Patch::Merge(patch);
    world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
}

/// The StatefulSet of the store that has a mailbox.
async fn store_of(world: &World, account: &Account) -> String {
    let mailbox = world.api::<Mailbox>().get(&account.name).await.unwrap();
    format!("mail-store-{}", mailbox.status.unwrap().shard.unwrap())
}

/// Ends a store while the operator looks away, or starts it again.
async fn scale(world: &World, store: &str, replicas: i32) {
    let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    world.api::<StatefulSet>().patch(store, &PatchParams::default(), &scale).await.unwrap();
    eventually(LONG, "the store ends or starts", async || {
        let set = world.api::<StatefulSet>().get(store).await.map_err(|e| e.to_string())?;
        let status = set.status.unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or_default();
        if (status.replicas, ready) == (replicas, replicas) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

async fn without_store<T>(world: &World, store: &str, test: impl AsyncFnOnce() -> T) -> T {
    merge(world, json!({"spec": {"paused": true}})).await;
    eventually(LONG, "the operator looks away", async || {
        let reason = world.condition::<MailSystem>("mail", "Ready", "True", LONG).await;
        if reason == "Paused" { Ok(()) } else { Err(reason) }
    })
    .await;
    scale(world, store, 0).await;
    // The other tests need the store, whatever becomes of this one.
    let result = AssertUnwindSafe(test()).catch_unwind().await;
    scale(world, store, 1).await;
    merge(world, json!({"spec": {"paused": null}})).await;
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

#[test]
fn a_delivered_message_is_accounted_for_and_its_story_is_told() {
    run(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let subject = unique("story");
        let message_id = accepted(world, &[&an.address, &binh.address], &subject).await;
        let read = imap::wait_for(world, &an, &subject).await;
        let store = store_of(world, &an).await;
        let told = story(
            world,
            &message_id,
            &[
                "now: it has come to its end",
                &format!("delivered <{}> to {store}-0", an.address),
                &format!("delivered <{}>", binh.address),
                &format!("<{}>: held by {store}-0", an.address),
                "sender     <dan@example.com>",
                "closed: every recipient has an answer",
            ],
        )
        .await;
        let id = told.lines().next().unwrap();
        assert!(read.contains(&format!("Journal-Id: {id}")), "{told}{read}");
        // By its id, too.
        assert!(kubectl_mail(world, &["trace", id]).status.success());
        let none = kubectl_mail(world, &["trace", "<nobody@example.com>", "--since", "1h"]);
        assert!(String::from_utf8_lossy(&none.stderr).contains("the journal has no message"));
        accounted(world, "True", "Accounted").await;
    });
}

#[test]
fn mail_for_a_store_that_is_away_is_in_a_queue_and_accounted_for() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let (store, subject) = (store_of(world, &an).await, unique("waits"));
        without_store(world, &store, async || {
            let message_id = accepted(world, &[&an.address], &subject).await;
            let told = story(world, &message_id, &["now: in the queue of mail-gateway-", "queue "]).await;
            assert!(told.contains(&format!("<{}>: ", an.address)), "{told}");
            // It is old enough to be looked for, and found.
            tokio::time::sleep(Duration::from_secs(90)).await;
            accounted(world, "True", "Accounted").await;
            assert_eq!(
                world.api::<MailSystem>().get("mail").await.unwrap().status.unwrap().unaccounted,
                Some(0)
            );
        })
        .await;
        imap::wait_for(world, &an, &subject).await;
    });
}

/// Runs a command in Postfix' container.
async fn in_postfix(world: &World, pod: &str, command: &[&str]) {
    let params = AttachParams::default().container("postfix").stderr(false);
    let mut process = world.api::<Pod>().exec(pod, command.to_vec(), &params).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"), "{status:?}");
}

#[test]
fn a_queue_file_that_vanishes_is_unaccounted_for_and_is_brought_back_exactly_once() {
    run_alone(async |world| {
        let (an, binh) = (world.mailbox(json!({})).await, world.mailbox(json!({})).await);
        let (store, other) = (store_of(world, &an).await, store_of(world, &binh).await);
        let subject = unique("vanished");
        without_store(world, &store, async || {
            let message_id = accepted(world, &[&an.address, &binh.address], &subject).await;
            let told = story(
                world,
                &message_id,
                &["now: in the queue of ", "queue deferred", "accepted by Postfix as "],
            )
            .await;
            let after =
                |start: &str| told.split(start).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
            let (pod, queue_id) = (after("now: in the queue of "), after("accepted by Postfix as "));
            if other != store {
                story(world, &message_id, &[&format!("delivered <{}>", binh.address)]).await;
            }
            let command =
                format!("find /var/spool/postfix -name {queue_id} -type f -delete -print | grep -q .");
            in_postfix(world, &pod, &["bash", "-c", &command]).await;
            accounted(world, "False", "Unaccounted").await;
            let status = world.api::<MailSystem>().get("mail").await.unwrap().status.unwrap();
            assert_eq!(status.unaccounted, Some(1));
            assert!(status.oldest_unaccounted.is_some());
            let audit = kubectl_mail(world, &["audit"]);
            assert!(!audit.status.success());
            assert!(String::from_utf8_lossy(&audit.stdout).contains(&queue_id));
        })
        .await;
        for _ in 0..2 {
            let replay = kubectl_mail(world, &["replay", "--unaccounted"]);
            assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
        }
        for account in [&an, &binh] {
            imap::wait_for(world, account, &subject).await;
        }
        accounted(world, "True", "Accounted").await;
        world.ready::<MailSystem>("mail", LONG).await;
        for account in [&an, &binh] {
            assert_eq!(
                imap::messages(world, account, &subject).await.unwrap().len(),
                1,
                "{}",
                account.address
            );
        }
        // Whoever does not know the secret hands nothing over.
        let labels = ListParams::default().labels("app.kubernetes.io/component=gateway");
        let gateways = world.api::<Pod>().list(&labels).await.unwrap().items;
        let ip = gateways[0].status.as_ref().unwrap().pod_ip.clone().unwrap();
        let stream = tokio::net::TcpStream::connect((ip.as_str(), 9100)).await.unwrap();
        assert!(post(stream, "/replay/00000000000000000000000000000000").await.contains(" 403 "));
    });
}

#[test]
fn mail_in_a_lost_queue_volume_is_brought_back_once_the_volume_is_declared_lost() {
    run_alone(async |world| {
        let an = world.mailbox(json!({})).await;
        let (store, subject) = (store_of(world, &an).await, unique("lost"));
        let delivered = unique("before");
        let before = accepted(world, &[&an.address], &delivered).await;
        story(world, &before, &["now: it has come to its end"]).await;
        let pod = without_store(world, &store, async || {
            let message_id = accepted(world, &[&an.address], &subject).await;
            let told = story(world, &message_id, &["now: in the queue of "]).await;
            let pod = told.split("now: in the queue of ").nth(1).unwrap().split_whitespace().next().unwrap();
            let now = DeleteParams::default().grace_period(0);
            let claim = format!("queue-{pod}");
            world.api::<PersistentVolumeClaim>().delete(&claim, &DeleteParams::default()).await.unwrap();
            world.api::<Pod>().delete(pod, &now).await.unwrap();
            pod.to_owned()
        })
        .await;
        accounted(world, "False", "GatewayVolumeNew").await;
        // The agent is there before Postfix is: "try again".
        let text = eventually(LONG, "what waited in the lost volume is brought back", async || {
            let replay = kubectl_mail(world, &["replay", "--lost-volume", &pod]);
            let text = String::from_utf8_lossy(&replay.stdout).into_owned();
            let wrong = String::from_utf8_lossy(&replay.stderr).into_owned();
            if replay.status.success() { Ok(text) } else { Err(format!("{text}{wrong}")) }
        })
        .await;
        imap::wait_for(world, &an, &subject).await;
        accounted(world, "True", "Accounted").await;
        for subject in [&subject, &delivered] {
            assert_eq!(imap::messages(world, &an, subject).await.unwrap().len(), 1, "{text}");
        }
        let again = kubectl_mail(world, &["replay", "--lost-volume", &pod]);
        assert!(String::from_utf8_lossy(&again.stderr).contains("is not new"));
        world.ready::<MailSystem>("mail", LONG).await;
    });
}

/// The first bytes of the answer to a request without a secret.
async fn post(mut stream: tokio::net::TcpStream, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

//! Messages through the whole path, with a journal and without, against the same images without milters, agents' router
//! and door: plain Postfix → Cyrus.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use mail_operator::api::{MailSystem, Mailbox};
use serde_json::json;

use crate::{
    figures::{Times, row},
    imap, s3,
    smtp::{Smtp, message},
    world::{Account, World, eventually, unique},
};

const MESSAGES: usize = 1_000;
const LIMIT: Duration = Duration::from_mins(10);

/// Measures all three and prints them beside each other.
pub(crate) async fn compare(world: &World) {
    // The plain system has no router: its mail goes to one shard.
    let mut accounts = Vec::new();
    while accounts.len() < 20 {
        let account = world.mailbox(json!({})).await;
        let status = world.api::<Mailbox>().get(&account.name).await.unwrap().status.unwrap();
        if status.shard == Some(0) {
            accounts.push(account);
        }
    }
    let full = measure(world, &accounts).await;
    journal(world, s3::journal(&world.namespace)).await;
    let journalled = measure(world, &accounts).await;
    journal(world, json!(null)).await;
    make_plain(world).await;
    let plain = measure(world, &accounts).await;
    restore(world).await;
    for (((figure, full), (_, journalled)), (_, plain)) in full.iter().zip(&journalled).zip(&plain) {
        row(figure, &format!("{full} (with a journal: {journalled}; plain Postfix → Cyrus: {plain})"));
    }
}

/// Gives the system a journal, or takes it away.
async fn journal(world: &World, spec: serde_json::Value) {
    const LONG: Duration = Duration::from_mins(5);
    let wanted = !spec.is_null();
    if wanted {
        s3::serve(world).await;
    }
    let patch = Patch::Merge(json!({"spec": {"journal": spec}}));
    world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
    world.settled(LONG).await;
    if wanted {
        world.condition::<MailSystem>("mail", "JournalHealthy", "True", LONG).await;
    }
    world.ready::<MailSystem>("mail", LONG).await;
}

async fn measure(world: &World, accounts: &[Account]) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut inboxes = Vec::new();
    for account in accounts {
        inboxes.push(imap::log_in(world, &account.address, &account.password).await.unwrap());
    }
    for senders in [1, 10, 40] {
        let count = if senders == 1 { MESSAGES / 5 } else { MESSAGES };
        let before = messages(&mut inboxes).await;
        let began = Instant::now();
        send(world, accounts, senders, count).await;
        let accepted = count as f64 / began.elapsed().as_secs_f64();
        while messages(&mut inboxes).await < before + count as u32 {
            assert!(began.elapsed() < LIMIT, "not all are delivered within {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let delivered = count as f64 / began.elapsed().as_secs_f64();
        let what = format!("messages a second, 10 KB, {senders} senders: accepted, delivered");
        rows.push((what, format!("{accepted:.0}, {delivered:.0}")));
    }
    rows.push(("250 to visible in IMAP, at rest".to_owned(), visible(world, &accounts[0]).await));
    rows
}

async fn send(world: &World, accounts: &[Account], senders: usize, count: usize) {
    stream::iter(0..senders)
        .for_each_concurrent(senders, |sender| async move {
            let mut smtp = Smtp::inbound(world).await.expect("a session");
            for n in 0..count / senders {
                let to = &accounts[(sender + n) % accounts.len()].address;
                let text = message("dan@example.com", to, "load", &"0123456789abcdef\n".repeat(600));
                let reply = smtp.send("dan@example.com", &[to], &text).await.expect("a reply");
                assert_eq!(reply.code, 250, "{reply:?}");
            }
        })
        .await;
}

/// How many messages there are in all of these.
async fn messages(inboxes: &mut [imap::Owner]) -> u32 {
    let mut messages = 0;
    for inbox in inboxes {
        messages += inbox.status("INBOX", "(MESSAGES)").await.expect("a status").exists;
    }
    messages
}

async fn visible(world: &World, account: &Account) -> String {
    let mut session = imap::log_in(world, &account.address, &account.password).await.unwrap();
    session.select("INBOX").await.unwrap();
    let mut smtp = Smtp::inbound(world).await.unwrap();
    let mut times = Times::default();
    for _ in 0..50 {
        let subject = unique("visible");
        let text = message("dan@example.com", &account.address, &subject, "x");
        assert_eq!(smtp.send("dan@example.com", &[&account.address], &text).await.unwrap().code, 250);
        let accepted = Instant::now();
        while session.uid_search(format!("SUBJECT \"{subject}\"")).await.unwrap().is_empty() {
            assert!(accepted.elapsed() < Duration::from_mins(5), "not visible within five minutes");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(accepted.elapsed());
    }
    times.quantiles()
}

/// Takes the milters out of Postfix and lets it deliver to Cyrus itself, while the operator looks away.
async fn make_plain(world: &World) {
    pause(world, json!(true)).await;
    edit(world, "mail-cyrus", |text| text.replace("127.0.0.1:2424", "0.0.0.0:2424")).await;
    let target = format!("lmtp:inet:mail-store-0-0.mail-store-0.{}.svc.cluster.local:2424", world.namespace);
    edit(world, "mail-postfix", move |text| {
        let line = |line: &str| match line.split(" =").next().unwrap_or_default().trim() {
            "smtpd_milters" | "non_smtpd_milters" => {
                format!("{} =", line.split(" =").next().unwrap_or_default())
            }
            "virtual_transport" => format!("virtual_transport = {target}"),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
    })
    .await;
    replace_pods(world).await;
}

async fn restore(world: &World) {
    pause(world, json!(null)).await;
    world.ready::<MailSystem>("mail", Duration::from_mins(5)).await;
    replace_pods(world).await;
}

async fn pause(world: &World, paused: serde_json::Value) {
    let patch = Patch::Merge(json!({"spec": {"paused": paused}}));
    world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn edit(world: &World, name: &str, change: impl Fn(&str) -> String) {
    let mut map = world.api::<ConfigMap>().get(name).await.unwrap();
    for text in map.data.iter_mut().flat_map(|data| data.values_mut()) {
        *text = change(text);
    }
    map.metadata.managed_fields = None;
    world.api::<ConfigMap>().replace(name, &kube::api::PostParams::default(), &map).await.unwrap();
}

async fn replace_pods(world: &World) {
    let selector = ListParams::default().labels("app.kubernetes.io/component in (gateway, store)");
    let old = world.api::<Pod>().list(&selector).await.unwrap();
    world.api::<Pod>().delete_collection(&DeleteParams::default(), &selector).await.unwrap();
    let count = old.items.len();
    eventually(Duration::from_mins(5), "new pods are ready", async || {
        let pods = world.api::<Pod>().list(&selector).await.map_err(|e| e.to_string())?;
        let is_new = |p: &&Pod| !old.items.iter().any(|o| o.metadata.uid == p.metadata.uid);
        let is_ready = |p: &&Pod| {
            let status = p.status.as_ref().and_then(|s| s.conditions.as_ref());
            status.is_some_and(|c| c.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
        };
        let ready = pods.items.iter().filter(is_new).filter(is_ready).count();
        if ready == count { Ok(()) } else { Err(format!("{ready} of {count}")) }
    })
    .await;
}

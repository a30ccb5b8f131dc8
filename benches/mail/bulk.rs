//! Very many mailboxes at once.

use std::{
    collections::HashSet,
    pin::pin,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use mail_operator::{api::Mailbox, conditions};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    figures::{Times, row},
    imap, operator,
    world::{DOMAIN, World, parse, unique},
    writes::Writes,
};

const LIMIT: Duration = Duration::from_mins(30);
/// So many owners log in once all mailboxes are served, most of them before Cyrus was told to make theirs.
const LOG_INS: usize = 100;

/// Creates `count` mailboxes as fast as the API server takes them, and waits until all are served.
pub(crate) async fn apply_many(world: &World, count: usize) {
    let (prefix, before, began) = (unique("n"), Writes::now(&world.client).await, Instant::now());
    let (created, served) = tokio::join!(create(world, &prefix, count), async {
        timeout(LIMIT, until_served(world, &prefix, count)).await.expect("all mailboxes are served");
        began.elapsed()
    });
    let mut writes = Writes::now(&world.client).await - before;
    writes.mailboxes -= count as u64;
    row(&format!("{count} mailboxes created by the client"), &format!("{:.0} s", created.as_secs_f64()));
    row(
        &format!("{count} mailboxes all served"),
        &format!("{:.0} s after the first was created", served.as_secs_f64()),
    );
    row("API writes of the operator per mailbox (goal 2)", &writes.each(count));
    row("memory of the operator", &operator::memory());
    log_in_to_some(world, &prefix, count).await;
    let pending = pending(world).await;
    row(
        "Cyrus makes mailboxes beside all this, a second",
        &format!(
            "{:.0}; {pending} are left",
            (count as f64 - pending as f64) / began.elapsed().as_secs_f64()
        ),
    );
}

async fn create(world: &World, prefix: &str, count: usize) -> Duration {
    let (api, began) = (world.api::<Mailbox>(), Instant::now());
    stream::iter(0..count)
        .for_each_concurrent(32, |n| {
            let (api, name) = (api.clone(), format!("{prefix}-{n}"));
            async move {
                let spec = json!({"address": format!("{name}@{DOMAIN}")});
                let object = parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}));
                api.create(&PostParams::default(), &object).await.expect("created");
            }
        })
        .await;
    began.elapsed()
}

/// By a watch: listing ten thousand objects again and again is work for the API server that nobody else would ask for.
async fn until_served(world: &World, prefix: &str, count: usize) {
    let mut events = pin!(watcher(world.api::<Mailbox>(), watcher::Config::default()).applied_objects());
    let mut served = HashSet::new();
    while served.len() < count {
        let mailbox = events.try_next().await.expect("a watch").expect("an object");
        let ready = mailbox.status.as_ref().is_some_and(|s| conditions::is_true(&s.conditions, "Ready"));
        if ready && mailbox.name_any().starts_with(prefix) {
            served.insert(mailbox.name_any());
        }
    }
}

async fn log_in_to_some(world: &World, prefix: &str, count: usize) {
    let mut times = Times::default();
    for n in (0..LOG_INS).map(|n| (count - 1) - n * count / LOG_INS) {
        let name = format!("{prefix}-{n}");
        let data = world.api::<Secret>().get(&format!("{name}-credentials")).await.unwrap().data.unwrap();
        let password = String::from_utf8_lossy(&data["password"].0).into_owned();
        let began = Instant::now();
        imap::log_in(world, &format!("{name}@{DOMAIN}"), &password).await.unwrap();
        times.push(began.elapsed());
    }
    row(&format!("first log-in to {LOG_INS} of them while Cyrus makes the others"), &times.quantiles());
}

/// Waits until the stores have made every mailbox.
pub(crate) async fn until_made(world: &World) {
    let began = Instant::now();
    while pending(world).await > 0 {
        assert!(began.elapsed() < LIMIT, "the stores do not end");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// How many mailboxes the stores have yet to make. They are usable before: one that somebody needs is made at once.
async fn pending(world: &World) -> u64 {
    let stores = ListParams::default().labels("app.kubernetes.io/component=store");
    let mut pending = 0;
    for pod in world.api::<Pod>().list_metadata(&stores).await.expect("the stores") {
        let (namespace, name) = (&world.namespace, pod.name_any());
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:9100/proxy/status");
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let status: Value = world.client.request(request).await.expect("a store's status");
        pending += status["store"]["pending"].as_u64().expect("a figure");
    }
    pending
}

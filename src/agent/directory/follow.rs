//! Follows the directory's Secrets in the cluster.
//!
//! A client comes in; a [`Replica`] that is kept up to date goes out. It never gives up: without the API server, or
//! without the right to read, it goes on trying.

use std::{collections::BTreeMap, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Config,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Disk, Replica, keeper::Keeper};
use crate::names::SystemName;

/// A watch is opened anew this often, in seconds: a connection that died silently is noticed then.
const WATCH_SECONDS: u32 = 30;
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Starts following the directory of `system` as soon as there is a `client`, see [`in_cluster`]; what `disk` has is held
/// when this returns. Ends at `shutdown`. Must be called within a runtime.
#[must_use]
pub fn follow(
    system: SystemName,
    disk: Disk,
    client: impl Future<Output = Client> + Send + 'static,
    shutdown: CancellationToken,
) -> Replica {
    let replica = Replica::new(system.clone());
    let keeper = Keeper::start(system.clone(), replica.clone(), disk);
    tokio::spawn(shutdown.run_until_cancelled_owned(run(system, keeper, client)));
    replica
}

/// One task per Secret watches; one place takes what they see.
async fn run(system: SystemName, mut keeper: Keeper, client: impl Future<Output = Client>) {
    let secrets = Api::namespaced(client.await, &system.namespace);
    let (seen, mut inbox) = mpsc::channel(8);
    let mut watches = BTreeMap::new();
    loop {
        let parts = keeper.parts();
        watches.retain(|part, _| parts.contains(part));
        for part in parts {
            watches.entry(part).or_insert_with(|| {
                let watch = watch_secret(secrets.clone(), part, part.secret(&system), seen.clone());
                AbortOnDropHandle::new(tokio::spawn(watch))
            });
        }
        let Some((part, secret)) = inbox.recv().await else { return };
        // Decoding and fsync take milliseconds; what waits for an answer has threads of its own.
        keeper = match tokio::task::spawn_blocking(move || {
            keeper.take(part, secret);
            keeper
        })
        .await
        {
            Ok(keeper) => keeper,
            Err(_) => return,
        };
    }
}

/// Sends the Secret `name` each time that it is seen, with `tag`; `None` if it is not there. Ends when nobody listens.
pub(crate) async fn watch_secret<T: Copy>(
    secrets: Api<Secret>,
    tag: T,
    name: String,
    seen: mpsc::Sender<(T, Option<Secret>)>,
) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    // `Init` opens each try and would set the pauses back to the shortest, so that they never grew.
    let news = |event: &watcher::Result<_>| std::future::ready(!matches!(event, Ok(watcher::Event::Init)));
    let mut events = watcher(secrets, config).filter(news).backoff(pauses()).boxed();
    let mut listed = false;
    while let Some(event) = events.next().await {
        let secret = match event {
            Ok(watcher::Event::Init) => continue,
            Ok(watcher::Event::InitApply(secret)) => {
                listed = true;
                Some(secret)
            }
            Ok(watcher::Event::Apply(secret)) => Some(secret),
            Ok(watcher::Event::InitDone) if std::mem::take(&mut listed) => continue,
            Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => None,
            Err(error) => {
                tracing::warn!(secret = name, %error, "cannot be watched; trying again");
                continue;
            }
        };
        if seen.send((tag, secret)).await.is_err() {
            return;
        }
    }
}

fn pauses() -> watcher::ExponentialBackoff {
    backoff().into()
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
}

/// A client of the cluster this pod is in. Its files may come late, the API server need not be there.
pub async fn in_cluster() -> Client {
    let mut pauses = backoff().build();
    loop {
        match connect() {
            Ok(client) => return client,
            Err(error) => tracing::warn!(%error, "no client of the cluster; trying again"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

fn connect() -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = Config::incluster()?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 10));
    // The watcher has pauses of its own.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

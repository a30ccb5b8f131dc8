//! Looks at the stores of a system: its pods, what their agents say, and its Leases. Everything in it is bounded.
//!
//! Agents are asked for `/status`, not for `/role`: a store takes a question for its role as a sign that a gateway reaches it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{join, join_all};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, Client, Error, ResourceExt, api::ListParams};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    LeaseSeen, Shard, Store,
    board::{Board, Shards},
};
use crate::{
    names::{Component, ROLE_LABEL, SHARD_LABEL, SystemName},
    operator::mailbox,
    role::Report,
};

/// Longest wait for the API server. Without it the pods of the last look are asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// The Lease of a shard at rest is read this often.
const LEASES: Duration = Duration::from_secs(30);

/// What this needs of an agent's answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    role: Option<Report>,
}

/// What is known of the stores of a system; they are looked at if nothing is.
///
/// # Errors
/// The API server's, if nothing is known.
pub async fn known(client: &Client, board: &Board, name: &SystemName, shards: u32) -> Result<Shards, Error> {
    // Of a shard that was added since, nothing is known yet.
    if let Some(told) = board.told(name).filter(|told| told.len() == shards as usize) {
        return Ok(told);
    }
    let pods = pods(client, name).await?;
    let seen = ask(client, name, shards, (pods, &[])).await;
    board.put(name, seen.clone(), Instant::now());
    Ok(Arc::new(seen))
}

/// Looks at the stores of `shards` shards; `before` is what was seen last.
pub async fn look(client: &Client, name: &SystemName, shards: u32, before: &[Shard]) -> Vec<Shard> {
    let listed = timeout(PATIENCE, pods(client, name)).await;
    let pods = match listed {
        Ok(Ok(pods)) => pods,
        // Roles change without the API server, too.
        _ => {
            before.iter().flat_map(|shard| shard.stores.iter().map(|it| (shard.number, it.clone()))).collect()
        }
    };
    ask(client, name, shards, (pods, before)).await
}

async fn pods(client: &Client, name: &SystemName) -> Result<Vec<(u32, Store)>, Error> {
    let labels = name.selector(Component::Store);
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name.namespace);
    // From the API server's memory: what is a moment old is asked for again soon.
    let pods = pods.list(&ListParams::default().labels(&labels.join(",")).match_any()).await?;
    Ok(pods.items.iter().filter_map(store).collect())
}

/// A store pod, with its shard. One that is going away still serves, until it has handed over.
fn store(pod: &Pod) -> Option<(u32, Store)> {
    let shard = pod.labels().get(SHARD_LABEL)?.parse().ok()?;
    let store = Store {
        pod: pod.name_any(),
        uid: pod.uid()?,
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        label: pod.labels().get(ROLE_LABEL).cloned(),
        said: None,
        at: None,
    };
    Some((shard, store))
}

async fn ask(
    client: &Client,
    name: &SystemName,
    shards: u32,
    (pods, before): (Vec<(u32, Store)>, &[Shard]),
) -> Vec<Shard> {
    let mut of: Vec<Vec<Store>> = vec![Vec::new(); shards as usize];
    for (shard, store) in pods {
        if let Some(stores) = of.get_mut(shard as usize) {
            stores.push(store);
        }
    }
    let looks = (0..).zip(of).map(|(number, mut stores)| {
        stores.sort_by(|a, b| a.pod.cmp(&b.pod));
        let before = before.iter().find(|shard| shard.number == number);
        shard(client, name, (number, stores), before)
    });
    join_all(looks).await
}

async fn shard(
    client: &Client,
    name: &SystemName,
    (number, stores): (u32, Vec<Store>),
    before: Option<&Shard>,
) -> Shard {
    let (answers, read) =
        join(join_all(stores.iter().map(answer)), lease(client, name, number, before)).await;
    let now = Instant::now();
    let before_of = |store: &Store| before?.stores.iter().find(|old| old.pod == store.pod);
    let stores = stores.into_iter().zip(answers).map(|(store, answer)| {
        let old = before_of(&store);
        store.heard(answer, old, now)
    });
    Shard {
        number,
        stores: stores.collect(),
        lease: read.as_ref().map(|(lease, _)| lease.clone()),
        read: read.map(|(_, at)| at),
    }
}

async fn answer(store: &Store) -> Option<Report> {
    let answer: Answer = mailbox::get(store.ip.as_deref()?, "/status").await?;
    answer.role
}

/// The shard's Lease, and when it was read; the last one if it cannot be, or need not. None if there is none.
async fn lease(
    client: &Client,
    name: &SystemName,
    number: u32,
    before: Option<&Shard>,
) -> Option<(LeaseSeen, Instant)> {
    let old = before.and_then(|shard| Some((shard.lease.clone()?, shard.read?)));
    let rests = before.is_some_and(Shard::is_at_rest);
    if rests && old.as_ref().is_some_and(|(_, at)| at.elapsed() < LEASES) {
        return old;
    }
    let leases: Api<Lease> = Api::namespaced(client.clone(), &name.namespace);
    match timeout(PATIENCE, leases.get_opt(&name.store(number))).await {
        Ok(Ok(None)) => None,
        Ok(Ok(Some(lease))) => LeaseSeen::of(&lease).map(|lease| (lease, Instant::now())).or(old),
        _ => old,
    }
}

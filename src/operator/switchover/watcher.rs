//! The task: which systems are due, and what is done with what was seen.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Client, Resource, ResourceExt,
    runtime::{
        events::{Event, EventType},
        reflector::Store as Cache,
    },
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    Board, Shard, labels, look,
    turns::{Servers, Turn, servers, turns},
};
use crate::{
    api::MailSystem,
    names::SystemName,
    operator::{cluster::events::Events, guarded::Guarded},
};

/// Between looks while anything is not at rest.
const BUSY: Duration = Duration::from_secs(2);
/// Between looks at a system at rest.
const REST: Duration = Duration::from_secs(5);
/// Due systems are looked for this often.
const TICK: Duration = Duration::from_millis(500);
/// Systems looked at at the same time.
const CONCURRENCY: usize = 8;
/// Longest wait for the API server to take a system's labels, or an Event.
const PATIENCE: Duration = Duration::from_secs(5);
/// After labels could not be written.
const AGAIN: Duration = Duration::from_secs(30);

/// See the module.
pub struct Watcher {
    client: Client,
    events: Events,
    board: Arc<Board>,
    systems: Cache<Guarded<MailSystem>>,
    /// Counts what status should say anew.
    news: watch::Sender<u64>,
    known: HashMap<SystemName, Known>,
}

/// What is known of a system besides what was seen.
struct Known {
    due: Instant,
    servers: Servers,
    /// No label is written before this.
    labels: Instant,
}

/// A look at a system.
struct Seen {
    name: SystemName,
    object: Arc<Guarded<MailSystem>>,
    shards: Vec<Shard>,
}

impl Watcher {
    /// Of the systems in `systems`; `news` changes when the status of one of them has something new to say.
    #[must_use]
    pub fn new(
        client: Client,
        events: Events,
        board: Arc<Board>,
        systems: Cache<Guarded<MailSystem>>,
        news: watch::Sender<u64>,
    ) -> Self {
        Self { client, events, board, systems, news, known: HashMap::new() }
    }

    /// Looks, without end.
    pub async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = self.due(Instant::now());
            let looks = due.into_iter().map(|(name, object, shards)| {
                let (client, before) = (self.client.clone(), self.board.seen(&name));
                async move {
                    let before = before.as_deref().map_or(&[][..], Vec::as_slice);
                    let shards = look(&client, &name, shards, before).await;
                    Seen { name, object, shards }
                }
            });
            let seen: Vec<_> = stream::iter(looks).buffer_unordered(CONCURRENCY).collect().await;
            for seen in seen {
                self.take(seen).await;
            }
        }
    }

    /// The systems to be looked at now, each with the number of its shards; what is not wanted any more is forgotten.
    fn due(&mut self, now: Instant) -> Vec<(SystemName, Arc<Guarded<MailSystem>>, u32)> {
        let mut wanted = HashSet::new();
        let mut due = Vec::new();
        for object in self.systems.state() {
            let Ok(system) = &object.0 else {
                // What cannot be read stands as it is.
                let meta = object.meta();
                wanted.insert(SystemName::new(
                    meta.namespace.clone().unwrap_or_default(),
                    meta.name.clone().unwrap_or_default(),
                ));
                continue;
            };
            if system.spec.store.replicas < 2 || system.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let name = SystemName::new(system.namespace().unwrap_or_default(), system.name_any());
            wanted.insert(name.clone());
            let known = self.known.entry(name.clone()).or_insert_with(|| Known {
                due: now,
                servers: servers(system.status.as_ref()),
                labels: now,
            });
            if known.due <= now {
                let shards = system.spec.store.shards;
                due.push((name, object, shards));
            }
        }
        self.known.retain(|name, _| wanted.contains(name));
        self.board.keep(|name| wanted.contains(name));
        due
    }

    /// Takes what was seen: labels, Events, status.
    async fn take(&mut self, seen: Seen) {
        let Seen { name, object, shards } = seen;
        let now = Instant::now();
        let Some(known) = self.known.get_mut(&name) else { return };
        let rests = shards.iter().all(Shard::is_at_rest);
        known.due = now + if rests { REST } else { BUSY };
        let turns = turns(&mut known.servers, &shards);
        if self.board.put(&name, shards.clone(), now) {
            self.news.send_modify(|count| *count += 1);
        }
        // What hangs keeps nobody from being looked at.
        let labels = timeout(PATIENCE, write_labels(&self.client, &name, &shards));
        if known.labels <= now && !labels.await.unwrap_or(false) {
            known.labels = now + AGAIN;
        }
        for turn in turns {
            tracing::info!(system = %name, "{}", turn.note);
            if let Ok(system) = &object.0 {
                let _ = timeout(PATIENCE, self.events.publish(&system.object_ref(&()), event(turn))).await;
            }
        }
    }
}

/// Writes labels that differ; whether that went well.
async fn write_labels(client: &Client, name: &SystemName, shards: &[Shard]) -> bool {
    for (store, role) in shards.iter().flat_map(labels::wanted) {
        if let Err(error) = labels::write(client, &name.namespace, store, role).await {
            tracing::warn!(pod = store.pod, role, %error, "a pod's role cannot be written to its label");
            return false;
        }
    }
    true
}

fn event(turn: Turn) -> Event {
    Event {
        type_: if turn.warning { EventType::Warning } else { EventType::Normal },
        reason: turn.reason.to_owned(),
        note: Some(turn.note),
        action: turn.action,
        secondary: None,
    }
}

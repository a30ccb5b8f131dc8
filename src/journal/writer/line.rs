//! The writer's work: batches of entries become numbered segments, a few of which are on their way at a time.

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Durability, Health, Settings, Waiting, backlog::Backlog};
use crate::journal::{
    Name, seal,
    storage::{Storage, StorageError},
};

/// Segments on their way at a time. Two were enough on a quick server; more help on a slow one.
const ON_THEIR_WAY: usize = 4;
/// A segment takes no more entries above this size in bytes.
const SIZE: usize = 8 << 20;
/// Nor above this number.
const ENTRIES: usize = 1000;
/// Under Preferred, object storage is waited for so long, and longer by a second for each MiB.
const PREFERRED: Duration = Duration::from_secs(4);
/// Without mail, object storage is tried this often.
const CHECK: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Line {
    settings: Settings,
    series: String,
    number: u64,
    way: Way,
}

/// How a segment becomes durable.
#[derive(Clone)]
struct Way {
    durability: Durability,
    storage: Storage,
    backlog: Backlog,
    health: Health,
}

type Kept = Vec<oneshot::Sender<()>>;

impl Line {
    pub(super) fn new(
        settings: Settings,
        series: String,
        storage: Storage,
        backlog: Backlog,
        health: Health,
    ) -> Self {
        let way = Way { durability: settings.durability, storage, backlog, health };
        Self { settings, series, number: 0, way }
    }

    /// Works until nobody can write any more. Nothing outlives it: when it is dropped, writing ends.
    pub(super) async fn run(self, queue: mpsc::Receiver<Waiting>) {
        let (way, pod) = (self.way.clone(), self.settings.pod.clone());
        tokio::select! {
            () = self.write(queue) => {}
            () = way.upload() => {}
            () = way.check(&pod) => {}
        }
    }

    async fn write(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut on_their_way = FuturesOrdered::new();
        loop {
            tokio::select! {
                Some(first) = queue.recv(), if on_their_way.len() < ON_THEIR_WAY => {
                    if let Some((name, content, kept)) = self.segment(batch(first, &mut queue)).await {
                        let landing = tokio::spawn(self.way.clone().land(name, content, kept.len()));
                        let landing = AbortOnDropHandle::new(landing);
                        on_their_way.push_back(async move { landing.await.map(|()| kept) });
                    }
                }
                Some(landed) = on_their_way.next() => {
                    for kept in landed.into_iter().flatten() {
                        // Whoever gave up waiting is not there any more.
                        let _ = kept.send(());
                    }
                }
                else => return,
            }
        }
    }

    /// A segment of these entries; none if nobody waits for them any more, or if it cannot be made.
    async fn segment(&mut self, batch: Vec<Waiting>) -> Option<(Name, Vec<Bytes>, Kept)> {
        let (entries, kept): (Vec<_>, Kept) =
            batch.into_iter().filter(|it| !it.kept.is_closed()).map(|it| (it.entry, it.kept)).unzip();
        let name = Name::new(&self.series, self.number + 1).filter(|_| !entries.is_empty())?;
        let (sealed, keys) = (name.clone(), self.settings.keys.clone());
        let work = tokio::task::spawn_blocking(move || seal(&sealed, entries, &keys)).await;
        match work.map_err(|error| error.to_string()).and_then(|it| it.map_err(|error| error.to_string())) {
            Ok(content) => {
                self.number += 1;
                Some((name, content, kept))
            }
            Err(error) => {
                self.way.health.failed(&StorageError { reason: "Unusable".to_owned(), message: error });
                None
            }
        }
    }
}

/// What waits already, up to a segment's size.
fn batch(first: Waiting, queue: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let size = |it: &Waiting| it.entry.message.iter().map(Bytes::len).sum::<usize>();
    let mut total = size(&first);
    let mut batch = vec![first];
    while total < SIZE && batch.len() < ENTRIES {
        let Ok(next) = queue.try_recv() else { break };
        total += size(&next);
        batch.push(next);
    }
    batch
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}

impl Way {
    /// Returns once the segment is durable. What was begun is ended, whoever has given up waiting: the number is taken.
    async fn land(self, name: Name, content: Vec<Bytes>, entries: usize) {
        let began = Instant::now();
        for pause in pauses() {
            if self.try_to_land(&name, &content).await {
                return self.health.kept(entries, began.elapsed());
            }
            sleep(pause).await;
        }
    }

    async fn try_to_land(&self, name: &Name, content: &[Bytes]) -> bool {
        let preferred = self.durability == Durability::Preferred;
        let behind = preferred && (self.backlog.size().0 > 0 || self.health.is_failing());
        if !behind && self.put(name, content, preferred).await {
            return true;
        }
        if !preferred {
            return false;
        }
        let added = self.backlog.add(name, content).await;
        added.map_err(|error| self.health.volume_failed(error.to_string())).is_ok()
    }

    async fn put(&self, name: &Name, content: &[Bytes], hurry: bool) -> bool {
        let size: usize = content.iter().map(Bytes::len).sum();
        let limit = PREFERRED + Duration::from_secs((size >> 20) as u64);
        let put = self.storage.put(name, content);
        let done = if hurry {
            timeout(limit, put).await.unwrap_or_else(|_| {
                let message = format!("it did not take a segment within {} s", limit.as_secs());
                Err(StorageError { reason: "Timeout".to_owned(), message })
            })
        } else {
            put.await
        };
        self.note(done)
    }

    fn note(&self, done: Result<(), StorageError>) -> bool {
        let ok = done.is_ok();
        match done {
            Ok(()) => self.health.wrote(),
            Err(error) => self.health.failed(&error),
        }
        ok
    }

    /// Brings the backlog to object storage, in order.
    async fn upload(&self) {
        let mut pause = pauses();
        loop {
            let name = self.backlog.oldest().await;
            let content = match self.backlog.read(&name).await {
                Ok(content) => content,
                Err(error) => {
                    self.health
                        .volume_failed(format!("segment {name} of the backlog cannot be read: {error}"));
                    sleep(CHECK).await;
                    continue;
                }
            };
            let stored = self.put(&name, &[content], false).await;
            if stored && self.backlog.remove(&name).await.is_ok() {
                tracing::info!(segment = %name, "a segment of the backlog is in object storage");
                pause = pauses();
            } else {
                sleep(pause.next().unwrap_or(CHECK)).await;
            }
        }
    }

    /// Tries object storage while no mail does, so that trouble is known before mail comes.
    async fn check(&self, pod: &str) {
        loop {
            if self.health.is_failing() || self.health.since_written().is_none_or(|since| since >= CHECK) {
                self.note(self.storage.check(pod).await);
            }
            sleep(if self.health.is_failing() { CHECK / 6 } else { CHECK }).await;
        }
    }
}

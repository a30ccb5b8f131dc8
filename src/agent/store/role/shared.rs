//! What the parts of the role share: the memory, the volume, and the way to the other store.
//!
//! Memory is read and changed for moments only. The disk is changed by one at a time, and a change stands in memory only
//! once it is synced; while a write hangs no other begins, so that none overtakes it.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    beat::Beat,
    clock,
    memory::Memory,
    peer::PeerClient,
    volume::{Record, Volume},
    watchdog::Watchdog,
};
use crate::{
    failover::{Activity, Epoch, Pod, Timings, View},
    role::{Lag, Progress},
};

/// Longest wait for a write of the role: below the fencing time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(4);

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    timings: Timings,
    pods: [String; 2],
    memory: Mutex<Memory>,
    words: Mutex<Words>,
    volume: Volume,
    writing: Arc<AsyncMutex<()>>,
    wake: Notify,
    run: u64,
    numbers: AtomicU64,
    peer: PeerClient,
    watchdog: Watchdog,
}

/// What is said beside the figures of the decision.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// What is being done, or waited for.
    pub message: String,
    /// What the replica lacks.
    pub lag: Option<Lag>,
    /// How far seeding or comparing is.
    pub progress: Option<Progress>,
    /// What a former primary had alone is being carried over.
    pub returning: bool,
}

/// What [`Shared::new`] is made of.
pub struct Parts {
    /// The periods.
    pub timings: Timings,
    /// Names of both pods, by ordinal.
    pub pods: [String; 2],
    /// What is known at the start.
    pub memory: Memory,
    /// The volume.
    pub volume: Volume,
    /// A random number for this run of the agent.
    pub run: u64,
    /// The other store.
    pub peer: PeerClient,
    /// Kills Cyrus if the agent cannot.
    pub watchdog: Watchdog,
}

impl Shared {
    /// Of an agent that starts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { timings, pods, memory, volume, run, peer, watchdog } = parts;
        Self(Arc::new(Inner {
            timings,
            pods,
            memory: Mutex::new(memory),
            words: Mutex::default(),
            volume,
            writing: Arc::default(),
            wake: Notify::new(),
            run,
            numbers: AtomicU64::new(0),
            peer,
            watchdog,
        }))
    }

    /// The periods.
    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// Names of both pods, by ordinal.
    #[must_use]
    pub fn pods(&self) -> &[String; 2] {
        &self.0.pods
    }

    /// The name of a pod.
    #[must_use]
    pub fn name(&self, pod: Pod) -> &str {
        &self.0.pods[pod.ordinal()]
    }

    /// This run of the agent.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.0.run
    }

    /// The epoch in which this store serves now.
    #[must_use]
    pub fn serves(&self) -> Option<Epoch> {
        let memory = self.memory();
        (memory.activity == Activity::Serving).then_some(memory.record.disk.epoch)
    }

    /// The other store.
    #[must_use]
    pub fn peer(&self) -> &PeerClient {
        &self.0.peer
    }

    /// The volume.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.0.volume
    }

    /// The watchdog.
    #[must_use]
    pub fn watchdog(&self) -> &Watchdog {
        &self.0.watchdog
    }

    /// What is known. To be held for moments.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said. To be held for moments.
    pub fn words(&self) -> MutexGuard<'_, Words> {
        self.0.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is being done.
    pub fn say(&self, message: impl Into<String>) {
        self.words().message = message.into();
    }

    /// What a decision is made of now.
    #[must_use]
    pub fn view(&self) -> View {
        self.memory().view(clock::now(), clock::unix(), &self.0.timings)
    }

    /// What this store says of itself now.
    #[must_use]
    pub fn beat(&self) -> Beat {
        let memory = self.memory();
        // Numbered under the lock, so that a later number never says something older.
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        Beat::of(&memory.standing(clock::now()), memory.channel(), (self.0.run, number))
    }

    /// Something changed that a decision may depend on.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Waits for such a change, at most `within`.
    pub async fn woken(&self, within: Duration) {
        let _ = timeout(within, self.0.wake.notified()).await;
    }

    /// The other store or the Lease answered what was sent at `sent`.
    pub fn in_contact(&self, sent: Duration) {
        let mut memory = self.memory();
        memory.contact = memory.contact.max(sent);
        if memory.activity == Activity::Serving {
            self.0.watchdog.extend(memory.contact + self.0.timings.fencing);
        }
    }

    /// Takes the turn to change what is on the disk.
    pub async fn turn(&self) -> Turn {
        Turn { shared: self.clone(), guard: self.0.writing.clone().lock_owned().await }
    }

    /// Changes what is on the disk.
    ///
    /// # Errors
    /// It is not certain to be there; memory has what was before.
    pub async fn change(&self, change: impl FnOnce(Record) -> Record) -> io::Result<()> {
        let turn = timeout(WRITTEN_WITHIN, self.turn()).await.map_err(|_| io::ErrorKind::TimedOut)?;
        let record = change(turn.record());
        turn.write(record).await
    }
}

/// The turn to change what is on the disk: nobody else does meanwhile.
pub struct Turn {
    shared: Shared,
    guard: OwnedMutexGuard<()>,
}

impl Turn {
    /// What is on the disk.
    #[must_use]
    pub fn record(&self) -> Record {
        self.shared.memory().record
    }

    /// Writes and syncs `record`, and then has it in memory.
    ///
    /// # Errors
    /// It is not certain to be on the disk; memory has what was before.
    pub async fn write(self, record: Record) -> io::Result<()> {
        let Self { shared, guard } = self;
        if shared.memory().record == record {
            return Ok(());
        }
        let volume = shared.volume().clone();
        let writing = spawn_blocking(move || {
            let written = volume.write(&record);
            (written, guard)
        });
        let (written, _guard) = timeout(WRITTEN_WITHIN, writing)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
            .map_err(io::Error::other)?;
        written?;
        shared.memory().record = record;
        Ok(())
    }
}

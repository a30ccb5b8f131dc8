//! Carries out the stages of the channel while this store is primary.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    backlog::{Backlog, FOLDER, Mark},
    processes,
    stage::{Comparison, Facts, Replica, Stage, Step, next},
    tools,
    trouble::{Trouble, external},
};
use crate::{
    agent::store::role::{Beat, Daemon, Shared, Told, clock},
    failover::Epoch,
    role::{Lag, Progress},
};

/// Looked at this often, and whenever Cyrus logs trouble.
const PERIOD: Duration = Duration::from_millis(250);
/// The log is measured this often.
const MEASURED: Duration = Duration::from_secs(1);
/// Longest wait for the replica's word that it was told.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
/// Between two comparisons, or two attempts to tell, of which the first failed.
const AGAIN: Duration = Duration::from_secs(2);
/// A mailbox is mended at most this often.
const MENDED: Duration = Duration::from_mins(1);

type Troubles = mpsc::UnboundedReceiver<Trouble>;

/// What outlives a period as primary: Cyrus' trouble, and the words for why the replica lacks something. Clones share it.
#[derive(Clone)]
pub struct Channel {
    troubles: Arc<AsyncMutex<Troubles>>,
    words: Arc<Mutex<String>>,
}

impl Channel {
    /// That takes what [`of`](super::of) made of Cyrus' log.
    #[must_use]
    pub fn new(troubles: Troubles) -> Self {
        Self { troubles: Arc::new(AsyncMutex::new(troubles)), words: Arc::default() }
    }

    /// Why the replica does not have everything.
    #[must_use]
    pub fn words(&self) -> String {
        self.lock().clone()
    }

    /// A period as primary begins: nothing is known of a replica.
    pub fn begin(&self, epoch: Epoch) {
        tracing::debug!(epoch = epoch.number(), "no replica follows yet");
        self.say("no replica follows");
    }

    fn say(&self, words: impl Into<String>) {
        *self.lock() = words.into();
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings the replica up to date and keeps it so, until it is dropped: while this store serves `epoch`.
pub async fn run(shared: Shared, daemon: Daemon, channel: Channel, epoch: Epoch) {
    let mut troubles = channel.troubles.clone().lock_owned().await;
    // Of a period that is over.
    while troubles.try_recv().is_ok() {}
    let mut sending = Sending::new(shared, daemon, channel, epoch);
    loop {
        sending.take(&mut troubles).await;
        sending.step().await;
    }
}

/// One period as primary.
struct Sending {
    shared: Shared,
    daemon: Daemon,
    channel: Channel,
    epoch: Epoch,
    stage: Stage,
    /// The run of the replica that the stage is about.
    run: Option<u64>,
    /// The comparison with that run.
    comparison: Option<AbortOnDropHandle<io::Result<()>>>,
    compared: Comparison,
    /// No comparison and no word to the replica before this.
    hold: Duration,
    mark: Option<Mark>,
    /// Since when it drains, without a comparison in between.
    since: Duration,
    /// When the replica said last that it was told, or was told.
    told: Duration,
    trouble: bool,
    backlog: Option<Backlog>,
    lag: Lag,
    measured: Duration,
    mending: JoinSet<()>,
    mended: HashMap<String, Duration>,
}

impl Sending {
    fn new(shared: Shared, daemon: Daemon, channel: Channel, epoch: Epoch) -> Self {
        Self {
            shared,
            daemon,
            channel,
            epoch,
            stage: Stage::Away,
            run: None,
            comparison: None,
            compared: Comparison::None,
            hold: Duration::ZERO,
            mark: None,
            since: Duration::ZERO,
            told: Duration::ZERO,
            trouble: false,
            backlog: None,
            lag: Lag::default(),
            measured: Duration::ZERO,
            mending: JoinSet::new(),
            mended: HashMap::new(),
        }
    }

    /// The last beat of the replica, if it takes what is sent in this epoch.
    fn replica(&self) -> Option<Beat> {
        let view = self.shared.view();
        view.talking()?;
        let (beat, ..) = self.shared.memory().peer.beat?;
        (beat.channel.ready == Some(self.epoch.number())).then_some(beat)
    }

    /// Waits for the next look, and takes what Cyrus logged meanwhile.
    async fn take(&mut self, troubles: &mut OwnedMutexGuard<Troubles>) {
        let first = timeout(PERIOD, troubles.recv()).await;
        let Ok(Some(first)) = first else {
            if first.is_ok() {
                // Nobody logs any more: the agent ends.
                sleep(PERIOD).await;
            }
            return;
        };
        self.note(first);
        while let Ok(trouble) = troubles.try_recv() {
            self.note(trouble);
        }
    }

    fn note(&mut self, trouble: Trouble) {
        let (replica, now) = (self.replica(), clock::now());
        self.trouble = true;
        match trouble {
            Trouble::Unsent { pid } if replica.is_some() => processes::end(pid),
            Trouble::Stalled { mailbox: Some(mailbox) } if replica.is_some() => {
                self.mended.retain(|_, at| now.saturating_sub(*at) < MENDED);
                if let Some(name) = external(&mailbox).filter(|_| !self.mended.contains_key(&mailbox)) {
                    self.mended.insert(mailbox, now);
                    self.mending.spawn(mend(name));
                }
            }
            Trouble::Unsent { .. } | Trouble::Stalled { .. } => {}
        }
        while self.mending.try_join_next().is_some() {}
    }

    async fn step(&mut self) {
        let beat = self.replica();
        self.measure(beat.is_some());
        let facts = self.facts(beat.as_ref()).await;
        self.trouble = false;
        match (next(self.stage, &facts), beat) {
            (Step::Stay, _) => {}
            (Step::Leave, _) | (_, None) => self.leave(),
            (Step::Compare, Some(beat)) => self.compare(beat.run),
            (Step::Arm, Some(beat)) => {
                self.daemon.reload().await;
                self.meet(beat.run);
                self.since = clock::now();
                self.drain();
            }
            (Step::Drain, Some(_)) => {
                if self.stage == Stage::InSync {
                    self.since = clock::now();
                }
                self.drain();
            }
            (Step::Tell, Some(beat)) => self.tell(beat.run).await,
        }
    }

    /// How far the channel is behind; unknown while nobody takes anything.
    fn measure(&mut self, follows: bool) {
        let now = clock::now();
        if !follows {
            (self.backlog, self.lag) = (None, Lag::default());
            self.shared.words().lag = None;
        } else if now.saturating_sub(self.measured) >= MEASURED {
            self.measured = now;
            let backlog = self.backlog.get_or_insert_with(|| Backlog::new(Path::new(FOLDER), now));
            self.lag = backlog.lag(now);
            self.shared.words().lag = Some(self.lag);
        }
    }

    async fn facts(&mut self, beat: Option<&Beat>) -> Facts {
        let now = clock::now();
        if let Some(comparison) = self.comparison.take_if(|it| it.is_finished()) {
            self.compared = match comparison.await {
                Ok(Ok(())) => Comparison::Done,
                Ok(Err(error)) => self.failed(&error),
                Err(error) => self.failed(&error),
            };
            self.shared.words().progress = None;
        }
        let standing = beat.and_then(|beat| beat.standing().ok());
        if standing.is_some_and(|standing| standing.told_in_sync == Some(self.epoch)) {
            self.told = now;
        }
        let same = beat.is_some_and(|beat| self.run == Some(beat.run));
        Facts {
            replica: beat.map(|beat| Replica { same, compare: beat.channel.compare }),
            comparison: self.compared,
            trouble: self.trouble,
            lag: Duration::from_secs(self.lag.seconds),
            passed: self.mark.as_ref().is_some_and(Mark::is_passed),
            draining: now.saturating_sub(self.since),
            untold: now.saturating_sub(self.told),
        }
    }

    fn failed(&mut self, error: &dyn std::fmt::Display) -> Comparison {
        tracing::warn!(%error, "the stores cannot be compared, will try again");
        self.channel
            .say(format!("comparing all mailboxes with the replica failed and is tried again: {error}"));
        self.hold = clock::now() + AGAIN;
        Comparison::Failed
    }

    /// Another run of the replica than before: what is known of the former is forgotten.
    fn meet(&mut self, run: u64) {
        if self.run != Some(run) {
            self.run = Some(run);
            (self.comparison, self.compared) = (None, Comparison::None);
        }
    }

    fn leave(&mut self) {
        (self.run, self.mark, self.comparison) = (None, None, None);
        self.compared = Comparison::None;
        self.enter(Stage::Away);
        self.shared.words().progress = None;
        self.channel.say("no replica follows");
    }

    fn compare(&mut self, run: u64) {
        let now = clock::now();
        self.meet(run);
        self.enter(Stage::Comparing);
        if now < self.hold {
            return;
        }
        tracing::info!("all mailboxes are compared with the replica");
        self.channel.say("all mailboxes are compared with the replica");
        self.compared = Comparison::Running;
        let (shared, total) = (self.shared.clone(), self.daemon.mailboxes());
        let work = async move {
            let done = AtomicU64::new(0);
            shared.words().progress = Some(Progress { done: 0, total });
            tools::compare_all(|| {
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                shared.words().progress = Some(Progress { done, total: total.max(done) });
            })
            .await
        };
        self.comparison = Some(AbortOnDropHandle::new(tokio::spawn(work)));
    }

    fn drain(&mut self) {
        self.enter(Stage::Draining);
        self.channel.say("the replica gets what changed last");
        self.mark = Some(Mark::new(Path::new(FOLDER), clock::now()));
    }

    /// Whatever is no more "in sync" is said to be so at once.
    fn enter(&mut self, stage: Stage) {
        if self.stage != stage {
            tracing::info!(from = ?self.stage, to = ?stage, "the replica");
        }
        self.stage = stage;
        let replicated = stage == Stage::InSync;
        let before = std::mem::replace(&mut self.shared.memory().replicated, replicated);
        if before != replicated {
            self.shared.wake();
        }
    }

    async fn tell(&mut self, run: u64) {
        if clock::now() < self.hold {
            return;
        }
        let told = Told { epoch: self.epoch.number(), run };
        match self.shared.peer().ask::<()>("/told", &told, TOLD_WITHIN).await {
            Ok(()) => {
                self.told = clock::now();
                self.channel.say("");
                self.enter(Stage::InSync);
            }
            Err(error) => {
                tracing::info!(%error, "the replica cannot be told that it has everything");
                self.hold = clock::now() + AGAIN;
            }
        }
    }
}

async fn mend(mailbox: String) {
    tracing::warn!(mailbox, "a mailbox stops the channel to the replica, and is mended");
    if let Err(error) = tools::reconstruct(&mailbox).await {
        tracing::error!(mailbox, %error, "it cannot be mended");
    }
}

//! Makes Cyrus agree with the directory, by administrator's commands over IMAP on the loopback.
//!
//! The directory comes in; mailboxes, quotas and folders appear in Cyrus. It never deletes and never renames: a mailbox
//! that left the directory stays where it is, and nobody reaches it.
//!
//! ```text
//!  directory ─changed─▶ plan ─▶ bulk ─┐
//!  Cyrus ─survey─▶ inventory ┘        ├─▶ workers ─▶ Cyrus, inventory
//!  door, log-in ─ensure─▶ urgent ─────┘
//! ```
//!
//! The inventory is read whole when Cyrus has started and once an hour, so that drift is mended; in between it is kept
//! by what the workers do. A delivery or a log-in does not wait for its mailbox's turn: [`Provisioner::ensure`] jumps
//! the queue.

mod client;
mod names;
mod plan;
mod state;
mod survey;
mod worker;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use client::Access;
use plan::disagreements;
pub use state::Failure;
use state::State;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use super::metrics::Metrics;
use crate::agent::directory::Replica;

/// Connections over which Cyrus is changed. It makes 50 mailboxes a second over one, 85 over four.
const WORKERS: usize = 4;
/// This many more do what somebody waits for and nothing else, so that it does not wait for a planned one to end.
const URGENT_WORKERS: usize = 2;
/// Longest that a delivery or a log-in waits for its mailbox.
const ENSURE_WITHIN: Duration = Duration::from_secs(10);
/// What failed is tried again this often.
const REPLAN: Duration = Duration::from_mins(1);
/// Drift is looked for this often.
const RESURVEY: Duration = Duration::from_hours(1);
/// A burst of changes of the directory is planned for once.
const GATHER: Duration = Duration::from_millis(200);
/// Pause before Cyrus is asked again after it could not be, and how many tries go by between words about it.
const RETRY: (Duration, u32) = (Duration::from_millis(250), 40);

/// Makes Cyrus agree with the directory. Clones share it.
#[derive(Clone)]
pub struct Provisioner(Arc<Shared>);

struct Shared {
    replica: Replica,
    shard: u32,
    access: Access,
    metrics: Metrics,
    state: Mutex<State>,
    work: Notify,
    surveyed: watch::Sender<bool>,
}

impl Provisioner {
    /// For the mailboxes that `replica` has in `shard`.
    #[must_use]
    pub fn new(replica: Replica, shard: u32, access: Access, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            replica,
            shard,
            access,
            metrics,
            state: Mutex::default(),
            work: Notify::new(),
            surveyed: watch::Sender::new(false),
        }))
    }

    /// One that has found these mailboxes in Cyrus, and cannot ask it for more.
    #[cfg(test)]
    pub(super) fn that_found(replica: Replica, addresses: &[&str]) -> Self {
        let password = super::password::AdminPassword::random().unwrap();
        let access = Access { address: ([127, 0, 0, 1], 1).into(), password };
        let provisioner = Self::new(replica, 0, access, Metrics::default());
        let found = addresses.iter().map(|address| ((*address).to_owned(), plan::Have::default()));
        provisioner.0.state().surveyed(found.collect());
        provisioner
    }

    /// Returns once Cyrus has the mailbox of `address` (a mailbox's own, folded); at once if it has it already.
    ///
    /// # Errors
    /// It does not have it, for one of the reasons of [`Failure`]; all but [`Failure::NotHere`] may pass.
    pub async fn ensure(&self, address: &str) -> Result<(), Failure> {
        let has = || self.0.state().inventory().contains_key(address);
        if has() {
            return Ok(());
        }
        let work = async {
            // The sender lives in `self`, so this cannot fail.
            let _ = self.0.surveyed.subscribe().wait_for(|surveyed| *surveyed).await;
            if has() {
                return Ok(());
            }
            let answer = self.0.state().ask(address);
            self.0.work.notify_waiters();
            answer.await.unwrap_or_else(|_| Err(Failure::Unavailable("stopping".into())))
        };
        timeout(ENSURE_WITHIN, work).await.unwrap_or(Err(Failure::Late))
    }

    /// Forgets that Cyrus has the mailbox of `address`: Cyrus said that it does not.
    pub fn forget(&self, address: &str) {
        self.0.state().forget(address);
    }

    /// How many mailboxes Cyrus has, and how many it does not have as wanted.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.0.state();
        (state.inventory().len(), state.pending())
    }

    /// Works until it is dropped. `starts` counts the starts of Cyrus.
    pub async fn run(self, mut starts: watch::Receiver<u64>) {
        // Nobody answers before. The sender outlives us, so this cannot fail.
        let _ = starts.wait_for(|starts| *starts > 0).await;
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS + URGENT_WORKERS {
            workers.spawn(worker::work(self.0.clone(), worker < URGENT_WORKERS));
        }
        let mut changed = self.0.replica.changed();
        let mut replan = interval(REPLAN);
        let mut resurvey = interval(RESURVEY);
        loop {
            starts.mark_unchanged();
            self.survey().await;
            resurvey.reset();
            loop {
                self.plan().await;
                replan.reset();
                tokio::select! {
                    _ = changed.changed() => sleep(GATHER).await,
                    _ = replan.tick() => {}
                    _ = starts.changed() => break,
                    _ = resurvey.tick() => break,
                }
            }
        }
    }

    async fn survey(&self) {
        for attempt in 1_u32.. {
            match survey::inventory(&self.0.access).await {
                Ok(inventory) => {
                    tracing::info!(mailboxes = inventory.len(), "read what Cyrus has");
                    self.0.state().surveyed(inventory);
                    self.0.surveyed.send_replace(true);
                    return;
                }
                Err(error) if attempt % RETRY.1 == 0 => {
                    tracing::warn!(%error, "cannot read what Cyrus has, trying again");
                }
                Err(_) => {}
            }
            sleep(RETRY.0).await;
        }
    }

    async fn plan(&self) {
        let wanted = self.0.replica.mailboxes_of_store(self.0.shard);
        let unknown = survey::without_quota(&wanted, self.0.state().inventory());
        match survey::quotas(&self.0.access, unknown).await {
            Ok(quotas) => self.0.state().quotas(quotas),
            Err(error) => tracing::warn!(%error, "cannot read quotas, will try again"),
        }
        let mut state = self.0.state();
        let addresses = disagreements(&wanted, state.inventory());
        if !addresses.is_empty() {
            tracing::info!(mailboxes = addresses.len(), "Cyrus does not agree with the directory yet");
        }
        if let Some((address, failure)) = state.planned(addresses) {
            tracing::warn!(address, %failure, "some mailboxes failed, this one for example; will try again");
        }
        drop(state);
        self.0.count();
        self.0.work.notify_waiters();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) {
        let state = self.state();
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.mailboxes.set(gauge(state.inventory().len()));
        self.metrics.mailboxes_pending.set(gauge(state.pending()));
    }
}

//! Makes Cyrus agree with the directory, by administrator's commands over IMAP on the loopback.
//!
//! The directory comes in; mailboxes, quotas and folders appear in Cyrus. Whose mail a mailbox holds is recorded there
//! ([`plan`]): it follows its owner to another address and out of the way, and is nobody else's. Only mail that the
//! directory says to purge is deleted: what merely left the directory stays where it is, and nobody reaches it.
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
mod inventory;
mod lists;
mod names;
mod plan;
#[cfg(test)]
mod plan_tests;
mod share;
mod shares;
mod state;
mod survey;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use client::{Access, Client, Error as ClientError, Outcome};
pub use names::{MailboxName, Owned};
use plan::{Wanted, disagreements};
use serde_json::{Value, json};
use state::State;
pub use state::{Failure, Need};
use tokio::{
    sync::{Notify, RwLock, mpsc, watch},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use super::{metrics::Metrics, role::Service};
use crate::{
    agent::directory::Replica,
    directory::{Keeping, Refusal},
};

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
    /// Cyrus has something else than we thought.
    stale: Notify,
    /// Held alone while mail is moved, shared while a mailbox is made.
    moving: RwLock<()>,
    surveyed: watch::Sender<bool>,
    /// Whoever may see less than before, so that open sessions end.
    shut_out: mpsc::UnboundedSender<String>,
}

impl Provisioner {
    /// For the mailboxes that `replica` has in `shard`. Those who may see less of one than before go to `shut_out`.
    #[must_use]
    pub fn new(
        replica: Replica,
        shard: u32,
        access: Access,
        metrics: Metrics,
        shut_out: mpsc::UnboundedSender<String>,
    ) -> Self {
        Self(Arc::new(Shared {
            replica,
            shard,
            access,
            metrics,
            state: Mutex::default(),
            work: Notify::new(),
            stale: Notify::new(),
            moving: RwLock::new(()),
            surveyed: watch::Sender::new(false),
            shut_out,
        }))
    }

    /// One that has found these mailboxes in Cyrus, and cannot ask it for more.
    #[cfg(test)]
    pub(super) fn that_found(replica: Replica, addresses: &[&str]) -> Self {
        let password = super::password::AdminPassword::random().unwrap();
        let access = Access { address: ([127, 0, 0, 1], 1).into(), password };
        Self::that_found_in(access, replica, addresses)
    }

    /// One that has found these mailboxes in this Cyrus.
    #[cfg(test)]
    pub(super) fn that_found_in(access: Access, replica: Replica, addresses: &[&str]) -> Self {
        let provisioner = Self::new(replica, 0, access, Metrics::default(), mpsc::unbounded_channel().0);
        let mut found = inventory::Inventory::default();
        for address in addresses {
            let uid = address.split('@').next().unwrap();
            let have = inventory::Have {
                owner: Some(uid.into()),
                furnished: true,
                shares: Some(Vec::new()),
                ..Default::default()
            };
            found.insert(address, have);
        }
        provisioner.0.state().surveyed(found, 0);
        provisioner
    }

    /// The unique ids of the folders of a mailbox; see [`survey::folder_ids`].
    ///
    /// # Errors
    /// Cyrus cannot be asked.
    pub async fn folder_ids(&self, address: &str) -> Result<Vec<String>, ClientError> {
        survey::folder_ids(&self.0.access, address).await
    }

    /// Where and how to log in to Cyrus.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// The folders of a mailbox with their unique ids; see [`survey::folders`].
    ///
    /// # Errors
    /// Cyrus cannot be asked.
    pub async fn folders(&self, address: &str) -> Result<Vec<(Owned, String)>, ClientError> {
        survey::folders(&self.0.access, address).await
    }

    /// The uid of the owner of what Cyrus has under `address`, as Cyrus says now; see [`survey::owner_of`].
    ///
    /// # Errors
    /// Cyrus cannot be asked.
    pub async fn recorded_owner(&self, address: &str) -> Result<Option<String>, ClientError> {
        survey::owner_of(&self.0.access, address).await
    }

    /// Returns once Cyrus has what is needed of the mailbox of `address` (a mailbox's own, folded), and has it for the
    /// owner that the directory names; at once if that is so already.
    ///
    /// # Errors
    /// It does not have it, for one of the reasons of [`Failure`]; all but [`Failure::NotHere`] may pass.
    pub async fn ensure(&self, address: &str, need: Need) -> Result<(), Failure> {
        if self.has(address, need) {
            return Ok(());
        }
        let work = async {
            // The sender lives in `self`, so this cannot fail.
            let _ = self.0.surveyed.subscribe().wait_for(|surveyed| *surveyed).await;
            // What was under way when we asked may have been for a former owner.
            while !self.has(address, need) {
                let answer = self.0.state().ask(address, need);
                self.0.work.notify_waiters();
                answer.await.unwrap_or_else(|_| Err(Failure::Unavailable("stopping".into())))?;
            }
            Ok(())
        };
        let result = timeout(ENSURE_WITHIN, work).await.unwrap_or(Err(Failure::Late));
        // Folders that cannot be made keep nobody from the mail.
        if self.has(address, Need::Mailbox) { Ok(()) } else { result }
    }

    /// The uid of the owner of what Cyrus has under `address`, as it is recorded.
    #[must_use]
    pub fn owner(&self, address: &str) -> Option<Box<str>> {
        self.0.state().inventory().get(address)?.owner.clone()
    }

    fn has(&self, address: &str, need: Need) -> bool {
        let found = self.0.replica.find(address).filter(|found| found.address == address);
        let uid = found.map(|found| found.entry.uid.clone()).unwrap_or_default();
        let state = self.0.state();
        state.inventory().get(address).is_some_and(|have| {
            let theirs = uid.is_empty() || have.owner.as_deref() == Some(uid.as_str());
            theirs && (need == Need::Mailbox || have.furnished)
        })
    }

    /// Forgets that Cyrus has the mailbox of `address`, and looks at all it has again: Cyrus said that it does not have it.
    pub fn forget(&self, address: &str) {
        self.0.state().doubt(address);
        self.0.stale.notify_one();
    }

    /// What Cyrus has, for `/status`: how many mailboxes, how many not as wanted, which of them failed and why; and what
    /// there is of retired mail, by uid ([`Keeping`]; `null` until Cyrus was looked at, and without what is in doubt).
    #[must_use]
    pub fn status(&self) -> Value {
        let (replica, shard) = (&self.0.replica, self.0.shard);
        let heirs = replica.mailboxes_of_store(shard);
        let former = heirs.values().filter_map(|entry| entry.heir_of.clone());
        let retired: BTreeSet<_> = replica.retired_of_store(shard).into_keys().chain(former).collect();
        let state = self.0.state();
        let keeping = |uid: &String| match (state.inventory().place_of(uid), state.sizes().get(uid)) {
            (None, _) if state.doubts() > 0 => None,
            (None, _) => Some(Keeping::Absent),
            (Some(_), Some(size)) => Some(Keeping::Kib(*size)),
            (Some(_), None) => Some(Keeping::Moving),
        };
        let known = |uid: &String| Some((uid.clone(), keeping(uid)?));
        let kept = || retired.iter().filter_map(known).collect::<BTreeMap<_, _>>();
        let failures = state.failures().iter().map(|(address, failure)| {
            (address.clone(), json!({ "reason": failure.reason(), "message": failure.to_string() }))
        });
        json!({
            "mailboxes": state.inventory().len(),
            "pending": state.pending(),
            "failures": failures.collect::<serde_json::Map<_, _>>(),
            "retired": self.0.surveyed.borrow().then(kept),
        })
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
                    () = self.0.stale.notified() => {
                        sleep(RETRY.0).await;
                        break;
                    }
                    _ = resurvey.tick() => break,
                }
            }
        }
    }

    /// Works in each period in which this store serves, until it is dropped; each begins with nothing known of what Cyrus
    /// has, for meanwhile another store changed it.
    pub async fn run_while_open(self, mut service: watch::Receiver<Service>) {
        loop {
            // Whoever is asked between two periods knows nothing, either.
            self.reset();
            let Ok(open) = service.wait_for(|it| it.epoch().is_some()).await.map(|it| *it) else { return };
            self.reset();
            let over = async { drop(service.wait_for(|it| *it != open && *it != Service::Draining).await) };
            tokio::select! {
                () = over => {}
                () = self.clone().run(watch::Sender::new(1).subscribe()) => {}
            }
        }
    }

    /// Forgets what Cyrus has, and whoever waits for it.
    fn reset(&self) {
        self.0.surveyed.send_replace(false);
        *self.0.state() = State::default();
    }

    async fn survey(&self) {
        for attempt in 1_u32.. {
            match self.surveyed().await {
                Ok(()) => return,
                Err(error) if attempt % RETRY.1 == 0 => {
                    tracing::warn!(%error, "cannot read what Cyrus has, trying again");
                }
                Err(_) => {}
            }
            sleep(RETRY.0).await;
        }
    }

    async fn surveyed(&self) -> Result<(), client::Error> {
        // What is changed meanwhile would be overlooked.
        let _alone = self.0.moving.write().await;
        let doubts = self.0.state().doubts();
        let mut inventory = survey::inventory(&self.0.access).await?;
        // Without a directory nobody knows an owner; the next survey will.
        if self.0.replica.loaded() {
            survey::record_owners(&self.0.access, &self.wanted(), &mut inventory).await?;
        } else {
            self.0.stale.notify_one();
        }
        tracing::info!(mailboxes = inventory.len(), "read what Cyrus has");
        self.0.state().surveyed(inventory, doubts);
        self.0.surveyed.send_replace(true);
        Ok(())
    }

    fn wanted(&self) -> Wanted {
        let (replica, shard) = (&self.0.replica, self.0.shard);
        let (mut mailboxes, mut retired) =
            (replica.mailboxes_of_store(shard), replica.retired_of_store(shard));
        mailboxes.retain(|_, entry| entry.refusal != Some(Refusal::Unsettled));
        retired.retain(|_, retired| !retired.in_place);
        Wanted { mailboxes, retired }
    }

    async fn plan(&self) {
        let wanted = self.wanted();
        let unknown = survey::without_quota(&wanted, self.0.state().inventory());
        match survey::quotas(&self.0.access, unknown).await {
            Ok(quotas) => self.0.state().quotas(quotas),
            Err(error) => tracing::warn!(%error, "cannot read quotas, will try again"),
        }
        let kept = |uid: &&String| {
            let state = self.0.state();
            state.inventory().place_of(uid) == Some(&names::retired_address(uid))
                && !state.sizes().contains_key(*uid)
        };
        let unknown = wanted.retired.keys().filter(kept).cloned().collect();
        match survey::sizes(&self.0.access, unknown).await {
            Ok(sizes) => self.0.state().kept(sizes),
            Err(error) => tracing::warn!(%error, "cannot read sizes, will try again"),
        }
        let mut state = self.0.state();
        let addresses = disagreements(&wanted, state.inventory());
        if !addresses.is_empty() {
            tracing::info!(mailboxes = addresses.len(), "Cyrus does not agree with the directory yet");
        }
        if let Some((address, failure)) = state.failures().iter().next() {
            tracing::warn!(address, %failure, "some mailboxes failed, this one for example; will try again");
        }
        state.planned(addresses);
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

//! The controller: one task that owns the index. Watch events and the outcomes of its own work come in, and each turn
//! starts what is due. Everything that waits for the network runs beside it and comes back as an [`Outcome`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::Client;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Census, Error, Metrics,
    agents::Agents,
    checking::Checks,
    credentials,
    fold::Listings,
    index::{Ask, Changes, Index, Key, Print, Which},
    load,
    outcome::Outcome,
    password::{self, NewPassword, PasswordError, Prints},
    retired::Retirements,
    seen,
    statuses::{self, Statuses, Target},
    system_work::SystemWork,
    unread::Unread,
    usage::Usages,
    waiting::Waiting,
};
use crate::{names::SystemName, operator::cluster::events::Events};

/// Events taken in one turn.
const TURN: usize = 512;
/// Passwords hashed at the same time: each takes a core for tens of milliseconds, and 19 MiB.
const HASHING: usize = 2;
/// The same for passwords that replace others.
const REHASHING: usize = 1;
/// Secrets looked up or made at the same time.
const ASKING: usize = 16;
/// How long the watch of Secrets waits for directories to be read: with them known, nothing is hashed twice.
const LOADING: Duration = Duration::from_secs(5);
/// When something refused is tried again.
pub(super) const LATER: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Controller {
    pub client: Client,
    pub events: Events,
    pub metrics: Metrics,
    pub index: Index,
    pub systems: HashMap<Arc<SystemName>, SystemWork>,
    pub agents: Agents,
    pub waiting: Waiting,
    pub retirements: Retirements,
    pub statuses: Statuses,
    pub listings: Listings,
    /// Objects that cannot be read.
    pub unread: HashMap<Target, Unread>,
    /// When MailDomains are looked at, so that a count that changes often is not written often.
    pub due_domains: HashMap<Key, Instant>,
    /// Look-ups in the DNS.
    pub checks: Checks,
    pub tasks: JoinSet<Outcome>,
    /// What is known of the use of mailboxes.
    pub usage: Usages,
    /// When gateways are asked who sends in bulk; none while they are being asked.
    pub bulk_due: Option<Instant>,
    /// Passwords under way.
    pub passwords: usize,
    started: Instant,
    hashing: Arc<Semaphore>,
    rehashing: Arc<Semaphore>,
    /// Recognises the passwords that were hashed.
    pub prints: Prints,
    asking: Arc<Semaphore>,
    pub census: watch::Sender<Census>,
}

impl Controller {
    pub fn new(client: Client, events: Events, census: watch::Sender<Census>, metrics: Metrics) -> Self {
        Self {
            client,
            events,
            metrics,
            index: Index::default(),
            systems: HashMap::new(),
            agents: Agents::default(),
            waiting: Waiting::default(),
            retirements: Retirements::default(),
            statuses: Statuses::default(),
            listings: Listings::default(),
            unread: HashMap::new(),
            due_domains: HashMap::new(),
            checks: Checks::default(),
            tasks: JoinSet::new(),
            usage: Usages::new(Instant::now(), k8s_openapi::jiff::Timestamp::now().as_second()),
            bulk_due: Some(Instant::now()),
            passwords: 0,
            started: Instant::now(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            rehashing: Arc::new(Semaphore::new(REHASHING)),
            prints: Prints::default(),
            asking: Arc::new(Semaphore::new(ASKING)),
            census,
        }
    }

    /// Works until `shutdown`.
    ///
    /// # Errors
    /// The watches ended, or a task panicked.
    pub async fn run(mut self, namespace: Option<&str>, shutdown: CancellationToken) -> Result<(), Error> {
        let mut watches = seen::first(&self.client, namespace).ready_chunks(TURN);
        loop {
            let wake = self.wake();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                chunk = watches.next() => {
                    for seen in chunk.ok_or(Error::WatchesEnded)? {
                        self.see(seen);
                    }
                }
                Some(outcome) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.come(outcome)?;
                    for _ in 0..TURN {
                        let Some(outcome) = self.tasks.try_join_next() else { break };
                        self.come(outcome)?;
                    }
                }
                () = sleep_until(wake) => {}
            }
            self.turn(Instant::now());
            if self.secrets_can_be_watched() {
                self.listings.secrets_watched = true;
                watches.get_mut().push(seen::secrets(&self.client, namespace));
            }
        }
    }

    /// A task that panicked is a bug whose consequences are unknown (an issue that never ends would be the last one): the
    /// next start reads everything anew.
    fn come(&mut self, outcome: Result<Outcome, tokio::task::JoinError>) -> Result<(), Error> {
        self.take(outcome?);
        Ok(())
    }

    /// Starts everything that is due. Nothing is before all objects were listed.
    fn turn(&mut self, now: Instant) {
        if !self.listings.objects_complete() {
            return;
        }
        self.load_new();
        self.index.clock(k8s_openapi::jiff::Timestamp::now().as_second());
        self.tend_retired(now);
        self.tend_usage(now);
        let changes = self.settle();
        self.review_usage(&changes.mailboxes, now);
        let Changes { mailboxes, domains, groups, asks, named, .. } = changes;
        for named in named {
            self.look_up(named);
        }
        for ask in asks {
            self.ask(ask);
        }
        for key in mailboxes {
            let target = Target::Mailbox(key.clone());
            if let Some(work) = self.index.listed_in(&key).and_then(|system| self.systems.get_mut(&system)) {
                work.touched.insert(target.clone());
            }
            self.waiting.restart(&target);
            self.review_mailbox(&key);
        }
        for key in groups {
            self.group_changed(&key);
        }
        for key in domains {
            let system = self.index.domain(&key).map(|fact| fact.system.clone());
            if let Some(work) = system.and_then(|system| self.systems.get_mut(&system)) {
                work.touched.insert(Target::Domain(key.clone()));
                work.dkim.stale = true;
            }
            self.waiting.restart(&Target::Domain(key.clone()));
            self.due_domains.entry(key).or_insert(now);
        }
        self.issue_due(now);
        self.review_due_domains(now);
        self.check_due(now);
        self.poll_due(now);
        self.ask_bulk(now);
        while let Some((target, word)) = self.statuses.next() {
            let (client, events) = (self.client.clone(), self.events.clone());
            self.tasks.spawn(async move {
                let written = statuses::write(client, events, target.clone(), word.clone()).await;
                Outcome::Written(target, word, written)
            });
        }
        self.count();
    }

    /// Carries the consequences of all events through, and records what is gone in the same issue that strikes it off.
    fn settle(&mut self) -> Changes {
        let mut changes = self.index.settle();
        let departed = std::mem::take(&mut changes.departed);
        if !departed.is_empty() {
            self.depart(departed);
            let more = self.index.settle();
            changes.mailboxes.extend(more.mailboxes);
            changes.domains.extend(more.domains);
            changes.groups.extend(more.groups);
            changes.asks.extend(more.asks);
            changes.named.extend(more.named);
        }
        changes
    }

    /// When something is due at the latest.
    fn wake(&self) -> Instant {
        let systems = self.systems.values().filter_map(|work| work.due(self.passwords));
        let domains = self.due_domains.values().copied();
        let polls = self
            .waiting
            .due()
            .into_iter()
            .chain(self.checks.due())
            .chain(self.retirements.due)
            .chain(self.bulk_due);
        let now = Instant::now();
        let usage = self.usage.wake(now, k8s_openapi::jiff::Timestamp::now().as_second());
        systems.chain(domains).chain(polls).fold(usage.min(now + Duration::from_hours(1)), Instant::min)
    }

    fn secrets_can_be_watched(&self) -> bool {
        let loaded = || self.index.systems().all(|(_, system)| system.loaded);
        !self.listings.secrets_watched
            && self.listings.objects_complete()
            && (loaded() || self.started.elapsed() > LOADING)
    }

    /// Reads the directories that new systems have.
    fn load_new(&mut self) {
        for (name, system) in self.index.systems() {
            if self.systems.contains_key(name) {
                continue;
            }
            let (client, name, uid) = (self.client.clone(), name.clone(), system.fact.uid.clone());
            self.systems.insert(name.clone(), SystemWork::new(uid.clone()));
            self.tasks.spawn(async move {
                let loaded = load::load(&client, &name, &uid).await;
                Outcome::Loaded(name, uid, loaded)
            });
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.passwords += 1;
        let (client, places) = (self.client.clone(), self.asking.clone());
        let (key, which) = (ask.mailbox.clone(), ask.which.clone());
        self.tasks.spawn(async move {
            let place = places.acquire().await;
            let found = credentials::find(client, ask).await;
            drop(place);
            Outcome::Found(key, which, found)
        });
    }

    /// Hashes a password on a blocking thread. One that replaces another does not wait for those of new mailboxes.
    pub fn hash(&mut self, key: &Key, which: &Which, new: NewPassword, print: Option<Print>) {
        self.passwords += 1;
        let mailbox = self.index.mailbox(key);
        let salt = password::salt(mailbox.map_or("", |mailbox| &mailbox.fact.meta.uid));
        let old = mailbox.and_then(|mailbox| mailbox.get(which)?.credential.clone());
        let (key, which) = (key.clone(), which.clone());
        let places = if old.is_some() { self.rehashing.clone() } else { self.hashing.clone() };
        self.tasks.spawn(async move {
            let place = places.acquire().await;
            let source = new.source.clone();
            let hashed = tokio::task::spawn_blocking(move || new.credential(old.as_ref(), &salt)).await;
            drop(place);
            let hashed = hashed.unwrap_or_else(|error| Err(PasswordError::Hash(error.to_string())));
            Outcome::Hashed(key, which, source, hashed.map(|credential| (credential, print)))
        });
    }

    /// Looks at an object again after a while.
    pub fn again(&mut self, target: Target) {
        self.tasks.spawn(async move {
            sleep(LATER).await;
            Outcome::Again(target)
        });
    }
}

//! Users who send and read while something is taken away: at each gateway one who submits messages to several mailboxes
//! without end, and one who logs in and looks at a mailbox all the time.
//!
//! Clients come to each gateway's own address, so that what is measured is this system and not how fast the cluster takes
//! a dead address out of a Service.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::pair::Pair;
use crate::{
    imap,
    smtp::{Reply, Smtp, message},
    world::{Account, World, unique},
};

/// Of the pods that clients come to.
const GATEWAYS: &str = "app.kubernetes.io/component=gateway";
/// Between two messages, and between two log-ins.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(500));
/// Before another connection, after one that broke: a client that asks more often is turned away.
const AGAIN: Duration = Duration::from_millis(1500);
/// Longest wait for the end of a message, and of a log-in.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(8));

/// A message that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) subject: String,
    /// What the gateway said: it names the queue file.
    pub(crate) reply: String,
}

/// What a user meets at one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Gaps {
    pub(crate) gateway: String,
    pub(crate) node: String,
    /// The longest time between two messages that were accepted.
    pub(crate) sending: Duration,
    /// The longest time between two moments at which a mailbox could be read.
    pub(crate) reading: Duration,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) accepted: Vec<Sent>,
    /// Answers that would make a message bounce.
    pub(crate) refused: Vec<Reply>,
    pub(crate) gaps: Vec<Gaps>,
}

/// It goes on until it is ended, or dropped by a test that fails.
pub(crate) struct Load {
    stop: DropGuard,
    users: Vec<(String, String, JoinHandle<Sender>, JoinHandle<Longest>)>,
}

impl Load {
    /// Users begin to send to these accounts, and to read them.
    pub(crate) async fn start(pair: &Pair, accounts: &[Account]) -> Self {
        let (stop, mut users) = (CancellationToken::new(), Vec::new());
        for (number, (gateway, place)) in pair.pods(GATEWAYS).await.into_iter().enumerate() {
            let address = place.address.unwrap_or_else(|| panic!("{gateway} has no address"));
            let entry = Entry {
                pair: pair.clone(),
                gateway: gateway.clone(),
                world: pair.world.through(address),
                account: accounts[number % accounts.len()].clone(),
            };
            let sender = tokio::spawn(Sender::new(entry.clone(), accounts).run(stop.clone()));
            users.push((gateway, place.node, sender, tokio::spawn(read(entry, stop.clone()))));
        }
        Self { stop: stop.drop_guard(), users }
    }

    /// They end.
    pub(crate) async fn end(self) -> Outcome {
        drop(self.stop);
        let mut outcome = Outcome { accepted: Vec::new(), refused: Vec::new(), gaps: Vec::new() };
        for (gateway, node, sender, reader) in self.users {
            let (sender, reading) = (sender.await.unwrap(), reader.await.unwrap().gap);
            outcome.accepted.extend(sender.accepted);
            outcome.refused.extend(sender.refused);
            outcome.gaps.push(Gaps { gateway, node, sending: sender.longest.gap, reading });
        }
        outcome
    }
}

/// The longest time without success.
struct Longest {
    last: Instant,
    gap: Duration,
}

impl Longest {
    fn begin() -> Self {
        Self { last: Instant::now(), gap: Duration::ZERO }
    }

    /// A success, or the end.
    fn now(&mut self) {
        let now = Instant::now();
        self.gap = self.gap.max(now - self.last);
        self.last = now;
    }
}

/// Who comes to which gateway.
#[derive(Clone)]
struct Entry {
    pair: Pair,
    gateway: String,
    world: World,
    account: Account,
}

impl Entry {
    /// Its pod may have another address now.
    async fn find_again(&mut self) {
        if let Ok(place) = self.pair.look_up(&self.gateway).await
            && let Some(address) = place.address
        {
            self.world = self.pair.world.through(address);
        }
    }
}

struct Sender {
    entry: Entry,
    to: Vec<String>,
    session: Option<Smtp>,
    accepted: Vec<Sent>,
    refused: Vec<Reply>,
    longest: Longest,
}

impl Sender {
    fn new(entry: Entry, to: &[Account]) -> Self {
        let to = to.iter().map(|account| account.address.clone()).collect();
        let longest = Longest::begin();
        Self { entry, to, session: None, accepted: Vec::new(), refused: Vec::new(), longest }
    }

    async fn run(mut self, stop: CancellationToken) -> Self {
        let mut number = 0;
        while !stop.is_cancelled() {
            let (to, subject) = (self.to[number % self.to.len()].clone(), unique("load"));
            number += 1;
            let pause = match timeout(PATIENCE.0, self.send(&to, &subject)).await {
                Ok(Ok(reply)) if reply.code == 250 => {
                    self.longest.now();
                    self.accepted.push(Sent { to, subject, reply: reply.text });
                    PAUSES.0
                }
                Ok(Ok(reply)) => {
                    self.refused.extend((reply.code >= 500).then_some(reply));
                    AGAIN
                }
                // Whether such a message was accepted is not known: it may be there once.
                Ok(Err(_)) | Err(_) => {
                    self.session = None;
                    self.entry.find_again().await;
                    AGAIN
                }
            };
            sleep(pause).await;
        }
        self.longest.now();
        self
    }

    async fn send(
        &mut self,
        to: &str,
        subject: &str,
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let from = &self.entry.account;
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Smtp::submissions(&self.entry.world, &from.address, &from.password).await?),
        };
        session.send(&from.address, &[to], &message(&from.address, to, subject, "x")).await
    }
}

async fn read(mut entry: Entry, stop: CancellationToken) -> Longest {
    let mut longest = Longest::begin();
    while !stop.is_cancelled() {
        let (account, world) = (&entry.account, &entry.world);
        let look = async {
            let mut session = imap::log_in(world, &account.address, &account.password).await?;
            session.select("INBOX").await?;
            session.logout().await.map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        };
        match timeout(PATIENCE.1, look).await {
            Ok(Ok(())) => longest.now(),
            Ok(Err(_)) | Err(_) => entry.find_again().await,
        }
        sleep(PAUSES.1).await;
    }
    longest.now();
    longest
}

impl Outcome {
    /// The gateways whose node was not taken away.
    pub(crate) fn gaps_beside(&self, node: Option<&str>) -> impl Iterator<Item = &Gaps> {
        self.gaps.iter().filter(move |gaps| node != Some(&*gaps.node))
    }

    /// How many messages each mailbox was sent.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for sent in &self.accepted {
            *counts.entry(&*sent.to).or_default() += 1;
        }
        counts
    }
}

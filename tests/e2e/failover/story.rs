//! A fault under load, from two stores that have everything to two stores that have everything, and what must hold of the
//! time between.

use std::{
    fmt,
    io::{Write, stderr},
    panic::{AssertUnwindSafe, resume_unwind},
    time::{Duration, Instant},
};

use futures::FutureExt;
use serde_json::json;
use tokio::time::sleep;

use super::{
    GAP, SERVES, ledger,
    load::{Load, Outcome},
    pair::Pair,
    roles::Roles,
    watch::Watch,
};
use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, World, unique},
};

/// Mail flows so long before a fault, and after its end.
const CALM: Duration = Duration::from_secs(5);

/// What was taken away, as far as its users may notice it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lost<'a> {
    /// Nothing that a gateway needs.
    Nothing,
    /// The gateways of this node.
    Node(&'a str),
    /// Both stores: mail waits until one is back.
    BothStores,
}

/// What came before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) before: Roles,
    pub(crate) after: Roles,
}

/// Users whose mail is counted, and who have deleted some.
pub(crate) struct Cast {
    pub(crate) accounts: Vec<Account>,
    deleted: Vec<(Account, String)>,
}

impl Cast {
    /// New mailboxes; from each, a message was deleted for good.
    pub(crate) async fn new(pair: &Pair) -> Self {
        let mut cast = Self { accounts: Vec::new(), deleted: Vec::new() };
        for _ in 0..3 {
            cast.accounts.push(pair.world.mailbox(json!({})).await);
            cast.delete_another(pair).await;
        }
        cast
    }

    /// A message comes, is read and is deleted for good.
    pub(crate) async fn delete_another(&mut self, pair: &Pair) {
        let account = self.accounts[self.deleted.len() % self.accounts.len()].clone();
        let subject = delivered(&pair.world, &account).await;
        ledger::delete(&pair.world, &account, &subject).await;
        self.deleted.push((account, subject));
    }

    /// Does `fault` under load, and waits until all is well again. `fault` is told the roles, does what it does, undoes it,
    /// and says after which epoch both stores have to have everything again.
    ///
    /// # Panics
    /// A message was lost or doubled, a deleted one is back, two stores served at once, or the gap was too long.
    pub(crate) async fn under_load(
        &self,
        (pair, what, lost): (&Pair, &str, Lost<'_>),
        fault: impl AsyncFnOnce(Roles) -> u64,
    ) -> Change {
        let before = pair.settled().await;
        let watch = Watch::start(pair);
        let load = Load::start(pair, &self.accounts).await;
        sleep(CALM).await;
        let began = Instant::now();
        let story = async {
            let above = fault(before).await;
            let after = pair.settled_above(above).await;
            figure(what, "both stores have everything again", began.elapsed());
            sleep(CALM).await;
            after
        };
        let after = AssertUnwindSafe(story).catch_unwind().await;
        let (outcome, periods) = (load.end().await, watch.end().await);
        say(format!("{what}: {periods}accepted: {:?}", outcome.counts()));
        // Who served is worth knowing most when it ended badly.
        assert!(periods.overlap().is_none(), "two stores served at once: {periods}");
        let after = after.unwrap_or_else(|panic| resume_unwind(panic));
        assert!(periods.disorder().is_none(), "an epoch is not above the one before it: {periods}");
        figure(what, "no store serves", periods.longest_break());
        self.judge(&outcome, (pair, what, lost)).await;
        Change { before, after }
    }

    /// Nothing is lost, doubled or back, and nobody waited too long.
    async fn judge(&self, outcome: &Outcome, (pair, what, lost): (&Pair, &str, Lost<'_>)) {
        for gaps in &outcome.gaps {
            figure(what, &format!("nobody reads through {}", gaps.gateway), gaps.reading);
            figure(what, &format!("nobody sends through {}", gaps.gateway), gaps.sending);
        }
        assert!(outcome.refused.is_empty(), "mail would bounce: {:?}", outcome.refused);
        assert!(outcome.accepted.len() > 10, "hardly any mail was accepted: {:?}", outcome.counts());
        let deleted: Vec<_> = self.deleted.iter().map(|(account, subject)| (account, &**subject)).collect();
        ledger::every_one_once(&pair.world, &self.accounts, &outcome.accepted, &deleted).await;
        let away = match lost {
            Lost::Nothing => Some(None),
            Lost::Node(node) => Some(Some(node)),
            Lost::BothStores => None,
        };
        for gaps in away.into_iter().flat_map(|node| outcome.gaps_beside(node)) {
            assert!(gaps.reading < GAP && gaps.sending < GAP, "{what}: {gaps:?}");
        }
    }
}

/// A message from outside, read by its recipient: its subject.
pub(crate) async fn delivered(world: &World, to: &Account) -> String {
    let subject = unique("before");
    let text = message("dan@example.com", &to.address, &subject, "x");
    let mut smtp = Smtp::inbound(world).await.unwrap();
    let reply = smtp.send("dan@example.com", &[&to.address], &text).await.unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    imap::wait_for(world, to, &subject).await;
    subject
}

/// The primary's service was interrupted: somebody serves in a later epoch, which is returned.
pub(crate) async fn served_again(pair: &Pair, what: &str, roles: Roles) -> (usize, u64) {
    let began = Instant::now();
    let found = pair.serves_above(roles.epoch, SERVES).await;
    figure(what, "a store serves again", began.elapsed());
    found
}

/// Prints a row for docs/benchmarks.md, although the test succeeds.
fn figure(what: &str, of: &str, time: Duration) {
    say(format!("| {what}: {of} | {:.1} s |", time.as_secs_f32()));
}

/// The output of a test that succeeds is not shown; this is.
pub(crate) fn say(words: impl fmt::Display) {
    // Nobody is the worse for it if it cannot be written.
    let _ = writeln!(stderr(), "{words}");
}

//! What is known of Cyrus, what is left to do, and who waits for it. Without IO.
//!
//! Plans, questions and results come in; the next address to work on goes out, those somebody waits for first.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::oneshot;

use super::plan::{Have, Inventory, Quota};

/// Why a mailbox is not as the directory wants it.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The directory has no mailbox of this address in this shard.
    #[error("not a mailbox of this shard")]
    NotHere,
    /// Cyrus cannot keep a mailbox of this name.
    #[error("Cyrus cannot keep a mailbox of this name")]
    NoName,
    /// Cyrus refused.
    #[error("Cyrus refused: {0}")]
    Refused(String),
    /// Cyrus could not be asked.
    #[error("Cyrus cannot be asked: {0}")]
    Unavailable(String),
    /// It took too long.
    #[error("it took too long")]
    Late,
}

/// What a waiter gets.
pub type Result = std::result::Result<(), Failure>;

/// See the module.
#[derive(Default)]
pub struct State {
    inventory: Inventory,
    urgent: VecDeque<String>,
    bulk: VecDeque<String>,
    waiting: HashMap<String, Vec<oneshot::Sender<Result>>>,
    pending: HashSet<String>,
    failure: Option<(String, Failure)>,
}

impl State {
    /// What Cyrus has.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Takes what Cyrus was found to have.
    pub fn surveyed(&mut self, inventory: Inventory) {
        self.inventory = inventory;
    }

    /// Takes quotas that Cyrus was asked for, unless a newer one has been set meanwhile.
    pub fn quotas(&mut self, quotas: impl IntoIterator<Item = (String, Quota)>) {
        for (address, quota) in quotas {
            if let Some(have) = self.inventory.get_mut(&address).filter(|have| have.quota == Quota::Unknown) {
                have.quota = quota;
            }
        }
    }

    /// Takes a plan in place of the last one. Returns what failed since then, as an example.
    pub fn planned(&mut self, addresses: Vec<String>) -> Option<(String, Failure)> {
        self.pending = addresses.iter().cloned().collect();
        self.bulk = addresses.into();
        self.failure.take()
    }

    /// Puts `address` before everything planned. Those who ask for the same one share the work.
    pub fn ask(&mut self, address: &str) -> oneshot::Receiver<Result> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.waiting.entry(address.to_owned()).or_default();
        if waiting.is_empty() {
            self.urgent.push_back(address.to_owned());
        }
        waiting.push(sender);
        receiver
    }

    /// The next address to work on: one that somebody waits for, or else, unless `urgent_only`, one that is planned.
    pub fn next(&mut self, urgent_only: bool) -> Option<String> {
        let planned = if urgent_only { None } else { Some(&mut self.bulk) };
        self.urgent.pop_front().or_else(|| planned?.pop_front())
    }

    /// Takes what became of an address, and tells those who wait. A failure stays pending until the next plan.
    pub fn finished(&mut self, address: &str, result: std::result::Result<Have, Failure>) {
        if matches!(result, Ok(_) | Err(Failure::NotHere)) {
            self.pending.remove(address);
        }
        let result = match result {
            Ok(have) => {
                self.inventory.insert(address.to_owned(), have);
                Ok(())
            }
            Err(failure) => {
                self.failure = Some((address.to_owned(), failure.clone()));
                Err(failure)
            }
        };
        for waiter in self.waiting.remove(address).unwrap_or_default() {
            // Who no longer waits need not know.
            let _ = waiter.send(result.clone());
        }
    }

    /// Forgets what Cyrus has of this address: it said that it has nothing.
    pub fn forget(&mut self, address: &str) {
        self.inventory.remove(address);
    }

    /// How many mailboxes are not as wanted.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGREED: std::result::Result<Have, Failure> = Ok(Have { furnished: true, quota: Quota::Kib(1) });

    #[test]
    fn who_waits_comes_first_and_shares_the_work() {
        let mut state = State::default();
        state.planned(vec!["a@x".into(), "b@x".into()]);
        let (mut one, mut two) = (state.ask("b@x"), state.ask("b@x"));
        assert_eq!(state.next(true).as_deref(), Some("b@x"));
        assert_eq!(state.next(true), None);
        assert_eq!(state.next(false).as_deref(), Some("a@x"));
        assert!(one.try_recv().is_err());
        state.finished("b@x", AGREED);
        assert_eq!((one.try_recv(), two.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        assert_eq!(state.pending(), 1);
        assert!(state.inventory().contains_key("b@x"));
    }

    #[test]
    fn a_failure_is_told_and_stays_pending() {
        let mut state = State::default();
        state.planned(vec!["a@x".into()]);
        let mut waiter = state.ask("a@x");
        state.finished("a@x", Err(Failure::NoName));
        assert_eq!(waiter.try_recv(), Ok(Err(Failure::NoName)));
        assert_eq!(state.pending(), 1);
        assert_eq!(state.planned(vec![]), Some(("a@x".into(), Failure::NoName)));
        assert_eq!((state.pending(), state.planned(vec![])), (0, None));
    }

    #[test]
    fn a_quota_that_was_set_is_newer_than_one_that_was_read() {
        let mut state = State::default();
        state.surveyed([("a@x".to_owned(), Have::default()), ("b@x".to_owned(), Have::default())].into());
        state.finished("a@x", AGREED);
        state.quotas([("a@x".to_owned(), Quota::None), ("b@x".to_owned(), Quota::Kib(5))]);
        assert_eq!(state.inventory()["a@x"].quota, Quota::Kib(1));
        assert_eq!(state.inventory()["b@x"].quota, Quota::Kib(5));
    }
}

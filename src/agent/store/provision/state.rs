//! What is known of Cyrus, what is left to do, and who waits for it. Without IO.
//!
//! Plans, questions and results come in; the next address to work on goes out, those somebody waits for first.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use tokio::sync::oneshot;

use super::inventory::{Inventory, Quota};

/// Why a mailbox is not as the directory wants it.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The directory has no mailbox of this address in this shard.
    #[error("not a mailbox of this shard")]
    NotHere,
    /// Cyrus cannot keep a mailbox of this name.
    #[error("Cyrus cannot keep a mailbox of this name")]
    NoName,
    /// What Cyrus has under the address is another owner's mail, which nobody asked to be taken over.
    #[error("the mail under this address is another owner's")]
    OtherOwner,
    /// The mail that is to be restored is not here.
    #[error("there is no such mail to be restored")]
    NothingToRestore,
    /// It has mail of its own already, and can take over no other.
    #[error("the mailbox has mail of its own already")]
    HasMail,
    /// Half of a change of the directory has arrived.
    #[error("the mailbox is being moved")]
    Moving,
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

impl Failure {
    /// One word for it, for conditions.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotHere => "NotHere",
            Self::NoName => "NoName",
            Self::OtherOwner => "OtherOwner",
            Self::NothingToRestore => "NothingToRestore",
            Self::HasMail => "HasMail",
            Self::Moving => "Moving",
            Self::Refused(_) => "Refused",
            Self::Unavailable(_) => "Unavailable",
            Self::Late => "Late",
        }
    }
}

/// What a waiter gets.
pub type Result = std::result::Result<(), Failure>;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The mailbox, for a delivery.
    Mailbox,
    /// Its folders, too: what its owner is to see.
    Folders,
}

/// See the module.
#[derive(Default)]
pub struct State {
    inventory: Inventory,
    urgent: VecDeque<String>,
    bulk: VecDeque<String>,
    waiting: HashMap<String, Vec<(Need, oneshot::Sender<Result>)>>,
    /// Being worked on: two workers on one mailbox would only wait for each other in Cyrus.
    working: HashSet<String>,
    /// To be worked on again: they were planned meanwhile.
    again: HashSet<String>,
    pending: HashSet<String>,
    failures: BTreeMap<String, Failure>,
    /// KiB of mail that is kept out of the way, by owner.
    sizes: BTreeMap<String, u64>,
    /// How often Cyrus turned out to have something else than the inventory says, since it was read.
    doubts: u64,
}

impl State {
    /// What Cyrus has.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Changes what Cyrus is known to have: it was changed.
    pub fn inventory_mut(&mut self) -> &mut Inventory {
        &mut self.inventory
    }

    /// Cyrus said that it does not have the mailbox of `address`. Its mail may be on its way to another place: until the
    /// inventory is read again, that something is nowhere means nothing.
    pub fn doubt(&mut self, address: &str) {
        self.inventory.remove(address);
        self.doubts += 1;
    }

    /// How often there was doubt since the inventory was read.
    pub const fn doubts(&self) -> u64 {
        self.doubts
    }

    /// Takes what Cyrus was found to have. `doubts` is how many there were when it was asked.
    pub fn surveyed(&mut self, inventory: Inventory, doubts: u64) {
        self.doubts = self.doubts.saturating_sub(doubts);
        self.inventory = inventory;
        self.sizes.clear();
    }

    /// Takes quotas that Cyrus was asked for, unless a newer one has been set meanwhile.
    pub fn quotas(&mut self, quotas: impl IntoIterator<Item = (String, Quota)>) {
        for (address, quota) in quotas {
            if self.inventory.get(&address).is_some_and(|have| have.quota == Quota::Unknown) {
                self.inventory.change(&address, |have| have.quota = quota);
            }
        }
    }

    /// Takes how many KiB of mail are kept for these owners.
    pub fn kept(&mut self, sizes: BTreeMap<String, u64>) {
        self.sizes.extend(sizes);
    }

    /// How many KiB of mail are kept, by owner.
    pub const fn sizes(&self) -> &BTreeMap<String, u64> {
        &self.sizes
    }

    /// Takes a plan in place of the last one. What is not planned any more has not failed either.
    pub fn planned(&mut self, addresses: Vec<String>) {
        self.pending = addresses.iter().cloned().collect();
        self.failures.retain(|address, _| self.pending.contains(address));
        self.bulk = addresses.into();
    }

    /// What failed and was not mended yet, by address.
    pub const fn failures(&self) -> &BTreeMap<String, Failure> {
        &self.failures
    }

    /// Puts `address` before everything planned. Those who ask for the same one share the work, also what is under way.
    pub fn ask(&mut self, address: &str, need: Need) -> oneshot::Receiver<Result> {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.waiting.entry(address.to_owned()).or_default();
        if waiting.is_empty() && !self.working.contains(address) {
            self.urgent.push_back(address.to_owned());
        }
        waiting.push((need, sender));
        receiver
    }

    /// The next address to work on: one that somebody waits for, or else, unless `urgent_only`, one that is planned. It
    /// must be followed by [`Self::finished`].
    pub fn next(&mut self, urgent_only: bool) -> Option<String> {
        while let Some(address) =
            self.urgent.pop_front().or_else(|| if urgent_only { None } else { self.bulk.pop_front() })
        {
            if self.working.insert(address.clone()) {
                return Some(address);
            }
            self.again.insert(address);
        }
        None
    }

    /// The mailbox is there; who needs no more is told.
    pub fn made(&mut self, address: &str) {
        let waiting = self.waiting.remove(address).unwrap_or_default();
        let (told, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(need, _)| *need == Need::Mailbox);
        if !others.is_empty() {
            self.waiting.insert(address.to_owned(), others);
        }
        tell(told, &Ok(()));
    }

    /// Takes what became of an address, and tells those who wait. A failure stays pending until the next plan.
    pub fn finished(&mut self, address: &str, result: &Result) {
        match result {
            Ok(()) | Err(Failure::NotHere) => {
                self.pending.remove(address);
                self.failures.remove(address);
            }
            Err(failure) => {
                self.failures.insert(address.to_owned(), failure.clone());
            }
        }
        self.working.remove(address);
        if self.again.remove(address) {
            self.bulk.push_front(address.to_owned());
        }
        tell(self.waiting.remove(address).unwrap_or_default(), result);
    }

    /// How many mailboxes are not as wanted.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

fn tell(waiting: Vec<(Need, oneshot::Sender<Result>)>, result: &Result) {
    for (_, waiter) in waiting {
        // Who no longer waits need not know.
        let _ = waiter.send(result.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::inventory::Have, *};

    #[test]
    fn who_waits_comes_first_and_shares_the_work() {
        let mut state = State::default();
        state.planned(vec!["a@x".into(), "b@x".into()]);
        let (mut one, mut two) = (state.ask("b@x", Need::Folders), state.ask("b@x", Need::Folders));
        assert_eq!(state.next(true).as_deref(), Some("b@x"));
        assert_eq!(state.next(true), None);
        assert_eq!(state.next(false).as_deref(), Some("a@x"));
        assert!(one.try_recv().is_err());
        state.finished("b@x", &Ok(()));
        assert_eq!((one.try_recv(), two.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        assert_eq!(state.pending(), 1);
    }

    #[test]
    fn one_worker_at_a_time_has_a_mailbox_and_a_delivery_waits_for_no_folders() {
        let mut state = State::default();
        state.planned(vec!["a@x".into()]);
        assert_eq!(state.next(false).as_deref(), Some("a@x"));
        let (mut delivery, mut owner) = (state.ask("a@x", Need::Mailbox), state.ask("a@x", Need::Folders));
        state.planned(vec!["a@x".into()]);
        assert_eq!(state.next(false), None, "it is being worked on");
        state.made("a@x");
        assert_eq!(delivery.try_recv(), Ok(Ok(())));
        assert!(owner.try_recv().is_err());
        state.finished("a@x", &Ok(()));
        assert_eq!(owner.try_recv(), Ok(Ok(())));
        assert_eq!(state.next(false).as_deref(), Some("a@x"), "it was planned anew meanwhile");
    }

    #[test]
    fn a_failure_is_told_and_stays_pending() {
        let mut state = State::default();
        state.planned(vec!["a@x".into()]);
        let mut waiter = state.ask("a@x", Need::Mailbox);
        state.finished("a@x", &Err(Failure::NoName));
        assert_eq!(waiter.try_recv(), Ok(Err(Failure::NoName)));
        state.planned(vec!["a@x".into()]);
        assert_eq!((state.pending(), state.failures().get("a@x")), (1, Some(&Failure::NoName)));
        state.planned(vec![]);
        assert_eq!((state.pending(), state.failures().len()), (0, 0));
    }

    #[test]
    fn a_quota_that_was_set_is_newer_than_one_that_was_read() {
        let (mut state, mut found) = (State::default(), Inventory::default());
        found.insert("a@x", Have::default());
        found.insert("b@x", Have::default());
        state.surveyed(found, 0);
        state.inventory_mut().change("a@x", |have| have.quota = Quota::Kib(1));
        state.quotas([("a@x".to_owned(), Quota::None), ("b@x".to_owned(), Quota::Kib(5))]);
        let quota = |address| state.inventory().get(address).unwrap().quota;
        assert_eq!((quota("a@x"), quota("b@x")), (Quota::Kib(1), Quota::Kib(5)));
    }
}

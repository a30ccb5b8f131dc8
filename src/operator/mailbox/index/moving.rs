//! A change of address: what a mailbox is served under, what it is to be served under, and what it was. Pure; the clock is
//! the caller's.
//!
//! A mailbox stays where it is until it can have the address that it names: one that somebody holds, or under which mail
//! of another mailbox is kept, is never taken away. With the move the former address becomes an alias for a time. Both
//! happen in one issue of the directory; the stores follow by the owner's uid.

use std::sync::Arc;

use super::{Claimant, Estate, Index, Key, Mailbox, MailboxFact, ObjectName, Obstacle};
use crate::{directory::domain_of, names::SystemName};

/// Former addresses whose time is over are looked for this often, in seconds.
const PERIOD: i64 = 30;
/// Most former addresses of a mailbox: the oldest give way.
const MOST: usize = 32;

/// An address that a mailbox had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The address, folded.
    pub address: Arc<str>,
    /// Since when it is a former one, in seconds of Unix time.
    pub since: i64,
}

/// Where a mailbox comes from and goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// The address that it names, while it is served under another one.
    pub wanted: Option<Arc<str>>,
    /// The addresses that it had, the latest last.
    pub former: Box<[Former]>,
    /// For how many days they go on reaching it.
    pub keep: u32,
    /// Whether its status says that it has its address.
    pub settled: bool,
}

/// Why a mailbox does not get the address that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Another one has it.
    Taken(Claimant),
    /// It was another one's, which keeps it until then, in seconds of Unix time.
    Kept(Key, i64),
    /// Mail of these RetiredMailboxes is kept under it.
    Retired(Vec<ObjectName>),
    /// Its domain is not served.
    Domain(Obstacle),
    /// Its domain has no room for one more.
    Full(super::Full),
    /// Its domain is served by another system, whose stores do not have the mail.
    OtherSystem(Arc<SystemName>),
}

impl MailboxFact {
    /// Every address that it claims, each once.
    pub fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.address).chain(self.others())
    }

    /// Those but its own.
    pub fn others(&self) -> impl Iterator<Item = &Arc<str>> {
        let named = |address: &&Arc<str>| **address != self.address;
        let wanted = self.moving.wanted.iter().filter(named);
        let not_wanted = |address: &&Arc<str>| self.moving.wanted.as_ref() != Some(*address);
        let aliases = self.aliases.iter().filter(named).filter(not_wanted);
        let former = self.moving.former.iter().map(|former| &former.address);
        let former = former.filter(named).filter(not_wanted).filter(|it| !self.aliases.contains(it));
        wanted.chain(aliases).chain(former)
    }

    /// Whether it holds the address already: nobody else's wish takes it away.
    fn holds(&self, address: &str) -> bool {
        self.moving.settled && *self.address == *address || self.had(address)
    }

    fn had(&self, address: &str) -> bool {
        self.moving.former.iter().any(|former| *former.address == *address)
    }

    /// Whether the address is one that it is to have, and nothing more.
    pub(super) fn only_wants(&self, address: &str) -> bool {
        let wants = self.moving.wanted.as_deref() == Some(address);
        wants && !self.had(address) && !self.aliases.iter().any(|alias| **alias == *address)
    }

    /// Who comes first to an address: who holds it, then the older one.
    pub(super) fn rank<'a>(&self, key: &'a Key, address: &str) -> (bool, i64, &'a Key) {
        (!self.holds(address), self.meta.created, key)
    }

    /// Takes over from what was known where the mailbox is: what is new may not have heard of it. Of one that is `revived`
    /// from the directory nothing is known of its past.
    pub(super) fn stay(&mut self, old: &Self, revived: bool) {
        let named = self.moving.wanted.take().unwrap_or_else(|| self.address.clone());
        self.address = old.address.clone();
        self.moving.wanted = (named != self.address).then_some(named);
        if !revived {
            self.moving.former.clone_from(&old.moving.former);
        }
        self.moving.settled |= old.moving.settled;
    }

    fn move_to_wanted(&mut self, now: i64) {
        let Some(wanted) = self.moving.wanted.take() else { return };
        let left = std::mem::replace(&mut self.address, wanted);
        let mut former = self.moving.former.to_vec();
        former.retain(|it| it.address != self.address && it.address != left);
        former.push(Former { address: left, since: now });
        former.drain(..former.len().saturating_sub(MOST));
        self.moving.former = former.into();
        self.moving.settled = true;
    }

    /// Until when a former address reaches it, in seconds of Unix time.
    #[must_use]
    pub fn kept_until(&self, former: &Former) -> i64 {
        former.since.saturating_add(i64::from(self.moving.keep) * 86_400)
    }
}

impl Index {
    /// Tells the time, in seconds of Unix time. Former addresses whose time is over reach nobody from now on.
    pub fn clock(&mut self, now: i64) {
        self.now = now;
        if now < self.looked_at + PERIOD {
            return;
        }
        self.looked_at = now;
        let keys: Vec<Key> = self.leaving.iter().cloned().collect();
        for key in keys {
            let Some(Mailbox { fact, .. }) = self.mailboxes.get(&key) else { continue };
            let left: Vec<Former> =
                fact.moving.former.iter().filter(|it| fact.kept_until(it) > now).cloned().collect();
            if left.len() < fact.moving.former.len() {
                self.relink(&key, |fact| fact.moving.former = left.into());
            }
        }
    }

    /// Whether the Mailbox has its address, with the mail that is its own.
    pub(super) fn has_address(&self, key: &Key) -> bool {
        self.listed_in(key).is_some() && matches!(self.estate(key), Estate::Own | Estate::Heir(_))
    }

    /// Moves the mailboxes that can have the address that they name.
    pub(super) fn settle_moves(&mut self) {
        let mut keys: Vec<Key> = self.moving.iter().cloned().collect();
        keys.sort_by_cached_key(|key| {
            (self.mailboxes.get(key).map_or(i64::MAX, |it| it.fact.meta.created), key.clone())
        });
        let now = self.now;
        for key in keys {
            if self.may_move(&key) {
                self.relink(&key, |fact| fact.move_to_wanted(now));
                // The next one finds the room that this one left.
                self.settle_addresses();
            }
        }
    }

    fn may_move(&self, key: &Key) -> bool {
        let Some(mailbox) = self.mailboxes.get(key) else { return false };
        let Some(wanted) = &mailbox.fact.moving.wanted else { return false };
        if self.unreadable.mailboxes.contains_key(key) {
            return false;
        }
        let Ok(name) = self.placement(&key.namespace, domain_of(wanted)) else { return false };
        let Some(system) = self.systems.get(name).filter(|system| system.loaded) else { return false };
        // Where its former domain is gone, its mail is on record in the system that has it.
        let at_home = match self.listed_in(key) {
            Some(home) => home == *name,
            None => system.records.get(&mailbox.fact.meta.uid).is_some(),
        };
        at_home && self.hindrance_in(key, mailbox, name).is_none()
    }

    fn hindrance_in(&self, key: &Key, mailbox: &Mailbox, name: &SystemName) -> Option<Hindrance> {
        let wanted = mailbox.fact.moving.wanted.as_ref()?;
        if let Some(rival) = self.rival(key, wanted, name) {
            let Claimant::Mailbox(winner) = &rival else { return Some(Hindrance::Taken(rival)) };
            let holder = self.mailboxes.get(winner).map(|holder| &holder.fact);
            let former = holder.and_then(|fact| fact.moving.former.iter().find(|it| it.address == *wanted));
            return Some(match (holder, former) {
                (Some(fact), Some(former)) => Hindrance::Kept(winner.clone(), fact.kept_until(former)),
                _ => Hindrance::Taken(rival),
            });
        }
        let others = self.systems.get(name)?.records.of_others(wanted, &mailbox.fact.meta.uid);
        if !others.is_empty() {
            return Some(Hindrance::Retired(others));
        }
        self.no_room_in(mailbox, name, domain_of(wanted)).map(Hindrance::Full)
    }

    /// Why the Mailbox, served by `home`, does not get the address that it names.
    pub(super) fn hindrance(&self, key: &Key, home: &SystemName) -> Option<Hindrance> {
        let mailbox = self.mailboxes.get(key)?;
        let wanted = mailbox.fact.moving.wanted.as_ref()?;
        match self.placement(&key.namespace, domain_of(wanted)) {
            Err(obstacle) => Some(Hindrance::Domain(obstacle)),
            Ok(system) if **system != *home => Some(Hindrance::OtherSystem(system.clone())),
            Ok(system) => self.hindrance_in(key, mailbox, system),
        }
    }

    /// Changes what a Mailbox claims.
    fn relink(&mut self, key: &Key, change: impl FnOnce(&mut MailboxFact)) {
        let Some(Mailbox { mut fact, password, apps, sending, seat, held, .. }) =
            self.mailboxes.get(key).cloned()
        else {
            return;
        };
        change(&mut fact);
        self.unlink_mailbox(key);
        self.insert_mailbox(key, fact);
        if let Some(mailbox) = self.mailboxes.get_mut(key) {
            (mailbox.password, mailbox.apps, mailbox.held) = (password, apps, held);
            (mailbox.sending, mailbox.seat) = (sending, seat.carried(true));
        }
    }

    /// Notes that the Mailbox is among those with a wish or a past, or is not any more.
    pub(super) fn note_moving(&mut self, key: &Key, there: bool) {
        let moving = self.mailboxes.get(key).map(|mailbox| &mailbox.fact.moving).filter(|_| there);
        let (wants, left) = moving.map_or((false, false), |it| (it.wanted.is_some(), !it.former.is_empty()));
        for (set, belongs) in [(&mut self.moving, wants), (&mut self.leaving, left)] {
            if belongs {
                set.insert(key.clone());
            } else {
                set.remove(key);
            }
        }
    }

    /// The Mailbox holds its address now, by its status.
    pub(super) fn settle_claim(&mut self, key: &Key) {
        let Some(address) = self.mailboxes.get(key).map(|mailbox| mailbox.fact.address.clone()) else {
            return;
        };
        let Some(first) = self.claims.get(&address).and_then(|claim| claim.by.first()).cloned() else {
            return;
        };
        self.claim(key, &address);
        if self.claims.get(&address).and_then(|claim| claim.by.first()) != Some(&first) {
            self.dirty_addresses.insert(address);
        }
    }

    /// Puts the Mailbox among those who claim an address, where it belongs.
    pub(super) fn claim(&mut self, key: &Key, address: &Arc<str>) {
        let Some(fact) = self.mailboxes.get(key).map(|mailbox| &mailbox.fact) else { return };
        let (rank, claim) = (fact.rank(key, address), self.claims.entry(address.clone()).or_default());
        claim.by.retain(|other| other != key);
        let at = claim.by.partition_point(|other| {
            self.mailboxes.get(other).is_none_or(|it| it.fact.rank(other, address) < rank)
        });
        claim.by.insert(at, key.clone());
    }
}

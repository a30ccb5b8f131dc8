//! The limits of domains, applied: who is served, with how much quota, and what keeps others out. Pure.
//!
//! A mailbox takes a seat in the domain of its own address, in the system where it has the best claim to that address.
//! Whoever had one keeps it, whatever the limits become, also after a restart: the directory tells who was served, with
//! which quota; so do status and the records of mail that is kept. An event costs what it touches, however many are in.

use std::sync::Arc;

use super::{
    DomainFact, Index, Key, Limits, Mailbox, ObjectName, System, compile::DEFAULT_QUOTA, seats::Seats,
};
use crate::{
    directory::{Retired, domain_of},
    names::SystemName,
};

/// Why a domain has no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Full {
    /// It has as many mailboxes as it may have.
    Mailboxes {
        /// The MailDomain.
        domain: Key,
        /// How many it may have.
        most: u32,
        /// How many it has.
        present: u32,
    },
    /// Its mailboxes have so much quota that too little is left.
    Quota {
        /// The MailDomain.
        domain: Key,
        /// How much they may have, in bytes.
        most: u64,
        /// How much they have.
        present: u128,
        /// How much this one wants.
        wanted: u64,
    },
}

/// What a domain has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Its mailboxes.
    pub mailboxes: u32,
    /// Their quotas together, in bytes.
    pub quota: u128,
    /// How many Mailboxes wait to be one, or for more quota.
    pub waiting: u32,
}

impl Mailbox {
    /// The quota that it asks for, in bytes.
    fn wanted_quota(&self) -> u64 {
        self.fact.quota.unwrap_or(DEFAULT_QUOTA)
    }

    /// The quota that it has, in bytes.
    #[must_use]
    pub fn quota_in_force(&self) -> u64 {
        self.seat.granted.unwrap_or_else(|| self.wanted_quota())
    }
}

impl Index {
    /// What the domain has in the system.
    #[must_use]
    pub fn occupancy(&self, name: &SystemName, domain: &str) -> Occupancy {
        self.seats_in(name, domain).map_or_else(Occupancy::default, |seats| Occupancy {
            mailboxes: seats.mailboxes,
            quota: seats.quota,
            waiting: u32::try_from(seats.waiting()).unwrap_or(u32::MAX),
        })
    }

    fn seats_in(&self, name: &SystemName, domain: &str) -> Option<&Seats> {
        self.seats.get(name)?.get(domain)
    }

    /// The MailDomain for which a system serves the domain.
    fn holder_of(&self, name: &SystemName, domain: &str) -> Option<(&Key, &DomainFact)> {
        let listed = &self.domain_claims.get(domain)?.listed;
        let (_, key) = listed.iter().find(|(system, _)| **system == *name)?;
        Some((key, self.domains.get(key)?))
    }

    fn limits_in(&self, name: &SystemName, domain: &str) -> Limits {
        self.holder_of(name, domain).map(|(_, fact)| fact.limits).unwrap_or_default()
    }

    /// Puts the Mailbox in, or among those who wait, where it has the best claim to its address.
    pub(super) fn contend(&mut self, key: &Key) {
        let Some(mailbox) = self.mailboxes.get(key) else { return };
        let at = self.claim_of(key, mailbox);
        if mailbox.seat.system != at {
            self.vacate(key);
        }
        let Some((name, mailbox)) = at.zip(self.mailboxes.get(key)) else { return };
        let Some(system) = self.systems.get(&name) else { return };
        let entitled = entitled(key, mailbox, system);
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        let domain: Arc<str> = domain_of(&mailbox.fact.address).into();
        let (age, wanted) = ((mailbox.fact.meta.created, key.clone()), mailbox.wanted_quota());
        mailbox.seat.system = Some(name.clone());
        let seats = self.seats.entry(name.clone()).or_default().entry(domain.clone()).or_default();
        seats.adjust(&age, &mut mailbox.seat, wanted, entitled);
        self.dirty_seats.insert((name, domain));
    }

    /// Takes the Mailbox out of the domain in which it is or waits.
    pub(super) fn vacate(&mut self, key: &Key) {
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        let Some(name) = mailbox.seat.system.take() else { return };
        let domain = domain_of(&mailbox.fact.address);
        if let Some(seats) = self.seats.get_mut(&name).and_then(|domains| domains.get_mut(domain)) {
            seats.leave(&(mailbox.fact.meta.created, key.clone()), &mut mailbox.seat);
            self.dirty_seats.insert((name, domain.into()));
        }
    }

    /// Lets in who fits. Gives the Mailboxes that may be served from now on.
    pub(super) fn fill_seats(&mut self) -> Vec<Key> {
        let mut came_in = Vec::new();
        for (name, domain) in std::mem::take(&mut self.dirty_seats) {
            if let Some((holder, _)) = self.holder_of(&name, &domain) {
                let holder = holder.clone();
                self.changes.domains.insert(holder);
            }
            let limits = self.limits_in(&name, &domain);
            let Some(domains) = self.seats.get_mut(&name) else { continue };
            let Some(seats) = domains.get_mut(&domain) else { continue };
            let gains = seats.fill(&limits);
            if seats.is_empty() {
                domains.remove(&domain);
            }
            for (key, more) in &gains.raised {
                if let Some(mailbox) = self.mailboxes.get_mut(key) {
                    mailbox.seat.granted = Some(mailbox.seat.granted.unwrap_or_default() + more);
                }
                self.touch_content(key);
            }
            for (key, quota) in gains.admitted {
                if let Some(mailbox) = self.mailboxes.get_mut(&key) {
                    (mailbox.seat.taken, mailbox.seat.granted) = (true, Some(quota));
                }
                self.changes.mailboxes.insert(key.clone());
                came_in.push(key);
            }
        }
        came_in
    }

    /// The limits of a MailDomain may be others than they were.
    pub(super) fn relimit(&mut self, key: &Key, old: Option<&DomainFact>) {
        let Some(fact) =
            self.domains.get(key).filter(|fact| old.is_some_and(|old| old.limits != fact.limits))
        else {
            return;
        };
        let seats = self.seats_in(&fact.system, &fact.domain);
        // What they are told names the limit.
        let waiting: Vec<Key> = seats.into_iter().flat_map(|seats| seats.who_wait().cloned()).collect();
        self.dirty_seats.insert((fact.system.clone(), fact.domain.clone()));
        self.changes.mailboxes.extend(waiting);
    }

    /// The directory of the system of these Mailboxes is known now, with the quota that each had in it: who was served
    /// keeps its seat, and the others contend for what is left.
    pub(super) fn reseat(&mut self, claimants: &[(Key, Option<u64>)]) {
        for (key, quota) in claimants {
            self.vacate(key);
            if let Some(mailbox) = self.mailboxes.get_mut(key) {
                mailbox.seat.granted = *quota;
            }
        }
        let mut addresses = Vec::new();
        for (key, _) in claimants {
            self.contend(key);
            let Some(mailbox) = self.mailboxes.get(key).filter(|it| !it.seat.taken) else { continue };
            addresses.extend(mailbox.fact.addresses().cloned());
        }
        self.fill_seats();
        for address in addresses {
            let old = self.claims.get(&address).map(|claim| claim.winners.clone()).unwrap_or_default();
            self.relist(&address, &old);
        }
    }

    /// Why the Mailbox, which has the best claim to its address in `name`, is not served.
    pub(super) fn kept_out(&self, key: &Key, mailbox: &Mailbox, name: &SystemName) -> Option<Full> {
        if mailbox.seat.taken || self.claim_of(key, mailbox).is_none() {
            return None;
        }
        self.no_room(name, domain_of(&mailbox.fact.address), mailbox.wanted_quota())
    }

    /// Why the Mailbox has less quota than it asks for.
    pub(super) fn kept_small(&self, mailbox: &Mailbox, name: &SystemName) -> Option<Full> {
        let wanted = mailbox.wanted_quota();
        let more = wanted.checked_sub(mailbox.quota_in_force()).filter(|more| *more > 0)?;
        let (domain, most, present) = self.no_quota(name, domain_of(&mailbox.fact.address), more)?;
        Some(Full::Quota { domain, most, present, wanted })
    }

    /// Why the Mailbox cannot move into the domain.
    pub(super) fn no_room_in(&self, mailbox: &Mailbox, name: &SystemName, domain: &str) -> Option<Full> {
        if domain_of(&mailbox.fact.address) == domain {
            return None;
        }
        self.no_room(name, domain, mailbox.quota_in_force())
    }

    fn no_room(&self, name: &SystemName, domain: &str, wanted: u64) -> Option<Full> {
        let (key, fact) = self.holder_of(name, domain)?;
        let present = self.occupancy(name, domain).mailboxes;
        match fact.limits.mailboxes {
            Some(most) if present >= most => Some(Full::Mailboxes { domain: key.clone(), most, present }),
            _ => {
                let (domain, most, present) = self.no_quota(name, domain, wanted)?;
                Some(Full::Quota { domain, most, present, wanted })
            }
        }
    }

    /// The limit and what there is, if so much more is too much.
    fn no_quota(&self, name: &SystemName, domain: &str, more: u64) -> Option<(Key, u64, u128)> {
        let (key, fact) = self.holder_of(name, domain)?;
        let (most, present) = (fact.limits.quota?, self.occupancy(name, domain).quota);
        let fits = present + u128::from(more) <= u128::from(most);
        (!fits).then(|| (key.clone(), most, present))
    }
}

/// The quota of a mailbox that had its seat before, and so keeps it.
fn entitled(key: &Key, mailbox: &Mailbox, system: &System) -> Option<u64> {
    let (fact, records) = (&mailbox.fact, &system.records);
    // Nobody is told anything before the directory is known.
    if !system.loaded {
        return Some(mailbox.wanted_quota());
    }
    let of_object = |record: &&Retired| ObjectName::new(&record.namespace, &record.name) == **key;
    // Applied again after an accident: its mail is still in place.
    let undone = || records.in_place(&fact.address).map(|(_, record)| record).filter(of_object);
    let record = records.get(&fact.meta.uid).or_else(undone).map(|record| record.quota);
    let settled = || fact.moving.settled.then(|| mailbox.wanted_quota());
    mailbox.seat.granted.or(record).or_else(settled)
}

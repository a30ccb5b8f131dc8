//! Groups: addresses that reach the members of a MailGroup. Facts come in; whom each group reaches and who has its addresses
//! goes out. Pure.
//!
//! A group has no mail, so nothing is kept of one that goes; but while mail of a mailbox is kept under its address it is not
//! served, since what is written to that address may be meant for somebody else. Whom a group reaches is worked out here,
//! nested groups included, and again whenever something on the way changes.

#[cfg(test)]
mod alias_tests;
mod claims;
mod entry;
mod fact;
mod reach;
#[cfg(test)]
pub(super) mod tests;
mod unreadable;
mod verdict;

pub use claims::Claimant;
pub use fact::GroupFact;
pub use reach::{EXPANDED, MOST, Reach};
pub use verdict::{GroupProblem, GroupVerdict};

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Index, Key, Meta, ObjectName};
use crate::{
    directory::{self, domain_of},
    names::SystemName,
};

/// A MailGroup in the index.
#[derive(Clone, Debug)]
pub struct Group {
    /// The object.
    pub fact: GroupFact,
    /// Whom it reaches.
    pub reach: Reach,
    /// Its entry in the directory that was found, if the object cannot be read and nothing else is known of it.
    held: Option<Box<directory::Group>>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) by_key: HashMap<Key, Group>,
    unreadable: HashMap<Key, Meta>,
    /// Groups by the address of a member.
    pub(super) naming: HashMap<Arc<str>, HashSet<Key>>,
    /// Groups by a domain of theirs or of a member.
    of_domain: HashMap<Arc<str>, HashSet<Key>>,
    pub(super) dirty: HashSet<Key>,
}

impl Index {
    /// A MailGroup is there, or changed.
    pub fn apply_group(&mut self, key: &Key, mut fact: GroupFact) {
        let mended = self.groups.unreadable.remove(key).is_some();
        if let Some(old) = self.groups.by_key.get_mut(key) {
            let same = old.fact.meta.same_object(&fact.meta);
            // Its status may not say yet what was found out.
            fact.has_address |= same && old.fact.has_address && old.fact.address == fact.address;
            if same && !mended && old.fact.says(&fact) {
                if old.fact != fact {
                    old.fact = fact;
                    self.changes.groups.insert(key.clone());
                }
                return;
            }
        }
        self.unlink_group(key);
        self.insert_group(key, fact, None);
    }

    /// A MailGroup is gone.
    pub fn remove_group(&mut self, key: &Key) {
        self.groups.unreadable.remove(key);
        self.unlink_group(key);
    }

    fn insert_group(&mut self, key: &Key, fact: GroupFact, held: Option<Box<directory::Group>>) {
        for member in &fact.members {
            self.groups.naming.entry(member.clone()).or_default().insert(key.clone());
        }
        for domain in fact.domains() {
            self.groups.of_domain.entry(domain.into()).or_default().insert(key.clone());
        }
        for address in fact.addresses() {
            self.claims.entry(address.clone()).or_default().groups.push(key.clone());
            self.dirty_addresses.insert(address.clone());
        }
        self.groups.by_key.insert(key.clone(), Group { fact, reach: Reach::default(), held });
        self.changes.groups.insert(key.clone());
        self.groups.dirty.insert(key.clone());
    }

    fn unlink_group(&mut self, key: &Key) {
        let Some(Group { fact, .. }) = self.groups.by_key.remove(key) else { return };
        for member in &fact.members {
            forget(&mut self.groups.naming, member, key);
        }
        for domain in fact.domains() {
            forget(&mut self.groups.of_domain, domain, key);
        }
        for address in fact.addresses() {
            if let Some(claim) = self.claims.get_mut(address) {
                claim.groups.retain(|other| other != key);
            }
            self.dirty_addresses.insert(address.clone());
        }
    }

    /// A MailGroup of the index.
    #[must_use]
    pub fn group(&self, key: &Key) -> Option<&Group> {
        self.groups.by_key.get(key)
    }

    /// Every MailGroup that is there.
    #[must_use]
    pub fn group_keys(&self) -> Vec<Key> {
        let unknown = self.groups.unreadable.keys().filter(|key| !self.groups.by_key.contains_key(*key));
        self.groups.by_key.keys().chain(unknown).cloned().collect()
    }

    /// The status of the MailGroup was written.
    pub fn published_group(&mut self, key: &Key, uid: &str, status: crate::api::MailGroupStatus) {
        if let Some(group) = self.groups.by_key.get_mut(key).filter(|it| *it.fact.meta.uid == *uid) {
            group.fact.has_address |= status.address.as_deref() == Some(&*group.fact.address);
            group.fact.published = status;
        }
    }

    /// The system in whose directory the MailGroup is, with its address.
    #[must_use]
    pub fn group_in(&self, key: &Key) -> Option<Arc<SystemName>> {
        let winners = &self.claims.get(&self.groups.by_key.get(key)?.fact.address)?.group_winners;
        winners.iter().find(|(_, winner)| winner == key).map(|(system, _)| system.clone())
    }

    /// The MailGroup that has an address in a system, be it served there or not.
    pub(super) fn group_at(&self, address: &str, name: &SystemName) -> Option<&Key> {
        let winners = &self.claims.get(address)?.group_winners;
        winners.iter().find(|(system, _)| **system == *name).map(|(_, key)| key)
    }

    /// The MailGroup that is served at an address.
    pub(super) fn serving_group(&self, address: &str, name: &SystemName) -> Option<&Key> {
        let key = self.group_at(address, name)?;
        let group = self.groups.by_key.get(key)?;
        let here = self.group_in(key).as_deref() == Some(name) && self.blocked(address, name).is_empty();
        let served = group.held.is_some() || self.blocked(&group.fact.address, name).is_empty();
        (here && served).then_some(key)
    }

    /// Mail of these RetiredMailboxes is kept under the address of the group.
    fn blocked(&self, address: &str, name: &SystemName) -> Vec<ObjectName> {
        let records = self.systems.get(name).map(|system| &system.records);
        records.map(|records| records.of_others(address, "")).unwrap_or_default()
    }

    /// Groups that reach this address, or would, are to be looked at again.
    pub(super) fn touch_groups_naming(&mut self, address: &str) {
        if let Some(keys) = self.groups.naming.get(address) {
            self.groups.dirty.extend(keys.iter().cloned());
        }
    }

    /// So are the groups that claim it.
    pub(super) fn touch_groups_at(&mut self, address: &str) {
        if let Some(claim) = self.claims.get(address) {
            self.groups.dirty.extend(claim.groups.iter().cloned());
            self.changes.groups.extend(claim.groups.iter().cloned());
        }
    }

    /// A domain is served, or is not any more.
    pub(super) fn touch_groups_of_domain(&mut self, domain: &str) {
        for key in self.groups.of_domain.get(domain).into_iter().flatten() {
            self.groups.dirty.insert(key.clone());
            self.changes.groups.insert(key.clone());
            // An alias is served where the group's own address is.
            let group = self.groups.by_key.get(key);
            let claims = |it: &&Group| it.fact.addresses().any(|address| domain_of(address) == domain);
            if let Some(group) = group.filter(claims) {
                self.dirty_addresses.extend(group.fact.addresses().cloned());
            }
        }
    }

    pub(super) fn touch_all_groups(&mut self) {
        self.groups.dirty.extend(self.groups.by_key.keys().cloned());
        self.changes.groups.extend(self.groups.by_key.keys().cloned());
    }

    /// Works out whom these groups reach. Gives what was known of each before.
    pub(super) fn settle_reach(&mut self, keys: &HashSet<Key>) -> Vec<(Key, Reach)> {
        let mut before = Vec::new();
        for key in keys {
            let home = self.group_in(key);
            let reach = home.as_ref().map(|name| self.reach(key, name)).unwrap_or_default();
            if let Some(group) = self.groups.by_key.get_mut(key) {
                before.push((key.clone(), std::mem::replace(&mut group.reach, reach)));
            }
        }
        before
    }

    /// Works out how many addresses a message to each of these groups becomes on its way. What is not as `before` is written.
    pub(super) fn settle_expansion(&mut self, before: Vec<(Key, Reach)>) {
        for (key, before) in before {
            let home = self.group_in(&key);
            let reached = self.group(&key).zip(home.as_ref());
            let expands = reached.map(|(group, name)| self.expansion(&group.reach.recipients, name));
            let Some(group) = self.groups.by_key.get_mut(&key) else { continue };
            group.reach.expands = expands.unwrap_or_default();
            if group.reach == before {
                continue;
            }
            self.changes.groups.insert(key.clone());
            if let Some(system) = home.and_then(|name| self.systems.get_mut(&name)) {
                system.dirty(&group.fact.address);
            }
        }
    }
}

fn forget(map: &mut HashMap<Arc<str>, HashSet<Key>>, at: &str, key: &Key) {
    if let Some(keys) = map.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(at);
        }
    }
}

//! Mail whose mailbox is gone: what is kept of it in a directory, who may have it, and which address it blocks. Pure; the
//! clock is the caller's.
//!
//! A Mailbox that is deleted leaves a record of its mail in the same issue of the directory in which its entry
//! disappears, so none vanishes unseen, also while the operator is away: the directory that it finds tells which
//! mailboxes there were. While a record stands, its address is nobody's but an heir's, who has named it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Estate, Index, Key, ObjectName, Records, retired_name};
use crate::{
    directory::{Entry, Refusal, Retired},
    names::SystemName,
};

/// A mailbox that was served and whose object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departed {
    /// Where it was served.
    pub system: Arc<SystemName>,
    /// Its uid.
    pub uid: Box<str>,
    /// What is to be recorded of it; its times are to be filled in.
    pub record: Retired,
}

impl Index {
    /// The records of a system.
    #[must_use]
    pub fn records(&self, system: &SystemName) -> Option<&Records> {
        self.systems.get(system).map(|system| &system.records)
    }

    /// What is to be recorded of a Mailbox that goes, if it was served.
    pub(super) fn depart(&mut self, key: &Key) {
        if let Some(name) = self.listed_in(key) {
            self.leave(key, &name, false);
        } else if let Some(mailbox) = self.mailboxes.get(key) {
            let uid = mailbox.fact.meta.uid.clone();
            self.depart_stranded(&uid);
        }
    }

    /// A Mailbox that is there is served no more, since its domain is not, for example: its mail stays in place.
    pub(super) fn strand(&mut self, key: &Key, name: &Arc<SystemName>, address: &str) {
        if self.mailboxes.get(key).is_some_and(|mailbox| *mailbox.fact.address == *address) {
            self.leave(key, name, true);
        }
    }

    /// A Mailbox goes that was stranded before.
    pub(super) fn depart_stranded(&mut self, uid: &str) {
        let recorded = self.systems.iter().find_map(|(name, system)| Some((name, system.records.get(uid)?)));
        if let Some((name, record)) = recorded {
            let record = Retired { in_place: false, ..record.clone() };
            self.changes.departed.push(Departed { system: name.clone(), uid: uid.into(), record });
        }
    }

    fn leave(&mut self, key: &Key, name: &Arc<SystemName>, in_place: bool) {
        let Some(mailbox) = self.mailboxes.get(key) else { return };
        let Some(system) = self.systems.get(name).filter(|system| system.loaded) else { return };
        // Who was kept out of the address never had mail.
        if mailbox.is_held_unsettled()
            || !matches!(self.estate_in(key, mailbox, system), Estate::Own | Estate::Heir(_))
        {
            return;
        }
        let fact = &mailbox.fact;
        let record = Retired {
            address: fact.address.to_string(),
            store: fact.shard.unwrap_or_default(),
            quota: mailbox.quota_in_force(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            since: 0,
            until: 0,
            in_place,
            confirmed: false,
            purge: false,
        };
        self.changes.departed.push(Departed { system: name.clone(), uid: fact.meta.uid.clone(), record });
    }

    /// The mailboxes of a directory that was found whose Mailbox is gone.
    pub(super) fn departed_before(
        &self,
        name: &SystemName,
        entries: &HashMap<String, Entry>,
    ) -> Vec<Departed> {
        let present: HashMap<&str, &Key> =
            self.mailboxes.iter().map(|(key, mailbox)| (&*mailbox.fact.meta.uid, key)).collect();
        let served = |uid: &str| {
            present.get(uid).is_some_and(|key| self.listed_in(key).is_some_and(|listed| *listed == *name))
        };
        let recorded = |uid: &str| self.records(name).is_some_and(|records| records.get(uid).is_some());
        let unreadable: HashSet<&str> = self.unreadable.mailboxes.values().map(|meta| &*meta.uid).collect();
        let gone = entries.iter().filter_map(|(address, entry)| {
            let Entry::Mailbox(entry) = entry else { return None };
            let (namespace, object) = entry.object.split_once('/')?;
            let unsettled = entry.refusal == Some(Refusal::Unsettled);
            if entry.uid.is_empty() || unsettled || served(&entry.uid) || recorded(&entry.uid) {
                return None;
            }
            let record = Retired {
                address: address.clone(),
                store: entry.store,
                quota: entry.quota,
                namespace: namespace.to_owned(),
                name: object.to_owned(),
                since: 0,
                until: 0,
                // Its Mailbox is there and is not served, since its domain is not, for example.
                in_place: present.contains_key(&*entry.uid) || unreadable.contains(&*entry.uid),
                confirmed: false,
                purge: false,
            };
            Some(Departed { system: Arc::new(name.clone()), uid: entry.uid.as_str().into(), record })
        });
        gone.collect()
    }

    /// Leaves of what departed only what is gone for good: a Mailbox that is served again has its mail itself.
    pub(super) fn settle_departed(&mut self) {
        let mut departed = std::mem::take(&mut self.changes.departed);
        departed.retain(|it| {
            let key: Key = ObjectName::new(&it.record.namespace, &it.record.name).into();
            let back = self.mailboxes.get(&key).is_some_and(|mailbox| mailbox.fact.meta.uid == it.uid);
            !(back && self.listed_in(&key).is_some())
        });
        self.changes.departed = departed;
    }

    /// The uids of mailboxes that vanished in numbers and whose mail stays in place.
    #[must_use]
    pub fn vanished(&self, name: &SystemName) -> Vec<Box<str>> {
        let records = self.records(name).into_iter().flat_map(Records::iter).filter(|(_, it)| it.in_place);
        records.filter(|(uid, record)| !self.is_stranded(uid, record)).map(|(uid, _)| uid.into()).collect()
    }

    /// Whether the Mailbox is there whose mail the record is of, readable or not.
    #[must_use]
    pub fn is_stranded(&self, uid: &str, record: &Retired) -> bool {
        let key: Key = ObjectName::new(&record.namespace, &record.name).into();
        let known = self.mailboxes.get(&key).map(|mailbox| &*mailbox.fact.meta.uid);
        known.or(self.unreadable.mailboxes.get(&key).map(|meta| &*meta.uid)) == Some(uid)
    }

    /// Records mail whose mailbox is gone, or changes what is recorded.
    pub fn record(&mut self, name: &SystemName, uid: &str, record: Retired) {
        let Some(system) = self.systems.get_mut(name) else { return };
        if system.records.get(uid) == Some(&record) {
            return;
        }
        let (address, object) = (Arc::from(record.address.as_str()), retired_name(uid, &record));
        system.records.insert(uid, record);
        self.touch_record(name, &object, &address);
    }

    /// Strikes a record off: its mail is gone, or has an owner again.
    pub fn strike_off(&mut self, name: &SystemName, uid: &str) {
        let Some(system) = self.systems.get_mut(name) else { return };
        let Some(record) = system.records.remove(uid) else { return };
        self.touch_record(name, &retired_name(uid, &record), &record.address.as_str().into());
    }

    /// Whoever claims the address, or names the record, may be served otherwise.
    fn touch_record(&mut self, name: &SystemName, object: &ObjectName, address: &Arc<str>) {
        if let Some(system) = self.systems.get_mut(name) {
            system.dirty(address);
            system.dirty_domains = true;
        }
        let aliases = self.claims.get(address).map(|claim| self.groups.aliases_of(&claim.groups, address));
        if let Some(system) = self.systems.get_mut(name) {
            aliases.iter().flatten().for_each(|alias| system.dirty(alias));
        }
        self.touch_groups_at(address);
        self.touch_groups_naming(address);
        let claimants = self.claims.get(address).into_iter().flat_map(|claim| claim.by.clone());
        let heirs = self.restoring.get(object);
        let touched: Vec<Key> = claimants.chain(heirs.into_iter().flatten().cloned()).collect();
        for key in touched {
            self.touch_content(&key);
        }
    }
}

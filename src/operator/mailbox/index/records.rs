//! What is recorded in a directory of mail whose mailbox is gone. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ObjectName;
use crate::directory::{Entry, MailboxEntry, Retired, Shard, domain_of, shard_of};

/// The records of a system.
#[derive(Debug, Default)]
pub struct Records {
    by_uid: BTreeMap<Box<str>, Retired>,
    by_address: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
}

impl Records {
    /// All of them, by uid.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Retired)> {
        self.by_uid.iter().map(|(uid, record)| (&**uid, record))
    }

    /// The one of this uid.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Retired> {
        self.by_uid.get(uid)
    }

    /// Those of this address.
    pub(super) fn at(&self, address: &str) -> impl Iterator<Item = (&str, &Retired)> {
        let uids = self.by_address.get(address).into_iter().flatten();
        uids.filter_map(|uid| Some((&**uid, self.by_uid.get(uid)?)))
    }

    /// The RetiredMailboxes for mail of other owners than `uid` under this address.
    pub(super) fn of_others(&self, address: &str, uid: &str) -> Vec<ObjectName> {
        self.at(address).filter(|(other, _)| *other != uid).map(|it| retired_name(it.0, it.1)).collect()
    }

    /// The one whose RetiredMailbox has this name.
    pub(super) fn named(&self, name: &ObjectName) -> Option<&str> {
        self.iter().find(|(uid, record)| retired_name(uid, record) == *name).map(|(uid, _)| uid)
    }

    /// The mail that is still under this address, with its uid.
    #[must_use]
    pub fn in_place(&self, address: &str) -> Option<(&str, &Retired)> {
        self.at(address).find(|(_, record)| record.in_place)
    }

    /// What part `shard` of `count` has of them: all, and entries for the mail that is still in place.
    pub(super) fn content(&self, shard: u32, count: u32) -> Shard {
        let here = self.iter().filter(|(_, record)| shard_of(&record.address, count) == shard);
        let mut content = Shard::default();
        for (uid, record) in here {
            if record.in_place {
                content.entries.insert(record.address.clone(), Entry::Mailbox(entry_in_place(uid, record)));
            }
            content.retired.insert(uid.to_owned(), record.clone());
        }
        content
    }

    /// The domains of the mail that is still in place.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        self.by_uid.values().filter(|record| record.in_place).map(|record| domain_of(&record.address))
    }

    pub(super) fn insert(&mut self, uid: &str, record: Retired) {
        self.by_address.entry(record.address.as_str().into()).or_default().insert(uid.into());
        self.by_uid.insert(uid.into(), record);
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<Retired> {
        let record = self.by_uid.remove(uid)?;
        if let Some(uids) = self.by_address.get_mut(record.address.as_str()) {
            uids.remove(uid);
            if uids.is_empty() {
                self.by_address.remove(record.address.as_str());
            }
        }
        Some(record)
    }
}

/// The name of the RetiredMailbox for this mail: that of the Mailbox and the first digits of its uid.
#[must_use]
pub fn retired_name(uid: &str, record: &Retired) -> ObjectName {
    let digits: String = uid.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    ObjectName::new(&record.namespace, &format!("{}-{digits}", record.name))
}

/// The entry of mail that is still under its address though its Mailbox is gone: it receives, and nobody reads it.
#[must_use]
pub fn entry_in_place(uid: &str, record: &Retired) -> MailboxEntry {
    MailboxEntry {
        uid: uid.to_owned(),
        object: format!("{}/{}", record.namespace, record.name),
        store: record.store,
        state: crate::api::MailboxState::Suspended,
        quota: record.quota,
        ..MailboxEntry::default()
    }
}

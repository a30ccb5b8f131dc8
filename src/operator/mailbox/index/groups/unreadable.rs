//! MailGroups that are there and cannot be read. As with Mailboxes, what the directory last held of them is served on, and
//! nobody else gets their addresses. Pure.

use std::sync::Arc;

use super::{
    super::{Existing, Index, Key, Meta},
    GroupFact,
};
use crate::{
    api::MailGroupStatus,
    directory::{self, Entry},
};

impl Index {
    /// A MailGroup is there that cannot be read.
    pub fn group_unreadable(&mut self, key: &Key, meta: &Meta) {
        if self.groups.by_key.get(key).is_some_and(|known| !known.fact.meta.same_object(meta)) {
            self.unlink_group(key);
        }
        self.groups.unreadable.insert(key.clone(), meta.clone());
        self.changes.groups.insert(key.clone());
        if self.groups.by_key.contains_key(key) {
            self.groups.dirty.insert(key.clone());
        }
    }

    /// Whether this MailGroup cannot be read, and had this address when it could be: then it keeps that.
    pub(in super::super) fn group_keeps(&self, key: &Key, address: &str) -> bool {
        let winners =
            self.claims.get(address).map(|claim| claim.group_winners.as_slice()).unwrap_or_default();
        let has = || winners.iter().any(|(_, winner)| winner == key);
        self.groups.unreadable.contains_key(key)
            && self.group(key).is_some_and(|group| group.held.is_some() || has())
    }

    /// Takes up what a directory that was there holds of groups that cannot be read.
    pub(in super::super) fn revive_groups(&mut self, existing: &Existing) {
        let unknown: Vec<(Key, Meta)> = self
            .groups
            .unreadable
            .iter()
            .filter(|(key, _)| !self.groups.by_key.contains_key(*key))
            .map(|(key, meta)| (key.clone(), meta.clone()))
            .collect();
        for (key, meta) in unknown {
            let held = existing.groups.iter().find(|(_, group)| *group.uid == *meta.uid);
            if let Some((address, group)) = held {
                let aliases = existing.entries.iter().filter_map(|(alias, entry)| match entry {
                    Entry::Alias(own) if own == address => Some(Arc::from(alias.as_str())),
                    Entry::Alias(_) | Entry::Mailbox(_) => None,
                });
                let fact = fact(meta, address, aliases.collect(), group);
                self.insert_group(&key, fact, Some(Box::new(group.clone())));
            }
        }
        self.changes.groups.extend(self.groups.unreadable.keys().cloned());
    }
}

/// A MailGroup of which nothing is known but its entry: whom it reached is whom it reaches.
fn fact(meta: Meta, address: &str, mut aliases: Vec<Arc<str>>, group: &directory::Group) -> GroupFact {
    aliases.sort();
    GroupFact {
        meta,
        address: address.into(),
        aliases: aliases.into(),
        members: group.recipients.iter().map(|it| it.as_str().into()).collect(),
        external: true,
        posting: group.posting,
        senders: group.senders.iter().map(|it| it.as_str().into()).collect(),
        owners: Box::default(),
        has_address: true,
        published: MailGroupStatus::default(),
    }
}

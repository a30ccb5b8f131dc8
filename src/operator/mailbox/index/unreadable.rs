//! Objects that are there and cannot be read: a newer definition meets an older operator. What the directory last held of
//! them is served on as it was, nobody else gets their addresses, and their mail is not retired. Pure.
//!
//! What was read before stays in the index. What was not, after a restart, is taken from the directory that was there:
//! each entry names the uid of its Mailbox, and the index the uid of each domain's MailDomain.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{DomainFact, Existing, Index, Key, Login, Mailbox, MailboxFact, Meta, Password, Published};
use crate::{
    api::MailDomainStatus,
    directory::{Credential, Entry, MailboxEntry, Refusal},
    names::SystemName,
};

/// The objects that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    pub systems: HashSet<Arc<SystemName>>,
    pub domains: HashMap<Key, Meta>,
    pub mailboxes: HashMap<Key, Meta>,
}

impl Index {
    /// A MailSystem is there that cannot be read. One that was read before stays as it was.
    pub fn system_unreadable(&mut self, name: &Arc<SystemName>) {
        if !self.systems.contains_key(name) && self.unreadable.systems.insert(name.clone()) {
            self.touch_domains_of(name);
        }
    }

    /// A MailDomain is there that cannot be read.
    pub fn domain_unreadable(&mut self, key: &Key, meta: &Meta) {
        if self.domains.get(key).is_some_and(|known| !known.meta.same_object(meta)) {
            self.remove_domain(key);
        }
        self.unreadable.domains.insert(key.clone(), meta.clone());
        self.changes.domains.insert(key.clone());
    }

    /// A Mailbox is there that cannot be read.
    pub fn mailbox_unreadable(&mut self, key: &Key, meta: &Meta) {
        if self.mailboxes.get(key).is_some_and(|known| !known.fact.meta.same_object(meta)) {
            self.remove_mailbox(key);
        }
        self.unreadable.mailboxes.insert(key.clone(), meta.clone());
        self.changes.mailboxes.insert(key.clone());
    }

    /// Whether some MailSystem cannot be read, and so is not known with what it has.
    #[must_use]
    pub fn has_unknown_systems(&self) -> bool {
        !self.unreadable.systems.is_empty()
    }

    /// Whether this MailDomain cannot be read.
    #[must_use]
    pub fn is_domain_unreadable(&self, key: &Key) -> bool {
        self.unreadable.domains.contains_key(key)
    }

    /// Every MailSystem that is there.
    #[must_use]
    pub fn system_names(&self) -> Vec<Arc<SystemName>> {
        self.systems.keys().chain(&self.unreadable.systems).cloned().collect()
    }

    /// Every MailDomain that is there.
    #[must_use]
    pub fn domain_keys(&self) -> Vec<Key> {
        self.domains.keys().chain(self.unreadable.domains.keys()).cloned().collect()
    }

    /// Every Mailbox that is there.
    #[must_use]
    pub fn mailbox_keys(&self) -> Vec<Key> {
        self.mailboxes.keys().chain(self.unreadable.mailboxes.keys()).cloned().collect()
    }

    /// A Mailbox can be read. True if it could not be before: everything about it is settled again.
    pub(super) fn mend_mailbox(&mut self, key: &Key) -> bool {
        let mended = self.unreadable.mailboxes.remove(key).is_some();
        if let Some(mailbox) = self.mailboxes.get_mut(key).filter(|_| mended) {
            self.dirty_addresses.extend(mailbox.fact.addresses().cloned());
            if mailbox.held.take().is_some() {
                mailbox.password.login = Login::Unknown;
            }
        }
        mended
    }

    /// Whether the Mailbox keeps an address that it has against older ones: it cannot be asked, and what it had was
    /// settled.
    pub(super) fn keeps(&self, key: &Key, address: &str) -> bool {
        let has = |key: &Key| {
            let winners = self.claims.get(address).map(|claim| claim.winners.as_slice()).unwrap_or_default();
            winners.iter().any(|winner| winner.key == *key)
        };
        self.unreadable.mailboxes.contains_key(key)
            && (self.mailboxes.get(key).is_some_and(|mailbox| mailbox.held.is_some()) || has(key))
    }

    /// Takes up what a directory that was there holds of objects that cannot be read.
    pub(super) fn revive(&mut self, name: &SystemName, existing: &Existing) {
        self.revive_domains(name, existing);
        self.revive_mailboxes(existing);
        self.revive_groups(existing);
        // Whether they are served is known now.
        self.changes.domains.extend(self.unreadable.domains.keys().cloned());
        self.changes.mailboxes.extend(self.unreadable.mailboxes.keys().cloned());
    }

    fn revive_domains(&mut self, name: &SystemName, existing: &Existing) {
        let unknown: Vec<(Key, Meta)> = self
            .unreadable
            .domains
            .iter()
            .filter(|(key, _)| !self.domains.contains_key(*key))
            .map(|(key, meta)| (key.clone(), meta.clone()))
            .collect();
        for (key, meta) in unknown {
            let held = existing.holders.iter().find(|(_, uid)| **uid == *meta.uid);
            let Some((domain, _)) = held else { continue };
            let fact = DomainFact {
                meta,
                domain: domain.as_str().into(),
                system: Arc::new(name.clone()),
                selector: "".into(),
                rotate_every: None,
                dns_check: false,
                messages_per_hour: existing.domain_limits.get(domain).copied(),
                // Those that are there keep their quotas anyway.
                limits: super::Limits::default(),
                published: MailDomainStatus::default(),
            };
            self.insert_domain(&key, fact);
        }
    }

    fn revive_mailboxes(&mut self, existing: &Existing) {
        let unknown: HashMap<&str, (&Key, &Meta)> = self
            .unreadable
            .mailboxes
            .iter()
            .filter(|(key, _)| !self.mailboxes.contains_key(*key))
            .map(|(key, meta)| (&*meta.uid, (key, meta)))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let mut aliases: HashMap<&str, Vec<Arc<str>>> = HashMap::new();
        for (alias, entry) in &existing.entries {
            if let Entry::Alias(address) = entry {
                aliases.entry(address).or_default().push(alias.as_str().into());
            }
        }
        let held: Vec<(Key, Mailbox)> = existing
            .entries
            .iter()
            .filter_map(|(address, entry)| {
                let Entry::Mailbox(entry) = entry else { return None };
                let (key, meta) = unknown.get(entry.uid.as_str())?;
                let aliases = aliases.remove(address.as_str()).unwrap_or_default();
                Some(((*key).clone(), held(meta, address, aliases, entry)))
            })
            .collect();
        for (key, mailbox) in held {
            self.insert_mailbox(&key, mailbox.fact.clone());
            self.mailboxes.insert(key, mailbox);
        }
    }
}

/// A Mailbox of which nothing is known but its entry.
fn held(meta: &Meta, address: &str, mut aliases: Vec<Arc<str>>, entry: &MailboxEntry) -> Mailbox {
    aliases.sort();
    let fact = MailboxFact {
        meta: meta.clone(),
        address: address.into(),
        aliases: aliases.into(),
        moving: super::Moving { settled: true, ..super::Moving::default() },
        sharing: super::Sharing::default(),
        forward: None,
        state: entry.state,
        refusal: entry.refusal.clone(),
        quota: Some(entry.quota),
        secret: None,
        apps: Box::default(),
        protocols: entry.protocols.as_slice().into(),
        limits: entry.limits,
        suspended: entry.sending_suspended,
        resume: None,
        // Nobody knows what it says, and its condition is another.
        review_by: None,
        marked: super::Marks::default(),
        adopt: entry.adopt,
        restore_from: None,
        restored_from: None,
        shard: Some(entry.store),
        former_shard: None,
        published: Published::default(),
    };
    let password = Password::known(entry.credential.clone());
    let known =
        |(name, app): (&String, &Credential)| (name.as_str().into(), Password::known(Some(app.clone())));
    let apps = entry.app_passwords.iter().map(known).collect();
    Mailbox { password, apps, held: Some(Box::new(entry.clone())), ..Mailbox::new(fact) }
}

impl Mailbox {
    /// Whether it was kept out of its address, and so never had mail there.
    pub(super) fn is_held_unsettled(&self) -> bool {
        self.held.as_ref().is_some_and(|entry| entry.refusal == Some(Refusal::Unsettled))
    }
}

#[cfg(test)]
#[path = "unreadable_tests.rs"]
mod tests;

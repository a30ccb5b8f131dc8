//! The directory of one system as the index keeps it: which addresses it lists, in how many shards, and which of those
//! changed. Pure.

use std::{collections::BTreeSet, sync::Arc};

use super::{Records, SystemFact, services::Services};
use crate::directory::shard_of;

/// A MailSystem in the index, with its directory.
#[derive(Debug)]
pub struct System {
    /// The object.
    pub fact: SystemFact,
    /// Whether the directory that it had was looked at. Nothing is compiled before.
    pub loaded: bool,
    /// Number of mailboxes listed.
    pub mailboxes: u32,
    /// Mail whose mailbox is gone.
    pub records: Records,
    /// What the Secrets of its directory services held last.
    pub(super) services: Services,
    pub(super) domains: BTreeSet<Arc<str>>,
    /// Addresses for each shard.
    pub(super) shards: Vec<BTreeSet<Arc<str>>>,
    pub(super) dirty_shards: BTreeSet<u32>,
    pub(super) dirty_domains: bool,
    /// Whether something changed since it was last asked.
    pub(super) fresh: bool,
}

impl System {
    pub(super) fn new(fact: SystemFact) -> Self {
        Self {
            fact,
            loaded: false,
            mailboxes: 0,
            records: Records::default(),
            services: Services::new(),
            domains: BTreeSet::new(),
            shards: vec![BTreeSet::new()],
            dirty_shards: BTreeSet::from([0]),
            dirty_domains: true,
            fresh: true,
        }
    }

    /// Number of directory shards.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// Number of served domains.
    #[must_use]
    pub fn domain_count(&self) -> u32 {
        u32::try_from(self.domains.len()).unwrap_or(u32::MAX)
    }

    /// Every domain for which mail is accepted, sorted: served ones, and those of mail that is still in place.
    #[must_use]
    pub fn all_domains(&self) -> Vec<String> {
        let all: BTreeSet<&str> =
            self.domains.iter().map(|domain| &**domain).chain(self.records.domains()).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Whether anything changed since it was compiled.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.loaded && (self.dirty_domains || !self.dirty_shards.is_empty())
    }

    pub(super) fn dirty(&mut self, address: &str) {
        self.dirty_shards.insert(shard_of(address, self.count()));
        self.fresh = true;
    }

    pub(super) fn list_domain(&mut self, domain: &Arc<str>) {
        self.dirty_domains |= self.domains.insert(domain.clone());
        self.fresh = true;
    }

    pub(super) fn unlist_domain(&mut self, domain: &Arc<str>) {
        self.dirty_domains |= self.domains.remove(domain);
        self.fresh = true;
    }

    /// Lists `address` or strikes it off.
    pub(super) fn list(&mut self, address: &Arc<str>, own: bool, list: bool) {
        let shard = shard_of(address, self.count());
        let Some(addresses) = self.shards.get_mut(shard as usize) else { return };
        let changed = if list { addresses.insert(address.clone()) } else { addresses.remove(address) };
        self.dirty_shards.insert(shard);
        self.fresh = true;
        match (own && changed, list) {
            (true, true) => self.mailboxes += 1,
            (true, false) => self.mailboxes -= 1,
            (false, _) => {}
        }
    }

    /// Spreads the addresses over `count` shards.
    pub(super) fn reshard(&mut self, count: u32) {
        if count == self.count() {
            return;
        }
        let mut shards = vec![BTreeSet::new(); count as usize];
        for address in std::mem::take(&mut self.shards).into_iter().flatten() {
            if let Some(shard) = shards.get_mut(shard_of(&address, count) as usize) {
                shard.insert(address);
            }
        }
        self.shards = shards;
        self.dirty_shards = (0..count).collect();
        self.dirty_domains = true;
    }
}

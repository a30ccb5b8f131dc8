//! From the index to the content of a directory, and back from a directory that was there before. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Estate, Index, Key, System, records::entry_in_place};
use crate::{
    api::{MailboxState, SystemLimits},
    directory::{Entry, Group, Ldap, MailboxEntry, Refusal, Retired, Shard, domain_of, shard_of},
    names::SystemName,
};

/// Entries that a shard should not exceed: about a quarter of what a Secret holds.
const FULL: usize = 2000;
/// Below this many entries for each shard the number of shards is halved: far enough from [`FULL`] not to go back and forth.
const EMPTY: usize = 500;
/// What a mailbox gets whose quota cannot be read.
pub const DEFAULT_QUOTA: u64 = 2 << 30;

/// The directory that a system had when the operator started.
#[derive(Debug, Default)]
pub struct Existing {
    /// Number of its shards.
    pub shards: u32,
    /// Its entries.
    pub entries: HashMap<String, Entry>,
    /// The uids of MailDomains by domain.
    pub holders: std::collections::BTreeMap<String, String>,
    /// Messages within an hour, of the domains that have a limit.
    pub domain_limits: BTreeMap<String, u32>,
    /// Mail whose mailbox is gone, by uid.
    pub retired: std::collections::BTreeMap<String, Retired>,
    /// Its groups, by address.
    pub groups: HashMap<String, Group>,
    /// Directory services.
    pub ldap: Vec<Arc<Ldap>>,
}

impl Existing {
    fn mailbox(&self, address: &str) -> Option<&MailboxEntry> {
        match self.entries.get(address)? {
            Entry::Mailbox(entry) => Some(entry),
            Entry::Alias(_) => None,
        }
    }

    /// By owner, with the address: a mailbox may have had another.
    fn by_uid(&self) -> HashMap<&str, (&str, &MailboxEntry)> {
        let mailboxes =
            self.entries.keys().filter_map(|address| Some((address.as_str(), self.mailbox(address)?)));
        let owned = mailboxes.filter(|(_, entry)| !entry.uid.is_empty());
        owned.map(|(address, entry)| (entry.uid.as_str(), (address, entry))).collect()
    }
}

/// The changed parts of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Number of shards.
    pub count: u32,
    /// Served domains, sorted.
    pub domains: Vec<String>,
    /// The uid of the MailDomain of each that has one.
    pub holders: std::collections::BTreeMap<String, String>,
    /// How much each mailbox may send.
    pub limits: SystemLimits,
    /// Messages within an hour, of the domains that have a limit.
    pub domain_limits: BTreeMap<String, u32>,
    /// Directory services.
    pub ldap: Vec<Arc<Ldap>>,
    /// The shards that may have changed, by number.
    pub shards: Vec<(u32, Shard)>,
}

/// The number of shards for `entries` when there are `count`.
#[must_use]
pub fn fitting(entries: usize, count: u32) -> u32 {
    let mut fitting = count.max(1).next_power_of_two();
    while entries > FULL * fitting as usize && fitting < 1 << 16 {
        fitting *= 2;
    }
    while fitting > 1 && entries < EMPTY * fitting as usize {
        fitting /= 2;
    }
    fitting
}

impl Index {
    /// A system of the index.
    #[must_use]
    pub fn system(&self, name: &SystemName) -> Option<&System> {
        self.systems.get(name)
    }

    /// All systems.
    pub fn systems(&self) -> impl Iterator<Item = (&Arc<SystemName>, &System)> {
        self.systems.iter()
    }

    /// The directory that a system had, if any. What it says of a mailbox's shard and password is kept.
    pub fn load(&mut self, name: &SystemName, existing: Option<Existing>) {
        let existing = existing.unwrap_or_default();
        self.remember_services(name, &existing.ldap);
        self.revive(name, &existing);
        self.settle_domains();
        self.settle_addresses();
        let Some(system) = self.systems.get_mut(name) else { return };
        system.loaded = true;
        for (uid, record) in &existing.retired {
            system.records.insert(uid, record.clone());
        }
        system.reshard(existing.shards.clamp(1, 1 << 16).next_power_of_two());
        let addresses: Vec<_> = system.shards.iter().flatten().cloned().collect();
        let by_uid = existing.by_uid();
        let mut claimants = Vec::new();
        for address in addresses {
            let Some(winner) = self.winner(&address, name).filter(|winner| winner.own) else { continue };
            let key = winner.key.clone();
            let mut quota = None;
            if let Some(mailbox) = self.mailboxes.get_mut(&key)
                && let Some((listed, entry)) = existing
                    .mailbox(&address)
                    .map(|entry| (&*address, entry))
                    .or(by_uid.get(&*mailbox.fact.meta.uid).copied())
            {
                mailbox.fact.shard = Some(mailbox.fact.shard.unwrap_or(entry.store));
                // A predecessor's password opens nothing.
                let same_owner = entry.uid.is_empty() || *entry.uid == *mailbox.fact.meta.uid;
                if same_owner {
                    // A place in another domain is none in this one.
                    quota = (domain_of(listed) == domain_of(&address)).then_some(entry.quota);
                    mailbox.remember(entry.credential.as_ref(), &entry.app_passwords);
                    mailbox.sending.remember(entry, mailbox.fact.resume);
                }
            }
            self.changes.mailboxes.insert(key.clone());
            claimants.push((key, quota));
        }
        self.reseat(&claimants);
        let departed = self.departed_before(name, &existing.entries);
        self.changes.departed.extend(departed);
        self.touch_all_groups();
    }

    /// Chooses a store shard for a mailbox that was listed in a loaded directory and has none.
    pub(super) fn place(&mut self, key: &Key) {
        let Some(name) = self.listed_in(key) else { return };
        let estate = self.estate(key);
        let beside = self.shard_of_members(key, &name);
        let Some(system) = self.systems.get_mut(&name).filter(|system| system.loaded) else { return };
        let Some(mailbox) = self.mailboxes.get_mut(key) else { return };
        let shard = match (&estate, mailbox.fact.shard) {
            // The mail is where it is.
            (Estate::Heir(uid), _) => system.records.get(uid).map(|record| record.store),
            // A backup has it there, and brings it back there.
            (_, None) => mailbox
                .fact
                .former_shard
                .map(u32::from)
                .filter(|shard| *shard < system.fact.stores)
                .or(beside)
                .or_else(|| Some(shard_of(&mailbox.fact.address, system.fact.stores))),
            _ => return,
        };
        if mailbox.fact.shard != shard {
            mailbox.fact.shard = shard;
            system.dirty(&mailbox.fact.address);
        }
    }

    /// The changed parts of a system's directory, which from now on count as unchanged. Call it after [`Index::settle`].
    pub fn compile(&mut self, name: &SystemName) -> Option<Compiled> {
        let groups = self.weight_of_groups();
        let system = self.systems.get_mut(name)?;
        let entries = system.shards.iter().map(BTreeSet::len).sum::<usize>() + groups;
        system.reshard(fitting(entries, system.count()));
        system.dirty_domains = false;
        let dirty = std::mem::take(&mut system.dirty_shards);
        let system = self.systems.get(name)?;
        let count = system.count();
        let shards = dirty.into_iter().map(|shard| {
            let mut content = system.records.content(shard, count);
            for address in system.shards.get(shard as usize).into_iter().flatten() {
                if let Some(entry) = self.entry(address, name) {
                    content.entries.insert(address.to_string(), entry);
                } else if let Some(group) = self.group_alias(address, name) {
                    content.entries.insert(address.to_string(), Entry::Alias(group));
                } else if let Some(group) = self.group_entry(address, name) {
                    content.groups.insert(address.to_string(), group);
                }
            }
            (shard, content)
        });
        let (shards, holders) = (shards.collect(), self.holders(name));
        let (limits, domain_limits) = (system.fact.limits, self.domain_limits(name));
        let domains = system.all_domains();
        let ldap = self.ldap(name);
        Some(Compiled { count, domains, holders, limits, domain_limits, ldap, shards })
    }

    /// The uids of the MailDomains that a system serves, by domain.
    fn holders(&self, name: &SystemName) -> std::collections::BTreeMap<String, String> {
        let domains = self.systems.get(name).into_iter().flat_map(|system| &system.domains);
        let held = domains.filter_map(|domain| {
            let (_, key) = self.domain_claims.get(domain)?.listed.iter().find(|(by, _)| **by == *name)?;
            Some((domain.to_string(), self.domains.get(key)?.meta.uid.to_string()))
        });
        held.collect()
    }

    /// Whether a system's directory changed since this was last asked.
    pub fn take_fresh(&mut self, name: &SystemName) -> bool {
        self.systems.get_mut(name).is_some_and(|system| std::mem::take(&mut system.fresh))
    }

    /// All of a system's directory is written again.
    pub fn rewrite(&mut self, name: &SystemName) {
        if let Some(system) = self.systems.get_mut(name) {
            system.dirty_shards = (0..system.count()).collect();
            system.dirty_domains = true;
            system.fresh = true;
        }
    }

    fn entry(&self, address: &str, name: &SystemName) -> Option<Entry> {
        let (winner, system) = (self.winner(address, name)?, self.systems.get(name)?);
        let mailbox = self.mailboxes.get(&winner.key)?;
        let in_place = || {
            let (uid, record) = system.records.in_place(address)?;
            Some(Entry::Mailbox(entry_in_place(uid, record)))
        };
        if let Some(entry) = mailbox.held.as_ref().filter(|_| winner.own) {
            return Some(Entry::Mailbox((**entry).clone()));
        }
        if !winner.own {
            return in_place().or_else(|| Some(Entry::Alias(mailbox.fact.address.to_string())));
        }
        let mut entry = MailboxEntry {
            uid: mailbox.fact.meta.uid.to_string(),
            object: format!("{}/{}", winner.key.namespace, winner.key.name),
            heir_of: None,
            adopt: mailbox.fact.adopt || system.fact.adopt,
            store: mailbox.fact.shard.unwrap_or_default(),
            state: match mailbox.fact.state {
                MailboxState::Active => MailboxState::Active,
                // Agents of an earlier release know these two alone.
                _ => MailboxState::Suspended,
            },
            refusal: mailbox.fact.refusal.clone(),
            quota: mailbox.quota_in_force(),
            credential: mailbox.password.credential.clone().filter(|_| !mailbox.fact.is_shared()),
            own_password: mailbox.fact.secret.is_some(),
            shares: mailbox.shares.clone(),
            forward: mailbox.forward.clone(),
            app_passwords: if mailbox.fact.is_shared() { BTreeMap::new() } else { mailbox.app_credentials() },
            protocols: mailbox.fact.protocols.to_vec(),
            limits: mailbox.fact.limits,
            sending_suspended: mailbox.sending.suspended,
            sending_resumed: mailbox.sending.resumed,
        };
        match self.estate(&winner.key) {
            Estate::Own => {}
            Estate::Heir(uid) => entry.heir_of = Some(uid.into()),
            Estate::Blocked(_) | Estate::NoSource(_) | Estate::SourceTaken(..) => {
                if let Some(in_place) = in_place() {
                    return Some(in_place);
                }
                entry.refusal = Some(Refusal::Unsettled);
                entry.credential = None;
                entry.app_passwords.clear();
            }
        }
        Some(Entry::Mailbox(entry))
    }
}

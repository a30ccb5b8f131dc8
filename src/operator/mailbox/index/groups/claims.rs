//! Who has an address that both Mailboxes and MailGroups claim. Pure.

use std::{fmt, sync::Arc};

use super::{
    super::{Index, Key, claims::Winner},
    Groups,
};
use crate::{directory::domain_of, names::SystemName};

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// This Mailbox.
    Mailbox(Key),
    /// This MailGroup.
    Group(Key),
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(key) => write!(f, "Mailbox {key}"),
            Self::Group(key) => write!(f, "MailGroup {key}"),
        }
    }
}

impl Index {
    /// Who has an address in a system, listed or not.
    pub(in super::super) fn claimant(&self, address: &str, system: &SystemName) -> Option<Claimant> {
        let mailbox = self.winner(address, system).map(|winner| Claimant::Mailbox(winner.key.clone()));
        mailbox.or_else(|| self.group_at(address, system).cloned().map(Claimant::Group))
    }

    /// The same, unless it is this Mailbox.
    pub(in super::super) fn rival(&self, key: &Key, address: &str, system: &SystemName) -> Option<Claimant> {
        self.claimant(address, system).filter(|rival| *rival != Claimant::Mailbox(key.clone()))
    }

    /// The groups that come before every other and before the mailbox, one for each system.
    pub(in super::super) fn decide_groups(
        &self,
        address: &Arc<str>,
        mailboxes: &[Winner],
    ) -> Vec<(Arc<SystemName>, Key)> {
        let keys = self.claims.get(address).map(|claim| claim.groups.as_slice()).unwrap_or_default();
        let ranked = keys.iter().filter_map(|key| {
            let rank = self.group(key)?.fact.rank(address, self.group_keeps(key, address));
            Some((rank, key))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort();
        let mut groups: Vec<(Arc<SystemName>, Key)> = Vec::new();
        for ((wants, created), key) in ranked {
            let Some(system) = self.group_place(key, address) else { continue };
            let mailbox = mailboxes.iter().find(|winner| winner.system == *system);
            let mailbox = mailbox.and_then(|winner| {
                let (wants, created, _) = self.mailboxes.get(&winner.key)?.fact.rank(&winner.key, address);
                Some((wants && !self.keeps(&winner.key, address), created))
            });
            // Of two that were made in the same second, the one that has mail.
            let first = mailbox.is_none_or(|mailbox| (wants, created) < mailbox);
            if first && groups.iter().all(|(other, _)| other != system) {
                groups.push((system.clone(), key.clone()));
            }
        }
        groups
    }

    /// The system in which the MailGroup may have this address: an alias is served where its own address is.
    fn group_place(&self, key: &Key, address: &str) -> Option<&Arc<SystemName>> {
        let own = self.placement(&key.namespace, domain_of(&self.group(key)?.fact.address)).ok()?;
        (self.placement(&key.namespace, domain_of(address)) == Ok(own)).then_some(own)
    }

    /// Puts the groups that have the address into their directories, after everybody else was taken out; an alias only
    /// while its group has its own address.
    pub(in super::super) fn list_groups(&mut self, address: &Arc<str>) {
        let winners = self.claims.get(address).map(|claim| claim.group_winners.clone()).unwrap_or_default();
        for (name, key) in winners {
            let listed = self.group_in(&key).as_ref() == Some(&name);
            if let Some(system) = self.systems.get_mut(&name) {
                system.list(address, false, listed);
            }
        }
    }
}

impl Groups {
    /// The aliases of those of the groups whose own address this is.
    pub(in super::super) fn aliases_of(&self, keys: &[Key], address: &str) -> Vec<Arc<str>> {
        let groups = keys.iter().filter_map(|key| self.by_key.get(key));
        let own = groups.filter(|group| *group.fact.address == *address);
        own.flat_map(|group| group.fact.aliases.iter().cloned()).collect()
    }
}

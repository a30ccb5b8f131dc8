//! Who has an address that both Mailboxes and MailGroups claim. Pure.

use std::{fmt, sync::Arc};

use super::super::{Index, Key, claims::Winner};
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
        let ranked =
            keys.iter().filter_map(|key| Some((self.group(key)?.fact.rank(self.group_keeps(key)), key)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort();
        let mut groups: Vec<(Arc<SystemName>, Key)> = Vec::new();
        for ((wants, created), key) in ranked {
            let Ok(system) = self.placement(&key.namespace, domain_of(address)) else { continue };
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

    /// Puts the groups that have the address into their directories, after everybody else was taken out.
    pub(in super::super) fn list_groups(&mut self, address: &Arc<str>) {
        for (name, _) in self.claims.get(address).into_iter().flat_map(|claim| &claim.group_winners) {
            if let Some(system) = self.systems.get_mut(name) {
                system.list(address, false, true);
            }
        }
    }
}

//! Who has a domain or an address when several objects claim it, Mailboxes and MailGroups alike: the older object, whatever
//! else is wrong with it; an address that status says one of them has stays with that one. So the outcome for one address never depends on the outcome for another, with one exception: an alias is listed only
//! while its mailbox has its own address.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Index, Key, Mailbox, ObjectName};
use crate::{directory::domain_of, names::SystemName};

/// A domain and the MailDomains that claim it.
#[derive(Debug, Default)]
pub(super) struct DomainClaim {
    /// The claimants, the oldest first.
    pub by: Vec<Key>,
    /// Where it is served, by which MailDomain.
    pub listed: Vec<(Arc<SystemName>, Key)>,
}

/// An address and the objects that claim it.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// The Mailboxes, the oldest first.
    pub by: Vec<Key>,
    /// Which of them has it, one for each system.
    pub winners: Vec<Winner>,
    /// The MailGroups, in no order.
    pub groups: Vec<Key>,
    /// Which of them has it, where no Mailbox does.
    pub group_winners: Vec<(Arc<SystemName>, Key)>,
}

/// Who has an address in a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Winner {
    pub system: Arc<SystemName>,
    pub key: Key,
    /// Whether it is the mailbox's own address, not an alias.
    pub own: bool,
    /// Whether it stands in the directory.
    pub listed: bool,
}

impl Index {
    /// The directory entry of `key` has another content.
    pub(super) fn touch_content(&mut self, key: &Key) {
        self.changes.mailboxes.insert(key.clone());
        if let (Some(mailbox), Some(system)) = (self.mailboxes.get(key), self.listed_in(key))
            && let Some(system) = self.systems.get_mut(&system)
        {
            system.dirty(&mailbox.fact.address);
        }
    }

    /// The system in whose directory the Mailbox has its own address.
    #[must_use]
    pub fn listed_in(&self, key: &Key) -> Option<Arc<SystemName>> {
        let mailbox = self.mailboxes.get(key).filter(|mailbox| mailbox.seat.is_taken())?;
        self.claim_of(key, mailbox)
    }

    /// The system in which the Mailbox has the best claim to its own address.
    pub(super) fn claim_of(&self, key: &Key, mailbox: &Mailbox) -> Option<Arc<SystemName>> {
        let winners = &self.claims.get(&mailbox.fact.address)?.winners;
        winners.iter().find(|winner| winner.own && winner.key == *key).map(|winner| winner.system.clone())
    }

    pub(super) fn winner(&self, address: &str, system: &SystemName) -> Option<&Winner> {
        self.claims.get(address)?.winners.iter().find(|winner| *winner.system == *system)
    }

    pub(super) fn touch_domains_of(&mut self, name: &SystemName) {
        for key in self.domains_of.get(name).into_iter().flatten() {
            self.changes.domains.insert(key.clone());
            if let Some(fact) = self.domains.get(key) {
                self.dirty_domains.insert(fact.domain.clone());
            }
        }
    }

    pub(super) fn touch_members(&mut self, namespace: &str, domain: &str) {
        for key in self.members.get(&ObjectName::new(namespace, domain)).into_iter().flatten() {
            self.changes.mailboxes.insert(key.clone());
            if let Some(mailbox) = self.mailboxes.get(key) {
                self.dirty_addresses.extend(mailbox.fact.addresses().cloned());
            }
        }
    }

    /// Decides where each touched domain is served, and touches the mailboxes in it.
    pub(super) fn settle_domains(&mut self) {
        for domain in std::mem::take(&mut self.dirty_domains) {
            self.touch_groups_of_domain(&domain);
            let Some(claim) = self.domain_claims.get(&domain) else { continue };
            let by = claim.by.clone();
            let listed: Vec<_> =
                by.iter().filter_map(|key| Some((self.standing(key).ok()?.clone(), key.clone()))).collect();
            for key in &by {
                self.changes.domains.insert(key.clone());
                self.touch_members(&key.namespace, &domain);
            }
            let old = self
                .domain_claims
                .get_mut(&domain)
                .map(|claim| std::mem::replace(&mut claim.listed, listed.clone()))
                .unwrap_or_default();
            for (name, _) in &old {
                if let Some(system) = self.systems.get_mut(name) {
                    system.unlist_domain(&domain);
                }
            }
            for (name, _) in &listed {
                if let Some(system) = self.systems.get_mut(name) {
                    system.list_domain(&domain);
                }
            }
            if by.is_empty() {
                self.domain_claims.remove(&domain);
            }
        }
    }

    /// Decides who has each touched address, then what of it stands in the directory.
    pub(super) fn settle_addresses(&mut self) {
        let mut before = HashMap::new();
        let (mut aliases, mut contenders) = (HashSet::new(), Vec::new());
        for address in std::mem::take(&mut self.dirty_addresses) {
            let (winners, group_winners) = self.decide(&address);
            self.touch_groups_naming(&address);
            self.touch_groups_at(&address);
            self.dirty_forwards.extend(self.forwarding_to.get(&address).into_iter().flatten().cloned());
            self.dirty_members.extend(self.shared_with.get(&address).into_iter().flatten().cloned());
            let Some(claim) = self.claims.get_mut(&address) else { continue };
            let old = std::mem::replace(&mut claim.winners, winners);
            for (name, _) in std::mem::replace(&mut claim.group_winners, group_winners) {
                if let Some(system) = self.systems.get_mut(&name) {
                    system.list(&address, false, false);
                }
            }
            for key in &claim.by {
                self.changes.mailboxes.insert(key.clone());
                // Whoever gained or lost this as its own address gains or loses its aliases.
                if let Some(mailbox) =
                    self.mailboxes.get(key).filter(|mailbox| mailbox.fact.address == address)
                {
                    aliases.extend(mailbox.fact.others().cloned());
                    contenders.push(key.clone());
                }
            }
            aliases.extend(self.groups.aliases_of(&claim.groups, &address));
            before.insert(address, old);
        }
        for key in &contenders {
            self.contend(key);
        }
        for key in self.fill_seats() {
            aliases.extend(self.mailboxes.get(&key).into_iter().flat_map(|it| it.fact.addresses()).cloned());
        }
        for address in aliases {
            if let Some(claim) = self.claims.get(&address) {
                before.entry(address).or_insert_with(|| claim.winners.clone());
            }
        }
        for (address, old) in before {
            self.relist(&address, &old);
            self.list_groups(&address);
        }
    }

    /// Who has the address in each system.
    fn decide(&self, address: &Arc<str>) -> (Vec<Winner>, Vec<(Arc<SystemName>, Key)>) {
        let mut winners = self.decide_mailboxes(address);
        let groups = self.decide_groups(address, &winners);
        winners.retain(|winner| groups.iter().all(|(system, _)| *system != winner.system));
        (winners, groups)
    }

    /// The oldest Mailbox in each system whose claim counts: its own domain and that of the address belong there.
    fn decide_mailboxes(&self, address: &Arc<str>) -> Vec<Winner> {
        let mut winners: Vec<Winner> = Vec::new();
        let by = || self.claims.get(address).into_iter().flat_map(|claim| &claim.by);
        let (keeping, others): (Vec<&Key>, Vec<&Key>) = by().partition(|key| self.keeps(key, address));
        for key in keeping.into_iter().chain(others) {
            let Some(mailbox) = self.mailboxes.get(key) else { continue };
            let own = mailbox.fact.address == *address;
            let there = self.placement(&key.namespace, domain_of(address));
            let system = match self.placement(&key.namespace, domain_of(&mailbox.fact.address)) {
                Ok(system) => system,
                // It can leave a domain that is gone.
                Err(_) if !own && mailbox.fact.only_wants(address) => match there {
                    Ok(system) => system,
                    Err(_) => continue,
                },
                Err(_) => continue,
            };
            if !own && there != Ok(system) {
                continue;
            }
            if winners.iter().all(|winner| winner.system != *system) {
                winners.push(Winner { system: system.clone(), key: key.clone(), own, listed: false });
            }
        }
        winners
    }

    /// Brings the directories in line with the winners of `address`.
    pub(super) fn relist(&mut self, address: &Arc<str>, old: &[Winner]) {
        let Some(claim) = self.claims.get(address) else { return };
        let mut winners = claim.winners.clone();
        for winner in &mut winners {
            let mailbox = self.mailboxes.get(&winner.key).filter(|mailbox| mailbox.seat.is_taken());
            winner.listed = mailbox.is_some_and(|mailbox| {
                let own = self.winner(&mailbox.fact.address, &winner.system);
                let has_own = own.is_some_and(|own| own.own && own.key == winner.key);
                winner.own || has_own && !mailbox.fact.only_wants(address)
            });
        }
        for lost in old.iter().filter(|old| old.own && old.listed) {
            if !winners
                .iter()
                .any(|winner| winner.own && (&winner.key, &winner.system) == (&lost.key, &lost.system))
            {
                self.strand(&lost.key, &lost.system, address);
            }
        }
        for (list, winners) in [(false, old), (true, winners.as_slice())] {
            for winner in winners.iter().filter(|winner| winner.listed) {
                if let Some(system) = self.systems.get_mut(&winner.system) {
                    system.list(address, winner.own, list);
                }
            }
        }
        if let Some(claim) = self.claims.get_mut(address) {
            claim.winners = winners;
            if claim.by.is_empty() && claim.groups.is_empty() {
                self.claims.remove(address);
            }
        }
    }
}

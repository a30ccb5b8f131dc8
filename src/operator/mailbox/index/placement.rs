//! Where a domain belongs: from a domain within a namespace to the MailDomain and the MailSystem that serve it. Pure.

use std::sync::Arc;

use super::{DomainFact, Index, Key, System, SystemFact};
use crate::names::SystemName;

/// Why a domain is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// No MailDomain of the namespace has the domain.
    DomainNotFound,
    /// The MailSystem does not exist.
    SystemNotFound(Arc<SystemName>),
    /// The MailSystem cannot be read, and was not since the operator started.
    SystemUnreadable(Arc<SystemName>),
    /// The MailSystem does not list the namespace among its tenants.
    SystemNotAllowed(Arc<SystemName>),
    /// An older MailDomain of the same system has the domain.
    DomainConflict(Key),
}

impl Index {
    /// The system that serves `domain` for the objects of `namespace`. With several MailDomains the oldest that is
    /// served decides; with none, the oldest says why.
    ///
    /// # Errors
    /// The first obstacle.
    pub fn placement(&self, namespace: &str, domain: &str) -> Result<&Arc<SystemName>, Obstacle> {
        let mut first = Obstacle::DomainNotFound;
        let claimants = self.domain_claims.get(domain).into_iter().flat_map(|claim| &claim.by);
        for key in claimants.filter(|key| *key.namespace == *namespace) {
            match self.standing(key) {
                Ok(system) => return Ok(system),
                Err(obstacle) if first == Obstacle::DomainNotFound => first = obstacle,
                Err(_) => {}
            }
        }
        Err(first)
    }

    /// The system that serves the MailDomain `key`.
    ///
    /// # Errors
    /// Why none does.
    pub fn standing(&self, key: &Key) -> Result<&Arc<SystemName>, Obstacle> {
        let Some(fact) = self.domains.get(key) else { return Err(Obstacle::DomainNotFound) };
        self.admitted(key, fact)?;
        let older =
            self.domain_claims.get(&fact.domain).into_iter().flat_map(|claim| &claim.by).find(|other| {
                self.domains
                    .get(*other)
                    .is_some_and(|rival| rival.system == fact.system && self.admitted(other, rival).is_ok())
            });
        match older {
            Some(winner) if winner != key => Err(Obstacle::DomainConflict(winner.clone())),
            _ => Ok(&fact.system),
        }
    }

    fn admitted(&self, key: &Key, fact: &DomainFact) -> Result<(), Obstacle> {
        let Some(System { fact: system, .. }) = self.systems.get(&fact.system) else {
            let name = fact.system.clone();
            let there = self.unreadable.systems.contains(&name);
            return Err(if there {
                Obstacle::SystemUnreadable(name)
            } else {
                Obstacle::SystemNotFound(name)
            });
        };
        if *key.namespace == *fact.system.namespace || admits(system, &key.namespace) {
            Ok(())
        } else {
            Err(Obstacle::SystemNotAllowed(fact.system.clone()))
        }
    }
}

fn admits(system: &SystemFact, namespace: &str) -> bool {
    system.tenants.iter().any(|tenant| tenant == "*" || tenant == namespace)
}

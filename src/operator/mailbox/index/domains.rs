//! MailSystems and MailDomains that come, change and go.

use std::sync::Arc;

use super::{DomainFact, Index, Key, System, SystemFact};
use crate::names::SystemName;

impl Index {
    /// A MailSystem is there, or changed. True if it is new: its directory must be loaded before it is compiled.
    pub fn apply_system(&mut self, name: &Arc<SystemName>, fact: SystemFact) -> bool {
        self.unreadable.systems.remove(name);
        let old = self.systems.get_mut(name).map(|system| std::mem::replace(&mut system.fact, fact.clone()));
        match old {
            Some(old) if old == fact => false,
            // Another object of the same name: its directory was collected with its predecessor.
            Some(old) if old.uid != fact.uid => {
                self.remove_system(name);
                self.settle_domains();
                self.apply_system(name, fact)
            }
            Some(old) => {
                if old.adopt != fact.adopt || old.limits != fact.limits || old.ldap != fact.ldap {
                    self.rewrite(name);
                }
                if old.ldap != fact.ldap {
                    self.ask_for_services(name);
                }
                self.touch_domains_of(name);
                false
            }
            None => {
                self.systems.insert(name.clone(), System::new(fact));
                self.ask_for_services(name);
                self.touch_domains_of(name);
                true
            }
        }
    }

    /// A MailSystem is gone, and with it its directory.
    pub fn remove_system(&mut self, name: &Arc<SystemName>) {
        if self.unreadable.systems.remove(name) | self.systems.remove(name).is_some() {
            self.touch_domains_of(name);
        }
    }

    /// A MailDomain is there, or changed.
    pub fn apply_domain(&mut self, key: &Key, fact: DomainFact) {
        let mended = self.unreadable.domains.remove(key).is_some();
        if self.domains.get(key) == Some(&fact) && !mended {
            return;
        }
        self.changes.domains.insert(key.clone());
        let same = self.domains.get(key).is_some_and(|old| {
            (&old.domain, &old.system) == (&fact.domain, &fact.system) && old.meta.same_object(&fact.meta)
        });
        if same {
            self.limit_messages(key, &fact);
            let old = self.domains.insert(key.clone(), fact);
            self.relimit(key, old.as_ref());
            return;
        }
        self.remove_domain(key);
        self.insert_domain(key, fact);
    }

    pub(super) fn insert_domain(&mut self, key: &Key, fact: DomainFact) {
        self.changes.domains.insert(key.clone());
        self.dirty_domains.insert(fact.domain.clone());
        self.domains_of.entry(fact.system.clone()).or_default().insert(key.clone());
        let (domain, age) = (fact.domain.clone(), (fact.meta.created, key));
        let claim = self.domain_claims.entry(domain).or_default();
        let at = claim.by.partition_point(|other| {
            (self.domains.get(other).map_or(i64::MAX, |fact| fact.meta.created), other) < age
        });
        claim.by.insert(at, key.clone());
        self.domains.insert(key.clone(), fact);
    }

    /// A MailDomain is gone.
    pub fn remove_domain(&mut self, key: &Key) {
        self.unreadable.domains.remove(key);
        let Some(old) = self.domains.remove(key) else { return };
        if let Some(claim) = self.domain_claims.get_mut(&old.domain) {
            claim.by.retain(|other| other != key);
        }
        if let Some(domains) = self.domains_of.get_mut(&old.system) {
            domains.remove(key);
            if domains.is_empty() {
                self.domains_of.remove(&old.system);
            }
        }
        self.touch_members(&key.namespace, &old.domain);
        self.dirty_domains.insert(old.domain);
    }
}

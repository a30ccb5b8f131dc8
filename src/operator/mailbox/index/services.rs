//! Directory services (LDAP) of a system: what the agents are told of them. Pure.
//!
//! Secrets of the searcher's password and of the authorities come in when they are seen. What they held last stays in force
//! when they are gone or of no use, also after a restart: the directory has it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::ByteString;

use super::{Index, ObjectName};
use crate::{
    api::system,
    directory::{Ldap, Naming, Searcher},
    names::SystemName,
    operator::system::ldap::CA,
};

/// An index of the directory has to fit into a Secret.
const LARGEST: usize = 256 << 10;

/// What the Secrets of a directory service held last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    password: Option<String>,
    ca: Option<String>,
}

/// By the name of the service.
pub type Services = BTreeMap<String, Held>;

/// A Secret that a system's directory services name, to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// The system.
    pub system: Arc<SystemName>,
    /// The Secret, in its namespace.
    pub secret: String,
}

impl Index {
    /// The Secrets that the directory services of a system name.
    pub(super) fn ask_for_services(&mut self, name: &Arc<SystemName>) {
        let Some(system) = self.systems.get(name) else { return };
        for service in &system.fact.ldap {
            let bind = service.bind.iter().map(|bind| &bind.password_secret.name);
            for secret in bind.chain(&service.ca_secret) {
                self.changes.named.insert(Named { system: name.clone(), secret: secret.clone() });
            }
        }
    }

    /// The systems whose directory services name this Secret.
    #[must_use]
    pub fn systems_naming(&self, secret: &ObjectName) -> Vec<Arc<SystemName>> {
        let names = |service: &system::Ldap| {
            service.ca_secret.as_deref() == Some(&*secret.name)
                || service.bind.as_ref().is_some_and(|bind| *bind.password_secret.name == *secret.name)
        };
        let systems = self.systems.iter().filter(|(name, system)| {
            *name.namespace == *secret.namespace && system.fact.ldap.iter().any(names)
        });
        systems.map(|(name, _)| name.clone()).collect()
    }

    /// The Secret holds this now.
    pub fn service_secret(&mut self, name: &SystemName, secret: &str, data: &BTreeMap<String, ByteString>) {
        let Some(system) = self.systems.get_mut(name) else { return };
        let before = system.services.clone();
        for service in &system.fact.ldap {
            let held = system.services.entry(service.name.clone()).or_default();
            if let Some(bind) = service.bind.as_ref().filter(|bind| bind.password_secret.name == secret) {
                let password =
                    text(data, &bind.password_secret.key).map(|it| it.trim_end_matches(['\r', '\n']));
                held.password =
                    password.filter(|it| !it.is_empty()).map(str::to_owned).or(held.password.take());
            }
            if service.ca_secret.as_deref() == Some(secret) {
                let ca = text(data, CA).filter(|ca| ca.len() <= LARGEST);
                held.ca = ca.map(str::to_owned).or(held.ca.take());
            }
        }
        if system.services != before {
            (system.dirty_domains, system.fresh) = (true, true);
        }
    }

    /// What the directory that was there says of them counts until their Secrets are seen.
    pub(super) fn remember_services(&mut self, name: &SystemName, existing: &[Arc<Ldap>]) {
        let Some(system) = self.systems.get_mut(name) else { return };
        for ldap in existing {
            let held = system.services.entry(ldap.name.clone()).or_default();
            if let Naming::Search { by: Some(by), .. } = &ldap.naming {
                held.password = held.password.take().or_else(|| by.password.clone());
            }
            held.ca = held.ca.take().or_else(|| ldap.ca.clone().filter(|ca| !ca.is_empty()));
        }
    }

    /// What the agents are told.
    pub(super) fn ldap(&self, name: &SystemName) -> Vec<Arc<Ldap>> {
        let Some(system) = self.systems.get(name) else { return Vec::new() };
        let none = Held::default();
        let of = |service: &system::Ldap| ldap(service, system.services.get(&service.name).unwrap_or(&none));
        system.fact.ldap.iter().map(of).map(Arc::new).collect()
    }
}

fn text<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Option<&'a str> {
    std::str::from_utf8(&data.get(key)?.0).ok().filter(|text| !text.trim().is_empty())
}

fn ldap(service: &system::Ldap, held: &Held) -> Ldap {
    let searcher = |bind: &system::Bind| Searcher { dn: bind.dn.clone(), password: held.password.clone() };
    let naming = match (&service.search, &service.direct_bind) {
        (Some(search), _) => Naming::Search {
            by: service.bind.as_ref().map(searcher),
            base: search.base_dn.clone(),
            filter: search.filter.clone(),
        },
        (None, template) => Naming::Direct(template.clone().unwrap_or_default()),
    };
    Ldap {
        name: service.name.clone(),
        domains: service.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        urls: service.urls.clone(),
        // Those of the image are not trusted in place of one's own that are not known yet.
        ca: service.ca_secret.as_ref().map(|_| held.ca.clone().unwrap_or_default()),
        naming,
        timeout: service.timeout_seconds,
        fallback_local: service.fallback_local,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Existing, SystemFact,
            tests::{domain, key, mailbox, system, system_name},
        },
        *,
    };
    use crate::directory::Entry;

    fn fact() -> SystemFact {
        let service = serde_json::json!({
            "name": "province", "urls": ["ldaps://dc.x.vn"], "caSecret": "ca",
            "bind": {"dn": "cn=mail", "passwordSecret": {"name": "mail"}}, "search": {"baseDN": "dc=vn"}
        });
        SystemFact { ldap: vec![serde_json::from_value(service).unwrap()], ..system(0, &[]) }
    }

    fn data(key: &str, value: &str) -> BTreeMap<String, ByteString> {
        [(key.to_owned(), ByteString(value.as_bytes().to_vec()))].into()
    }

    /// The searcher's password and the authorities, as the next issue has them.
    fn issued(index: &mut Index, name: &SystemName) -> (Option<String>, Option<String>) {
        index.settle();
        let ldap = index.compile(name).unwrap().ldap[0].clone();
        let Naming::Search { by: Some(by), .. } = &ldap.naming else { panic!("no searcher") };
        (by.password.clone(), ldap.ca.clone())
    }

    #[test]
    fn what_secrets_held_last_stays_in_force_and_survives_a_restart() {
        let (mut index, name) = (Index::default(), system_name(0));
        index.apply_system(&name, fact());
        index.load(&name, None);
        let named = index.settle().named;
        assert_eq!(named.len(), 2);
        assert_eq!(issued(&mut index, &name), (None, Some(String::new())), "nobody is trusted yet");
        index.service_secret(&name, "mail", &data("password", "geheim\n"));
        index.service_secret(&name, "ca", &data("ca.crt", "PEM"));
        let known = (Some("geheim".to_owned()), Some("PEM".to_owned()));
        assert!(index.system(&name).unwrap().is_dirty());
        assert_eq!(issued(&mut index, &name), known);
        index.service_secret(&name, "mail", &data("password", "geheim"));
        index.service_secret(&name, "mail", &data("pin", "x"));
        index.service_secret(&name, "ca", &BTreeMap::new());
        index.settle();
        assert!(!index.system(&name).unwrap().is_dirty(), "nothing else is known");
        let ldap = index.ldap(&name);

        let mut again = Index::default();
        again.apply_system(&name, fact());
        again.load(&name, Some(Existing { shards: 1, ldap, ..Existing::default() }));
        assert_eq!(issued(&mut again, &name), known);
        again.service_secret(&name, "mail", &data("password", "neu"));
        assert_eq!(issued(&mut again, &name).0.as_deref(), Some("neu"));
    }

    #[test]
    fn a_secret_concerns_the_systems_of_its_namespace_that_name_it() {
        let (mut index, name) = (Index::default(), system_name(0));
        index.apply_system(&name, fact());
        assert_eq!(index.systems_naming(&ObjectName::new("a", "mail")), [name]);
        assert!(index.systems_naming(&ObjectName::new("b", "mail")).is_empty());
        assert!(index.systems_naming(&ObjectName::new("a", "other")).is_empty());
    }

    #[test]
    fn a_mailbox_with_a_password_that_was_given_to_it_keeps_it() {
        let (mut index, name) = (Index::default(), system_name(0));
        index.apply_system(&name, fact());
        index.load(&name, None);
        index.apply_domain(&key(100), domain(0, "x.vn", name.clone()));
        let secret = super::super::SecretRef { name: "s".into(), key: "password".into() };
        let given =
            super::super::MailboxFact { secret: Some(Box::new(secret)), ..mailbox(0, "an@x.vn", &[]) };
        index.apply_mailbox(&key(0), given);
        index.apply_mailbox(&key(2), mailbox(1, "binh@x.vn", &[]));
        index.settle();
        let entries = index.compile(&name).unwrap().shards.remove(0).1.entries;
        let own = |address: &str| match &entries[address] {
            Entry::Mailbox(entry) => entry.own_password,
            Entry::Alias(_) => panic!("an alias"),
        };
        assert!(own("an@x.vn") && !own("binh@x.vn"));
    }
}

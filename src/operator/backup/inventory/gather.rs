//! Reads the objects of a system, a page at a time, and packs each page at once: at a hundred thousand mailboxes their names
//! and addresses are held, for the Secrets, and a few megabytes of what was packed.

use std::collections::BTreeSet;

use backon::Retryable;
use kube::{Api, Client, core::DynamicObject};
use serde_json::Value;

use super::{
    Error,
    bare::bare,
    kind::Kind,
    list::{each, transient, tries},
    named::{self, Named},
    pack::Packer,
};
use crate::{directory::domain_of, names::SystemName};

/// The objects of `system`, packed; with its Secrets, if they are to go along.
///
/// # Errors
/// There is no such system, or the API server's.
pub async fn gather(
    client: &Client,
    watched: Option<&str>,
    system: &SystemName,
    secrets: bool,
) -> Result<Vec<u8>, Error> {
    let api =
        Api::<DynamicObject>::namespaced_with(client.clone(), &system.namespace, &Kind::System.resource());
    let found = (|| api.get_opt(&system.name)).retry(tries()).when(transient).await?;
    let found = found.as_ref().and_then(|object| bare(Kind::System, object));
    let found = found.ok_or_else(|| Error::NoSystem(system.clone()))?;
    let mut all = Gathering { client, system, packer: Packer::default(), openers: BTreeSet::new() };
    all.packer.put(Kind::System, &found)?;
    all.backups().await?;
    let domains = all.domains(watched, &found).await?;
    let mut namespaces: BTreeSet<&str> = domains.iter().map(|(namespace, _)| namespace.as_str()).collect();
    namespaces.insert(&system.namespace);
    for namespace in namespaces {
        let mut named = Named::default();
        if *namespace == *system.namespace {
            named.system(system, &found);
        }
        let here = |domain: &str| domains.contains(&(namespace.to_owned(), domain.to_owned()));
        all.people(namespace, here, &mut named).await?;
        if secrets {
            named.without(if *namespace == *system.namespace {
                &all.openers
            } else {
                const { &BTreeSet::new() }
            });
            all.secrets(namespace, &named).await?;
        }
    }
    Ok(all.packer.finish()?)
}

struct Gathering<'a> {
    client: &'a Client,
    system: &'a SystemName,
    packer: Packer,
    /// The Secrets that open repositories.
    openers: BTreeSet<String>,
}

impl Gathering<'_> {
    /// The MailBackups of the system. The Secrets that others of the namespace name stay as well.
    async fn backups(&mut self) -> Result<(), Error> {
        let Self { client, system, packer, openers } = self;
        each(client, Kind::Backup, Some(&system.namespace), |backup| {
            openers.extend(named::openers(&backup));
            if backup["spec"]["system"]["name"] == *system.name {
                packer.put(Kind::Backup, &backup)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// The MailDomains of the system, and which domains there are in which namespace.
    async fn domains(
        &mut self,
        watched: Option<&str>,
        found: &Value,
    ) -> Result<BTreeSet<(String, String)>, Error> {
        let mut domains = BTreeSet::new();
        for scope in scopes(self.system, found, watched) {
            let Self { client, system, packer, .. } = self;
            each(client, Kind::Domain, scope.as_deref(), |domain| {
                if let Some(place) = served(&domain, system) {
                    domains.insert(place);
                    packer.put(Kind::Domain, &domain)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(domains)
    }

    /// The Mailboxes, MailGroups and RetiredMailboxes of the system in a namespace.
    async fn people(
        &mut self,
        namespace: &str,
        here: impl Fn(&str) -> bool,
        named: &mut Named,
    ) -> Result<(), Error> {
        let Self { client, system, packer, .. } = self;
        let ours = |object: &Value| object["spec"]["address"].as_str().map(domain_of).is_some_and(&here);
        for kind in [Kind::Mailbox, Kind::Group] {
            each(client, kind, Some(namespace), |object| {
                if !ours(&object) {
                    return Ok(());
                }
                if kind == Kind::Mailbox {
                    named.mailbox(&object);
                }
                packer.put(kind, &object)
            })
            .await?;
        }
        each(client, Kind::Retired, Some(namespace), |retired| {
            if system_of(&retired).as_ref() == Some(system) {
                packer.put(Kind::Retired, &retired)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// The Secrets of a namespace that are named.
    async fn secrets(&mut self, namespace: &str, named: &Named) -> Result<(), Error> {
        let Self { client, packer, .. } = self;
        each(client, Kind::Secret, Some(namespace), |mut secret| {
            if !named.has(&secret) {
                return Ok(());
            }
            named.note(&mut secret);
            packer.put(Kind::Secret, &secret)
        })
        .await
    }
}

/// The namespace and domain of a MailDomain of this system.
#[must_use]
pub fn served(domain: &Value, system: &SystemName) -> Option<(String, String)> {
    let name = domain["spec"]["domain"].as_str()?.to_owned();
    let namespace = domain["metadata"]["namespace"].as_str()?.to_owned();
    (system_of(domain)? == *system).then_some((namespace, name))
}

/// The system that `spec.system` names, in the object's own namespace if none is said.
fn system_of(object: &Value) -> Option<SystemName> {
    let reference = &object["spec"]["system"];
    let namespace = reference["namespace"].as_str().or_else(|| object["metadata"]["namespace"].as_str())?;
    Some(SystemName::new(namespace, reference["name"].as_str()?))
}

/// Where MailDomains of the system may be: in all namespaces (`None`), or in each of these.
fn scopes(system: &SystemName, found: &Value, watched: Option<&str>) -> BTreeSet<Option<String>> {
    let tenants = found["spec"]["tenantNamespaces"].as_array();
    let tenants: BTreeSet<&str> = tenants.into_iter().flatten().filter_map(Value::as_str).collect();
    match watched {
        Some(namespace) => [Some(namespace.to_owned())].into(),
        None if tenants.contains("*") => [None].into(),
        None => {
            tenants.into_iter().chain([system.namespace.as_str()]).map(|it| Some(it.to_owned())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn domains_are_looked_for_where_the_system_and_the_operator_allow_them() {
        let name = SystemName::new("mail", "province");
        let scopes = |tenants: Value, watched| {
            let found = scopes(&name, &json!({"spec": {"tenantNamespaces": tenants}}), watched);
            found.into_iter().map(|scope| scope.unwrap_or("*".into())).collect::<Vec<_>>()
        };
        assert_eq!(scopes(Value::Null, None), ["mail"]);
        assert_eq!(scopes(json!(["so-y-te", "hoi-nong-dan"]), None), ["hoi-nong-dan", "mail", "so-y-te"]);
        assert_eq!(scopes(json!(["so-y-te", "*"]), None), ["*"]);
        assert_eq!(scopes(json!(["*"]), Some("mail")), ["mail"]);
    }

    #[test]
    fn a_domain_is_of_the_system_that_it_names() {
        let domain = |system: Value| json!({"metadata": {"namespace": "so-y-te"}, "spec": {"domain": "x.vn", "system": system}});
        let name = SystemName::new("mail", "province");
        let place = Some(("so-y-te".to_owned(), "x.vn".to_owned()));
        assert_eq!(served(&domain(json!({"name": "province", "namespace": "mail"})), &name), place);
        assert_eq!(served(&domain(json!({"name": "province"})), &name), None, "its own namespace is meant");
        assert_eq!(served(&domain(json!({"name": "other", "namespace": "mail"})), &name), None);
    }
}

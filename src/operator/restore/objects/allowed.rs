//! Which objects of a snapshot are made: those of one mail system, and nothing else that may stand between them. Pure.
//!
//! The operator may do more than whoever asked it to restore, and a repository is what somebody else wrote. So only kinds of
//! this project are made, and Secrets that those name; of each only its name, labels, annotations and content; and nothing
//! of another system. Whether other namespaces let them in is asked besides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    directory::domain_of,
    names::{FORMER_ADDRESSES, PASSWORD_OF, SHARD_LABEL, SystemName, WANTED_ADDRESS},
    operator::backup::inventory::{
        bare::{assemble, goes_along},
        kind::Kind,
        named::Named,
        served,
    },
};

/// Notes of ours that come along with an object.
const NOTES: [&str; 4] = [PASSWORD_OF, FORMER_ADDRESSES, WANTED_ADDRESS, SHARD_LABEL];

/// What belongs to the system, as the objects themselves say.
#[derive(Debug)]
pub struct Allowed {
    system: SystemName,
    named: BTreeMap<String, Named>,
    domains: BTreeSet<(String, String)>,
}

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is made, of this.
    Make(Kind, Value),
    /// It only tells what was.
    Record,
    /// It is not made, and this is why.
    Refuse(String),
}

impl Allowed {
    /// Of this system.
    #[must_use]
    pub fn new(system: SystemName) -> Self {
        Self { system, named: BTreeMap::new(), domains: BTreeSet::new() }
    }

    /// Learns what the object names. All are to be learned before one is judged.
    pub fn learn(&mut self, object: &Value) {
        let Some((kind, namespace, _)) = head(object) else { return };
        match kind {
            Kind::Mailbox => self.named.entry(namespace.to_owned()).or_default().mailbox(object),
            Kind::System if self.is_system(object) => {
                self.named.entry(namespace.to_owned()).or_default().system(&self.system, object);
            }
            Kind::Domain => self.domains.extend(served(object, &self.system)),
            _ => {}
        }
    }

    /// What becomes of the object.
    #[must_use]
    pub fn judge(&self, object: &Value) -> Verdict {
        let Some((kind, namespace, name)) = head(object) else {
            let words = [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]];
            let words = words.map(|word| word.as_str().unwrap_or("?").chars().take(63).collect::<String>());
            return Verdict::Refuse(format!(
                "{} {}/{}: it is none of a mail system",
                words[0], words[1], words[2]
            ));
        };
        let refuse = |why: &str| Verdict::Refuse(format!("{} {namespace}/{name}: {why}", kind.name()));
        let spec = &object["spec"];
        match kind {
            Kind::Secret if !self.named.get(namespace).is_some_and(|named| named.has(object)) => {
                refuse("no object names it, or it is of a type that is not restored")
            }
            Kind::System if !self.is_system(object) => refuse(&format!("it is not {}", self.system)),
            Kind::Domain if served(object, &self.system).is_none() => refuse("it is another system's"),
            Kind::Mailbox | Kind::Group if !self.has_domain(namespace, spec) => {
                refuse("no MailDomain of its namespace has its domain")
            }
            Kind::Backup
                if namespace != self.system.namespace || spec["system"]["name"] != *self.system.name =>
            {
                refuse("it is another system's")
            }
            Kind::Retired => Verdict::Record,
            _ => Verdict::Make(kind, made(kind, (namespace, name), object)),
        }
    }

    fn is_system(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        metadata["namespace"] == *self.system.namespace && metadata["name"] == *self.system.name
    }

    fn has_domain(&self, namespace: &str, spec: &Value) -> bool {
        let domain = spec["address"].as_str().map(domain_of).unwrap_or_default();
        self.domains.contains(&(namespace.to_owned(), domain.to_owned()))
    }
}

/// Kind, namespace and name, if they are such.
fn head(object: &Value) -> Option<(Kind, &str, &str)> {
    let kind = Kind::of(object["apiVersion"].as_str()?, object["kind"].as_str()?)?;
    let metadata = &object["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    let is_name = |name: &str, most| {
        !name.is_empty()
            && name.len() <= most
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    (is_name(namespace, 63) && !namespace.contains('.') && is_name(name, 253))
        .then_some((kind, namespace, name))
}

/// What is made of it. A MailBackup does not begin by itself: a system that is half recovered is no successor of the one
/// that it was, and its backups would push out those of that.
fn made(kind: Kind, place: (&str, &str), object: &Value) -> Value {
    let strings = |field: &str| -> BTreeMap<String, String> {
        let values = object["metadata"][field].as_object().into_iter().flatten();
        values.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    };
    let mut annotations = strings("annotations");
    annotations.retain(|name, _| goes_along(name) || NOTES.contains(&name.as_str()));
    let content =
        kind.content().iter().filter_map(|field| Some(((*field).to_owned(), object.get(*field)?.clone())));
    let mut content: Map<String, Value> = content.collect();
    if kind == Kind::Backup
        && let Some(spec) = content.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.insert("suspend".to_owned(), true.into());
    }
    assemble(kind, place, &strings("labels"), &annotations, content)
}

#[cfg(test)]
#[path = "allowed_tests.rs"]
mod tests;

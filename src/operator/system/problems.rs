//! What other objects lack for a system: found from what was fetched, told in a condition. None of it keeps the rest of
//! the system from being built. Pure.

use k8s_openapi::api::apps::v1::StatefulSet;

use super::{fetch::Fetched, workloads};
use crate::{api::system::Storage, names::Component, quantity};

/// How much a problem weighs in the condition of its component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is mentioned.
    Hint,
    /// It is the reason if the component is not available.
    Explains,
    /// The condition is False, whatever still runs.
    Fails,
}

/// Something amiss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose condition tells it.
    pub component: Component,
    /// How much it weighs.
    pub weight: Weight,
    /// The condition's reason.
    pub reason: &'static str,
    /// What is amiss and what to do.
    pub message: String,
}

/// All problems of a system.
#[must_use]
pub fn find(fetched: &Fetched) -> Vec<Problem> {
    let spec = &fetched.system.spec;
    let mut all = Vec::new();
    let gateway = [fetched.workloads.gateway.as_ref()];
    let stores: Vec<_> = fetched.workloads.stores.iter().map(Option::as_ref).collect();
    storage(
        fetched,
        Component::Gateway,
        "spec.gateway.queueStorage",
        &spec.gateway.queue_storage,
        &gateway,
        &mut all,
    );
    storage(fetched, Component::Store, "spec.store.storage", &spec.store.storage, &stores, &mut all);
    if let Some(claim) = &fetched.orphan {
        let message = format!(
            "volume claim {claim} belongs to a shard beyond spec.store.shards, so its mail is out of reach: raise shards, or delete the claim with its mail"
        );
        all.push(Problem {
            component: Component::Store,
            weight: Weight::Fails,
            reason: "ShardMissing",
            message,
        });
    }
    all.extend(signatures(fetched));
    all
}

fn storage(
    fetched: &Fetched,
    component: Component,
    field: &str,
    storage: &Storage,
    sets: &[Option<&StatefulSet>],
    all: &mut Vec<Problem>,
) {
    let missing = match &storage.storage_class_name {
        Some(class) if !fetched.classes.has(Some(class)) => Some(format!(
            "{field}: there is no storage class {class}; create it (`kubectl get storageclass` lists those that exist)"
        )),
        None if fetched.classes.no_default => Some(format!(
            "{field} names no storage class, and the cluster has no default one: name one or mark one as default"
        )),
        _ => None,
    };
    if let Some(message) = missing {
        all.push(Problem { component, weight: Weight::Explains, reason: "StorageClassNotFound", message });
    }
    let made = sets.iter().flatten().filter_map(|set| workloads::volume(set));
    let differs = made.into_iter().find(|volume| {
        quantity::bytes(&volume.size.0) != quantity::bytes(&storage.size)
            || volume.class.as_deref() != storage.storage_class_name.as_deref()
    });
    if let Some(volume) = differs {
        let class = volume.class.as_deref().unwrap_or("the default class");
        let message = format!(
            "{field} does not change volumes that exist ({} of {class}); where the class allows it, raise the size in the volume claims",
            volume.size.0
        );
        all.push(Problem { component, weight: Weight::Hint, reason: "StorageUnchanged", message });
    }
}

fn signatures(fetched: &Fetched) -> Option<Problem> {
    let name = fetched.system.spec.antivirus.signature_secret.as_deref()?;
    let amiss = match &fetched.signatures {
        None => "does not exist",
        Some(secret)
            if secret.data.as_ref().is_none_or(|data| data.values().all(|file| file.0.is_empty())) =>
        {
            "holds no signatures"
        }
        Some(_) => return None,
    };
    let message = format!(
        "Secret {name} {amiss}: put signature files into it (local.ndb, for example); scanners that run go on with what they have, those that start wait for it"
    );
    let component = Component::Antivirus;
    Some(Problem { component, weight: Weight::Fails, reason: "SignatureSecretMissing", message })
}

//! The only reading of the cluster for a MailSystem: by name, in parallel; lists only where something is not ready and
//! status has to say why. What is not there comes out as `None`; it decides nothing.

use std::collections::BTreeMap;

use futures::{
    future::{join_all, try_join_all},
    try_join,
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{PersistentVolumeClaim, Pod, Secret},
        storage::v1::StorageClass,
    },
};
use kube::{Api, Client, Error, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{ldap, workloads::Workloads};
use crate::{
    api::{MailBackup, MailSystem},
    names::{Component, SystemName},
    operator::{
        cluster::ownership::is_ours,
        guarded::Guarded,
        mailbox::{Answer, ask_one},
    },
};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A MailSystem and what it depends on.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its name.
    pub name: SystemName,
    /// The object.
    pub system: MailSystem,
    /// The user's certificate, if one is named and there.
    pub tls: Option<Secret>,
    /// The certificate that is served.
    pub served: Option<Secret>,
    /// The Secret with the verdict token.
    pub internal: Option<Secret>,
    /// The key of the journal, if there is one.
    pub journal_key: Option<Secret>,
    /// The journal's credentials, if they are named and there.
    pub journal_credentials: Option<Secret>,
    /// The Secrets that directory services name, as far as they are there.
    pub ldap: BTreeMap<String, Secret>,
    /// The user's signatures, if they are named and there.
    pub signatures: Option<Secret>,
    /// The MailBackups of the system.
    pub backups: Vec<MailBackup>,
    /// The storage classes that were asked for, and what became of each.
    pub classes: Classes,
    /// What runs.
    pub workloads: Workloads,
    /// A volume of a shard beyond those that are wanted: mail that nobody could reach.
    pub orphan: Option<String>,
}

/// Which storage classes do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Classes that are named and not there.
    pub missing: Vec<String>,
    /// A volume wants the default class and there is none.
    pub no_default: bool,
}

impl Classes {
    /// Whether a volume of this class, or of the default one, can be made.
    #[must_use]
    pub fn has(&self, class: Option<&str>) -> bool {
        class.map_or(!self.no_default, |class| !self.missing.iter().any(|missing| missing == class))
    }
}

/// What may tell why pods are not ready.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    /// The system's pods.
    pub pods: Vec<Pod>,
    /// The claims of its StatefulSets.
    pub claims: Vec<PersistentVolumeClaim>,
}

/// Reads everything that `system` depends on.
///
/// # Errors
/// The API server's, except for "not found".
pub async fn fetch(client: &Client, name: SystemName, system: MailSystem) -> Result<Fetched, Error> {
    let tls_name = system.spec.tls.as_ref().map(|tls| tls.secret_name.clone());
    let signature_name = system.spec.antivirus.signature_secret.clone();
    let namespace = &name.namespace;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let (tls_secret, internal_secret) = (name.tls(), name.internal());
    let beyond = format!("data-{}-0", name.store(system.spec.store.shards));
    let journal = system.spec.journal.as_ref();
    let (key_name, credentials_name) =
        (journal.map(|_| name.journal_key()), journal.map(|it| it.object_storage.credentials_secret.clone()));
    let (
        tls,
        signatures,
        journal_key,
        journal_credentials,
        ldap,
        served,
        internal,
        orphan,
        backups,
        classes,
        workloads,
    ) = try_join!(
        optional(&secrets, tls_name.as_deref()),
        optional(&secrets, signature_name.as_deref()),
        optional(&secrets, key_name.as_deref()),
        optional(&secrets, credentials_name.as_deref()),
        all_of(&secrets, ldap::secrets(&system.spec).into_keys().collect()),
        secrets.get_opt(&tls_secret),
        secrets.get_opt(&internal_secret),
        claims.get_metadata_opt(&beyond),
        backups(client, &name),
        storage_classes(client, &system),
        workloads(client, &name, &system),
    )?;
    let orphan = orphan.map(|_| beyond);
    let uid = system.metadata.uid.clone().unwrap_or_default();
    let ours = |secret: &Secret| is_ours(&secret.metadata, &name, &uid);
    let (served, internal) = (served.filter(ours), internal.filter(ours));
    Ok(Fetched {
        name,
        system,
        tls,
        served,
        internal,
        journal_key,
        journal_credentials,
        ldap,
        signatures,
        backups,
        classes,
        workloads,
        orphan,
    })
}

/// What the gateways' agents say of what only they know, by pod; nothing is asked where that is nothing.
///
/// # Errors
/// The API server's. An agent that does not answer is no error.
pub async fn gateways(client: &Client, fetched: &Fetched) -> Result<Vec<(String, Option<Answer>)>, Error> {
    let spec = &fetched.system.spec;
    if spec.journal.is_none() && spec.authentication.is_local() {
        return Ok(Vec::new());
    }
    let labels = fetched.name.selector(Component::Gateway);
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &fetched.name.namespace);
    let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await?;
    let asked = pods.into_iter().map(|pod| async move {
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        let answer = match ip {
            Some(ip) => ask_one(&ip).await,
            None => None,
        };
        (pod.name_any(), answer)
    });
    Ok(join_all(asked).await)
}

/// The MailBackups of a system that can be read.
async fn backups(client: &Client, name: &SystemName) -> Result<Vec<MailBackup>, Error> {
    let api: Api<Guarded<MailBackup>> = Api::namespaced(client.clone(), &name.namespace);
    let all = api.list(&ListParams::default()).await?.into_iter().filter_map(|object| object.0.ok());
    Ok(all.filter(|backup| backup.spec.system.name == name.name).collect())
}

/// Reads what runs.
async fn workloads(client: &Client, name: &SystemName, system: &MailSystem) -> Result<Workloads, Error> {
    let uid = system.metadata.uid.as_deref().unwrap_or_default();
    let our_set = |set: &StatefulSet| is_ours(&set.metadata, name, uid);
    let ours = |deployment: &Deployment| is_ours(&deployment.metadata, name, uid);
    let sets = Api::namespaced(client.clone(), &name.namespace);
    let deployments = Api::namespaced(client.clone(), &name.namespace);
    let [gateway, antispam, antivirus, cache] =
        [Component::Gateway, Component::Antispam, Component::Antivirus, Component::Cache]
            .map(|c| name.component(c));
    let stores: Vec<_> = (0..system.spec.store.shards).map(|shard| name.store(shard)).collect();
    let (gateway, cache, antispam, antivirus, stores) = try_join!(
        sets.get_opt(&gateway),
        sets.get_opt(&cache),
        deployments.get_opt(&antispam),
        deployments.get_opt(&antivirus),
        try_join_all(stores.iter().map(|store| sets.get_opt(store))),
    )?;
    Ok(Workloads {
        gateway: gateway.filter(our_set),
        stores: stores.into_iter().map(|set| set.filter(our_set)).collect(),
        antispam: antispam.filter(ours),
        antivirus: antivirus.filter(ours),
        cache: cache.filter(our_set),
    })
}

/// Reads the pods and claims of a system.
///
/// # Errors
/// The API server's.
pub async fn troubles(client: &Client, name: &SystemName) -> Result<Troubles, Error> {
    // The labels that a StatefulSet's pods and claims share.
    let selector =
        format!("app.kubernetes.io/name={},app.kubernetes.io/instance={}", crate::names::MANAGER, name.name);
    let mine = ListParams::default().labels(&selector);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &name.namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &name.namespace);
    let (pods, claims) = try_join!(pods.list(&mine), claims.list(&mine))?;
    Ok(Troubles { pods: pods.items, claims: claims.items })
}

async fn storage_classes(client: &Client, system: &MailSystem) -> Result<Classes, Error> {
    let wanted = [&system.spec.gateway.queue_storage, &system.spec.store.storage];
    let mut names: Vec<&str> =
        wanted.iter().filter_map(|storage| storage.storage_class_name.as_deref()).collect();
    names.dedup();
    let api: Api<StorageClass> = Api::all(client.clone());
    let mut classes = Classes::default();
    for name in names {
        if api.get_metadata_opt(name).await?.is_none() {
            classes.missing.push(name.to_owned());
        }
    }
    if wanted.iter().any(|storage| storage.storage_class_name.is_none()) {
        let all = api.list_metadata(&ListParams::default()).await?;
        let default = |annotation: &BTreeMap<String, String>| {
            annotation.get(DEFAULT_CLASS).is_some_and(|value| value == "true")
        };
        classes.no_default =
            !all.iter().any(|class| class.metadata.annotations.as_ref().is_some_and(default));
    }
    Ok(classes)
}

async fn all_of(api: &Api<Secret>, names: Vec<String>) -> Result<BTreeMap<String, Secret>, Error> {
    let found = try_join_all(names.iter().map(|name| api.get_opt(name))).await?;
    Ok(names.into_iter().zip(found).filter_map(|(name, secret)| Some((name, secret?))).collect())
}

async fn optional<K>(api: &Api<K>, name: Option<&str>) -> Result<Option<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    match name {
        Some(name) => api.get_opt(name).await,
        None => Ok(None),
    }
}

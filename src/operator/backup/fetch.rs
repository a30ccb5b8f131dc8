//! The only reading of the cluster for a MailBackup, but for its Jobs: by name, in parallel. What is not there comes out as
//! `None`; it decides nothing.

use futures::{future::try_join_all, try_join};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{Api, Client, Error, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use crate::{
    api::{MailBackup, MailSnapshot, MailSystem, Mailbox, RetiredMailbox, backup::MailboxSelector},
    names::SystemName,
    operator::guarded::Guarded,
};

/// A MailBackup and what it depends on.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The object.
    pub backup: MailBackup,
    /// The MailSystem, if it is there.
    pub system: Option<MailSystem>,
    /// The Secret with the password, if it is there.
    pub encryption: Option<Secret>,
    /// The Secret with the credentials of object storage, if one is named and there.
    pub storage: Option<Secret>,
    /// Whether the claim of the repository's volume is there, if one is named.
    pub claim: bool,
    /// Claims of stores' volumes that are there.
    pub volumes: Vec<String>,
    /// The stores' pods that have a node: both names.
    pub nodes: Vec<(String, String)>,
    /// Its MailSnapshots.
    pub snapshots: Vec<MailSnapshot>,
    /// Whether there is a mailbox that the selector names; true without one.
    pub selected: bool,
    /// An older MailBackup on the same place, as namespace and name.
    pub rival: Option<String>,
}

/// Reads everything that `backup` depends on. `rival` and `watched` are known to the caller: of all MailBackups, and which
/// namespace is served, if only one is.
///
/// # Errors
/// The API server's, except for "not found".
pub async fn fetch(
    client: &Client,
    backup: MailBackup,
    rival: Option<String>,
    watched: Option<&str>,
) -> Result<Fetched, Error> {
    let namespace = backup.namespace().unwrap_or_default();
    let name = SystemName::new(&namespace, &backup.spec.system.name);
    let own = backup.name_any();
    let (systems, secrets) = (in_namespace(client, &namespace), in_namespace(client, &namespace));
    let storage = backup.spec.repository.object_storage.as_ref().map(|it| it.credentials_secret.as_str());
    // What runs needs no mailbox to be looked for.
    let runs = backup.status.as_ref().is_some_and(|status| status.running.is_some());
    let claim = backup.spec.repository.volume.as_ref().map(|volume| volume.claim.as_str());
    let (system, encryption, storage, claim, snapshots, selected) = try_join!(
        readable::<MailSystem>(&systems, &name.name),
        secrets.get_opt(&backup.spec.encryption_secret),
        optional(&secrets, storage),
        exists(client, &namespace, claim),
        snapshots(client, &namespace, &own),
        selected(client, backup.spec.mailboxes.as_ref().filter(|_| !runs), watched),
    )?;
    let (volumes, nodes) = match &system {
        Some(system) => try_join!(volumes(client, &name, system), nodes(client, &name))?,
        None => Default::default(),
    };
    Ok(Fetched { backup, system, encryption, storage, claim, volumes, nodes, snapshots, selected, rival })
}

fn in_namespace<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
    client: &Client,
    namespace: &str,
) -> Api<K> {
    Api::namespaced(client.clone(), namespace)
}

/// An object; one that cannot be read is as good as none here, and says so itself.
async fn readable<K>(api: &Api<Guarded<K>>, name: &str) -> Result<Option<K>, Error>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    Ok(api.get_opt(name).await?.and_then(|object| object.0.ok()))
}

async fn optional(api: &Api<Secret>, name: Option<&str>) -> Result<Option<Secret>, Error> {
    match name {
        Some(name) => api.get_opt(name).await,
        None => Ok(None),
    }
}

async fn exists(client: &Client, namespace: &str, claim: Option<&str>) -> Result<bool, Error> {
    let api: Api<PersistentVolumeClaim> = in_namespace(client, namespace);
    match claim {
        Some(claim) => Ok(api.get_metadata_opt(claim).await?.is_some()),
        None => Ok(true),
    }
}

/// The MailSnapshots of a MailBackup.
///
/// # Errors
/// The API server's.
pub async fn snapshots(client: &Client, namespace: &str, backup: &str) -> Result<Vec<MailSnapshot>, Error> {
    let api: Api<Guarded<MailSnapshot>> = in_namespace(client, namespace);
    let all = api.list(&ListParams::default()).await?.into_iter().filter_map(|it| it.0.ok());
    Ok(all.filter(|snapshot| snapshot.spec.backup == backup).collect())
}

/// The claims of the stores' volumes.
async fn volumes(client: &Client, name: &SystemName, system: &MailSystem) -> Result<Vec<String>, Error> {
    let api: Api<PersistentVolumeClaim> = in_namespace(client, &name.namespace);
    let stores = &system.spec.store;
    let all = (0..stores.shards).flat_map(|shard| (0..stores.replicas).map(move |pod| (shard, pod)));
    let names: Vec<_> = all.map(|(shard, pod)| format!("data-{}-{pod}", name.store(shard))).collect();
    let found = try_join_all(names.iter().map(|name| api.get_metadata_opt(name))).await?;
    Ok(names.into_iter().zip(found).filter_map(|(name, found)| found.map(|_| name)).collect())
}

async fn nodes(client: &Client, name: &SystemName) -> Result<Vec<(String, String)>, Error> {
    let labels = name.selector(crate::names::Component::Store);
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let api: Api<Pod> = in_namespace(client, &name.namespace);
    let pods = api.list(&ListParams::default().labels(&labels.join(","))).await?;
    let node = |pod: Pod| Some((pod.name_any(), pod.spec?.node_name?));
    Ok(pods.into_iter().filter_map(node).collect())
}

/// Whether any mailbox, served or retired, is one that the selector names. Objects are asked for page by page, until one is.
async fn selected(
    client: &Client,
    selector: Option<&MailboxSelector>,
    watched: Option<&str>,
) -> Result<bool, Error> {
    let Some(selector) = selector else { return Ok(true) };
    let named = |address: &str| {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        selector.addresses.iter().any(|it| it.eq_ignore_ascii_case(address))
            || selector.domains.iter().any(|it| it.eq_ignore_ascii_case(domain))
    };
    Ok(any::<Mailbox>(client, watched, |it| named(&it.spec.address)).await?
        || any::<RetiredMailbox>(client, watched, |it| named(&it.spec.address)).await?)
}

async fn any<K>(client: &Client, watched: Option<&str>, fits: impl Fn(&K) -> bool) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<Guarded<K>> = match watched {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut page = ListParams::default().limit(500);
    loop {
        let list = api.list(&page).await?;
        if list.items.iter().filter_map(|object| object.0.as_ref().ok()).any(&fits) {
            return Ok(true);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(false),
        }
    }
}

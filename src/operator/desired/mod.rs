//! What a mail system needs in the cluster: pure functions from [`Validated`] to Kubernetes objects, one file for each
//! kind of child. They read nothing but `Validated` and cannot fail.

mod accounts;
mod antispam;
mod antivirus;
pub mod backup;
mod cache;
mod configuration;
mod disruption;
mod gateway;
mod network;
mod pod;
pub mod secrets;
mod services;
mod store;
#[cfg(test)]
mod tests;
mod volumes;
mod workload;

pub use configuration::Configuration;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    coordination::v1::Lease,
    core::v1::{Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};

use super::system::validated::Validated;
use crate::names::Component;

/// Every object of a mail system but those that follow its mailboxes.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The verdict token, if it has yet to be made.
    pub internal: Option<Secret>,
    /// The stores' log-in at the gateways.
    pub gateway_login: Secret,
    /// The served certificate.
    pub tls: Secret,
    /// Accounts of the agents.
    pub accounts: Vec<ServiceAccount>,
    /// What agents may read and write beside the directory.
    pub roles: Vec<Role>,
    /// Who holds those roles.
    pub bindings: Vec<RoleBinding>,
    /// Who of a shard's two stores serves is decided over these.
    pub leases: Vec<Lease>,
    /// The daemons' files.
    pub configuration: Configuration,
    /// Who may talk to whom.
    pub policies: Vec<NetworkPolicy>,
    /// Ways in.
    pub services: Vec<Service>,
    /// How many pods a drain may take.
    pub budgets: Vec<PodDisruptionBudget>,
    /// Valkey, if its volume can be made.
    pub cache: Option<StatefulSet>,
    /// clamd.
    pub antivirus: Deployment,
    /// Rspamd.
    pub antispam: Deployment,
    /// Cyrus, by shard; those whose volume can be made.
    pub stores: Vec<Option<StatefulSet>>,
    /// Postfix and the proxy, if the queue's volume can be made.
    pub gateway: Option<StatefulSet>,
}

/// Everything that `v` needs.
#[must_use]
pub fn desired(v: &Validated) -> Desired {
    let configuration = configuration::all(v);
    let hashes = configuration.hashes(v);
    let shards = || (0_u32..).zip(&v.store.shards);
    let mut services = vec![
        services::front(v),
        services::gateway_pods(v),
        services::antispam(v),
        services::antivirus(v),
        services::cache(v),
    ];
    services.extend(shards().map(|(shard, _)| services::store(v, shard)));
    let components = Component::ALL.into_iter().filter(|component| *component != Component::Store);
    let mut budgets: Vec<_> = components.map(|component| disruption::budget(v, component)).collect();
    budgets.extend(shards().map(|(shard, _)| disruption::shard_budget(v, shard)));
    Desired {
        internal: secrets::internal(v),
        gateway_login: secrets::gateway_login(v),
        tls: secrets::tls(v),
        accounts: [Component::Gateway, Component::Store, Component::Antispam]
            .map(|c| accounts::account(v, c))
            .into(),
        roles: accounts::roles(v),
        bindings: accounts::bindings(v),
        leases: shards().filter(|_| v.store.replicas > 1).map(|(shard, _)| store::lease(v, shard)).collect(),
        policies: Component::ALL.map(|component| network::policy(v, component)).into(),
        services,
        budgets,
        cache: v.cache.as_ref().map(|volume| cache::stateful_set(v, volume, &hashes)),
        antivirus: antivirus::deployment(v, &hashes),
        antispam: antispam::deployment(v, &hashes),
        stores: shards()
            .map(|(shard, volume)| Some(store::stateful_set(v, shard, volume.as_ref()?, &hashes)))
            .collect(),
        gateway: v.gateway.queue.as_ref().map(|queue| gateway::stateful_set(v, queue, &hashes)),
        configuration,
    }
}

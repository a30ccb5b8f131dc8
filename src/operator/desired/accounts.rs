//! The ServiceAccounts of the agents, and what those beside Rspamd and Cyrus may. What concerns the directory is written
//! with it, since its Secrets have changing names. Pure.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

use super::pod;
use crate::{names::Component, operator::system::validated::Validated};

/// The account of a component's agent. Pods that want its token say so themselves.
pub fn account(v: &Validated, component: Component) -> ServiceAccount {
    ServiceAccount {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// Reading the Secret with the DKIM keys, for the agents beside Rspamd; reading and changing the Leases of the shards, for
/// those of stores, if there are two for each shard.
pub fn roles(v: &Validated) -> Vec<Role> {
    let signing =
        role(v, Component::Antispam, ("", "secrets"), vec![v.name.dkim()], &["get", "list", "watch"]);
    let leases = (0..).zip(&v.store.shards).map(|(shard, _)| v.name.store(shard)).collect();
    let electing = (v.store.replicas > 1)
        .then(|| role(v, Component::Store, ("coordination.k8s.io", "leases"), leases, &["get", "update"]));
    std::iter::once(signing).chain(electing).collect()
}

/// Who holds those roles.
pub fn bindings(v: &Validated) -> Vec<RoleBinding> {
    let electing = (v.store.replicas > 1).then_some(Component::Store);
    std::iter::once(Component::Antispam).chain(electing).map(|component| binding(v, component)).collect()
}

fn role(
    v: &Validated,
    component: Component,
    (group, resource): (&str, &str),
    names: Vec<String>,
    verbs: &[&str],
) -> Role {
    Role {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            resource_names: Some(names),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            ..PolicyRule::default()
        }]),
    }
}

fn binding(v: &Validated, component: Component) -> RoleBinding {
    let name = v.name.component(component);
    RoleBinding {
        metadata: pod::meta(v, name.clone(), Some(component)),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name,
            namespace: Some(v.name.namespace.clone()),
            ..Subject::default()
        }]),
    }
}

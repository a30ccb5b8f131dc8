//! The ServiceAccounts of the agents, and what the one beside Rspamd may read. What the others may is written with the
//! directory, since its Secrets have changing names. Pure.

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

/// Reading the Secret with the DKIM keys.
pub fn signing_role(v: &Validated) -> Role {
    let component = Component::Antispam;
    Role {
        metadata: pod::meta(v, v.name.component(component), Some(component)),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            resource_names: Some(vec![v.name.dkim()]),
            verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
            ..PolicyRule::default()
        }]),
    }
}

/// Gives it to the agents beside Rspamd.
pub fn signing_binding(v: &Validated) -> RoleBinding {
    let component = Component::Antispam;
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

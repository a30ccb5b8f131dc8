//! What lets agents read the directory: a Role that names its Secrets, bound to the agents' service accounts.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::{Client, api::ObjectMeta};

use super::cluster;
use crate::names::{Component, SystemName};

/// The Role for a directory of `count` shards. Pure.
#[must_use]
pub fn role(system: &SystemName, uid: &str, count: u32) -> Role {
    let shards = (0..count).map(|shard| system.directory_shard(count, shard));
    Role {
        metadata: metadata(system, uid),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            resource_names: Some(std::iter::once(system.directory()).chain(shards).collect()),
            verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
            ..PolicyRule::default()
        }]),
    }
}

/// Who holds the Role. Pure.
#[must_use]
pub fn binding(system: &SystemName, uid: &str) -> RoleBinding {
    let subjects = [Component::Gateway, Component::Store].map(|component| Subject {
        kind: "ServiceAccount".to_owned(),
        name: system.component(component),
        namespace: Some(system.namespace.clone()),
        ..Subject::default()
    });
    RoleBinding {
        metadata: metadata(system, uid),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: system.directory(),
        },
        subjects: Some(subjects.to_vec()),
    }
}

/// Applies both.
///
/// # Errors
/// The API's answer.
pub async fn apply(client: &Client, system: &SystemName, uid: &str, count: u32) -> Result<(), kube::Error> {
    let name = system.directory();
    cluster::apply(client, &system.namespace, &name, &role(system, uid, count)).await?;
    cluster::apply(client, &system.namespace, &name, &binding(system, uid)).await
}

fn metadata(system: &SystemName, uid: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(system.directory()),
        namespace: Some(system.namespace.clone()),
        labels: Some(system.labels()),
        owner_references: Some(vec![cluster::owner("MailSystem", &system.name, uid)]),
        ..ObjectMeta::default()
    }
}

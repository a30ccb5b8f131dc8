//! `spec.store`: Cyrus, and how its mailboxes are spread over shards.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Storage, default_from_serde};

/// Stores: Cyrus.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Number of shards over which mailboxes are spread. It can grow, not shrink.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    #[x_kube(validation = ("self >= oldSelf", "the number of shards cannot shrink: the last shard holds mail"))]
    pub shards: u32,
    /// The volume of each store pod.
    #[serde(default = "default_store_storage")]
    pub storage: Storage,
    /// How long mail is kept whose Mailbox was deleted, in days such as `90d`. It holds for what is deleted from now on.
    #[serde(default = "default_retention")]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]{0,3}d$')", "must be a number of days such as 90d"))]
    #[schemars(length(max = 5))]
    pub retired_retention: String,
    /// Resources of the Cyrus container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

default_from_serde!(Store);

fn one() -> u32 {
    1
}
fn default_retention() -> String {
    "90d".to_owned()
}
fn default_store_storage() -> Storage {
    Storage { size: "50Gi".to_owned(), storage_class_name: None }
}

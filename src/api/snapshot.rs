//! `MailSnapshot`: what one run of a MailBackup stored, rebuilt from the repository.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::{LocalSystemRef, ReclaimPolicy};

/// What was stored. The operator makes it from what is in the repository, and makes it again if it is lost.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailSnapshot",
    plural = "mailsnapshots",
    namespaced,
    category = "mail",
    status = "MailSnapshotStatus",
    derive = "PartialEq",
    doc = "What one run of a MailBackup stored. It is rebuilt from the repository; a MailRestore names it.",
    printcolumn(name = "Backup", type_ = "string", json_path = ".spec.backup"),
    printcolumn(name = "Time", type_ = "string", json_path = ".spec.time"),
    printcolumn(name = "Mailboxes", type_ = "integer", json_path = ".status.mailboxes"),
    printcolumn(name = "Messages", type_ = "integer", json_path = ".status.messages"),
    printcolumn(name = "Added", type_ = "string", json_path = ".status.added"),
    printcolumn(name = "Verified", type_ = "string", json_path = ".status.verified"),
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Complete\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct MailSnapshotSpec {
    /// The MailBackup whose run it was, in the same namespace.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    #[schemars(length(max = 253))]
    pub backup: String,
    /// The MailSystem.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    pub system: LocalSystemRef,
    /// Names the run.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    #[schemars(length(max = 253))]
    pub run: String,
    /// When the first of the shards was frozen.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    pub time: Time,
    /// The snapshots in the repositories, one for each shard.
    #[schemars(schema_with = "parts_schema")]
    pub parts: Vec<Part>,
    /// Whether deleting this object forgets the snapshots in the repositories.
    #[serde(default)]
    pub reclaim_policy: ReclaimPolicy,
}

/// A snapshot of one shard.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The shard.
    pub shard: u32,
    /// Its id, as `restic snapshots` lists it.
    pub id: String,
}

/// What is known of what was stored.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailSnapshotStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Mailboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxes: Option<u64>,
    /// Messages, without expunged ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// What the repositories grew by, a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    /// When it was restored and found to be right. Only what this cluster has seen: proofs are not in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Time>,
    /// `Complete`: the repository lists a snapshot for each shard, each with all that was frozen. `Verified`: the latest
    /// proof of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

fn parts_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 256,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["shard"],
        "items": generator.subschema_for::<Part>()
    })
}

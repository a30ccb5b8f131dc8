//! What is known of a mail system.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a mail system.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailSystemStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `GatewayAvailable`, `StoreAvailable`, `AntispamAvailable`, `AntivirusAvailable`, `CertificateValid`; with a
    /// journal `JournalHealthy` and `DeliveryAccounted`; with two stores for each shard `ReplicationHealthy`; and
    /// `BackupVerified`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::super::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// One entry for each workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentStatus>,
    /// With two stores for each shard: who serves it, and how far the other is. One entry for each shard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardStatus>,
    /// Number of mailboxes that are served.
    #[serde(default)]
    pub mailboxes: u32,
    /// Number of domains that are served.
    #[serde(default)]
    pub domains: u32,
    /// Which mailboxes are to be looked at, in numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<super::ReviewSummary>,
    /// When the served certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expiry: Option<Time>,
    /// With a journal: accepted messages that were not delivered, relayed or returned, and that are in no queue. Absent while
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaccounted: Option<u32>,
    /// When the oldest of them was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unaccounted: Option<Time>,
}

/// A workload of the system.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Name of the workload object.
    pub name: String,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are wanted.
    pub desired: u32,
    /// Image of the daemon.
    pub image: String,
}

/// The two stores of a shard, as their agents say.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ShardStatus {
    /// Its number.
    pub shard: u32,
    /// The pod that serves; absent if none says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The other pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// The epoch that is served, or the latest that is known: every start of service is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether the replica has everything that was acknowledged; absent while nobody serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_sync: Option<bool>,
    /// Both pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<StorePodStatus>,
    /// For how long the replica has lacked something. Written every 15 seconds at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// How many changes of mailboxes it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_changes: Option<u64>,
    /// How far seeding, returning or catching up is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// What is amiss, in words; empty if nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How far a long work is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressStatus {
    /// Mailboxes done.
    pub done: u64,
    /// Mailboxes in all.
    pub total: u64,
}

/// A store pod.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct StorePodStatus {
    /// Its name.
    pub name: String,
    /// The node that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What it does: `Primary`, `InSync`, `CatchingUp`, `Returning`, `Seeding`, `Unseeded`, `Electing`, `Waiting` or
    /// `Failing`. Absent while it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The highest epoch that it served, or followed to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

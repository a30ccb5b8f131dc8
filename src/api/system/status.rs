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
    /// journal `JournalHealthy` and `DeliveryAccounted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::super::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// One entry for each workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentStatus>,
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

//! `spec.antispam`: Rspamd and its thresholds.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{default_from_serde, two};

/// Spam filter: Rspamd with Valkey.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Antispam {
    /// Number of Rspamd pods.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 50))]
    pub replicas: u32,
    /// Scores at which something is done.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Resources of the Rspamd container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

/// Rspamd's action thresholds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.addHeader < self.reject", "addHeader must be below reject"))]
pub struct Thresholds {
    /// From this score on a message is marked as spam.
    #[serde(default = "six")]
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub add_header: f64,
    /// From this score on a message is refused.
    #[serde(default = "fifteen")]
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub reject: f64,
}

default_from_serde!(Antispam, Thresholds);

fn six() -> f64 {
    6.0
}
fn fifteen() -> f64 {
    15.0
}

//! `spec.antivirus`: ClamAV, its signatures, and what happens to mail it finds bad or cannot judge.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{default_from_serde, two};

/// Virus scanner: ClamAV.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.signatureSecret) || !has(self.mirrors) || self.mirrors.size() == 0", "signatureSecret and mirrors exclude each other"))]
pub struct Antivirus {
    /// Number of clamd pods.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 50))]
    pub replicas: u32,
    /// Hosts or URLs from which freshclam fetches signatures; ClamAV's own if neither this nor `signatureSecret` is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 200)))]
    pub mirrors: Vec<String>,
    /// A Secret whose keys are signature files (`local.ndb`, for example), used instead of freshclam.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub signature_secret: Option<String>,
    /// What happens to mail that cannot be scanned.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What happens to mail in which something was found.
    #[serde(default)]
    pub on_detection: OnDetection,
    /// Resources of the clamd container. Official signatures need about 2Gi of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

/// What happens to mail that the virus scanner could not judge.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The sender is asked to try again later (`451`).
    #[default]
    Defer,
    /// The mail passes unscanned; status says so.
    Accept,
}

/// What happens to mail in which the virus scanner found something.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDetection {
    /// It is refused (`554`).
    #[default]
    Reject,
    /// It is kept in the gateway's hold queue.
    Quarantine,
}

default_from_serde!(Antivirus);

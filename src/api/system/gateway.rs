//! `spec.gateway`: Postfix, the IMAP and POP proxy, and the Service in front of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Storage, default_from_serde, two};

/// Gateways: Postfix and the IMAP and POP proxy.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Number of gateway pods. It can grow, not shrink: the queue of a gateway that goes may hold accepted mail.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 50))]
    #[x_kube(validation = ("self >= oldSelf", "the number of gateways cannot shrink: the queue of the last one may hold accepted mail"))]
    pub replicas: u32,
    /// The Service in front of the gateways.
    #[serde(default)]
    pub service: GatewayService,
    /// Largest message that is accepted, a quantity between 64Ki and 200Mi.
    #[serde(default = "default_message_size")]
    #[x_kube(validation = ("isQuantity(self) && quantity(self).compareTo(quantity('64Ki')) >= 0 && quantity(self).compareTo(quantity('200Mi')) <= 0", "must be a quantity between 64Ki and 200Mi, such as 50Mi"))]
    #[schemars(length(max = 32))]
    pub message_size: String,
    /// The volume of each gateway's mail queue.
    #[serde(default = "default_queue_storage")]
    pub queue_storage: Storage,
    /// Send all outgoing mail through this host: `host`, `host:port` or `[host]:port`. Without it the MX records decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^([[][a-zA-Z0-9.:-]+[]]|[a-zA-Z0-9.-]+)(:[1-9][0-9]{0,4})?$')", "must be host, host:port or [host]:port"))]
    #[schemars(length(min = 1, max = 300))]
    pub relay_host: Option<String>,
    /// Resources of the Postfix container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

/// The Service through which the world reaches the gateways.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayService {
    /// Type of the Service. `NodePort` and `LoadBalancer` keep the client's address (`externalTrafficPolicy: Local`).
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations for the load balancer of your platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Service types, as in Kubernetes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// Reached within the cluster.
    #[default]
    ClusterIP,
    /// Reached at a port of every node.
    NodePort,
    /// Reached through the platform's load balancer.
    LoadBalancer,
}

default_from_serde!(Gateway);

fn default_message_size() -> String {
    "50Mi".to_owned()
}
fn default_queue_storage() -> Storage {
    Storage { size: "5Gi".to_owned(), storage_class_name: None }
}

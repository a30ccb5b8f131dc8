//! `MailSystem`: one installation of gateways, stores, anti-spam and antivirus.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wishes for one mail system.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailSystem",
    plural = "mailsystems",
    namespaced,
    category = "mail",
    status = "MailSystemStatus",
    derive = "PartialEq",
    doc = "A mail system: gateways (SMTP, IMAP), stores, anti-spam and antivirus. Deleting it keeps its volumes.",
    printcolumn(name = "Hostname", type_ = "string", json_path = ".spec.hostname"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Mailboxes", type_ = "integer", json_path = ".status.mailboxes"),
    printcolumn(name = "Cert", type_ = "string", json_path = ".status.certificateExpiry", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name.matches('^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$')").message(
        "the name of a MailSystem is a DNS label of at most 40 characters that begins with a letter, since the names of its Services begin with it"
    ),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct MailSystemSpec {
    /// The name under which clients and other mail servers reach the system, for example `mail.angiang.gov.vn`.
    #[x_kube(validation = ("self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case host name with at least two labels"))]
    #[schemars(length(min = 3, max = 253))]
    pub hostname: String,

    /// The certificate for `hostname`. Without it the operator makes a self-signed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Where mail comes in and goes out.
    #[serde(default)]
    pub gateway: Gateway,

    /// Where mail is kept.
    #[serde(default)]
    pub store: Store,

    /// Spam filter.
    #[serde(default)]
    pub antispam: Antispam,

    /// Virus scanner.
    #[serde(default)]
    pub antivirus: Antivirus,

    /// Other namespaces whose MailDomains may use this system; `*` means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(n, n == '*' || n.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'))", "must be names of namespaces, or * for all"))]
    #[schemars(schema_with = "tenant_namespaces_schema")]
    pub tenant_namespaces: Vec<String>,

    /// Stop changing this system's objects. What runs goes on running.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// The outer certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A Secret of type `kubernetes.io/tls` in the system's namespace (cert-manager's, for example).
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

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
    #[schemars(schema_with = "super::schema::resources")]
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

/// A volume for each pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume.
    #[x_kube(validation = ("isQuantity(self) && quantity(self).compareTo(quantity('100Mi')) >= 0", "must be a quantity of at least 100Mi, such as 50Gi"))]
    #[schemars(length(max = 32))]
    pub size: String,
    /// Storage class; the cluster's default one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

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
    /// Resources of the Cyrus container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

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
    #[schemars(schema_with = "super::schema::resources")]
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
    #[schemars(schema_with = "super::schema::resources")]
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

/// What is known of a mail system.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailSystemStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `GatewayAvailable`, `StoreAvailable`, `AntispamAvailable`, `AntivirusAvailable`, `CertificateValid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
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
    /// When the served certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expiry: Option<Time>,
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

/// A set of names: the bounds keep the cost of the CEL rule within the API server's budget.
fn tenant_namespaces_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 256, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 63}
    })
}

macro_rules! default_from_serde {
    ($($type:ty),*) => {$(
        impl Default for $type {
            /// The defaults that the API server fills in, from the one place where they stand.
            fn default() -> Self {
                serde_json::from_str("{}").unwrap_or_else(|_| unreachable!("every field has a default"))
            }
        }
    )*};
}
default_from_serde!(Gateway, Store, Antispam, Thresholds, Antivirus);

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}
fn six() -> f64 {
    6.0
}
fn fifteen() -> f64 {
    15.0
}
fn default_message_size() -> String {
    "50Mi".to_owned()
}
fn default_queue_storage() -> Storage {
    Storage { size: "5Gi".to_owned(), storage_class_name: None }
}
fn default_store_storage() -> Storage {
    Storage { size: "50Gi".to_owned(), storage_class_name: None }
}

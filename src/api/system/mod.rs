//! `MailSystem`: one installation of gateways, stores, anti-spam and antivirus. One file for each part of its spec.

mod antispam;
mod antivirus;
mod authentication;
mod gateway;
mod journal;
mod resolver;
mod review;
mod status;
mod store;

pub use antispam::{Antispam, Thresholds};
pub use antivirus::{Antivirus, OnDetection, OnFailure};
pub use authentication::{Authentication, Bind, Ldap, Search};
pub use gateway::{Gateway, GatewayService, ServiceType};
pub use journal::{Durability, Journal, ObjectStorage};
pub use resolver::Resolver;
pub use review::{Review, ReviewSummary};
pub use status::{ComponentStatus, MailSystemStatus, ProgressStatus, ShardStatus, StorePodStatus};
pub use store::{Failover, Store};

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
    printcolumn(
        name = "Replicated",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"ReplicationHealthy\")].status"
    ),
    printcolumn(name = "Mailboxes", type_ = "integer", json_path = ".status.mailboxes"),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"BackupVerified\")].status"
    ),
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

    /// How much each mailbox may send.
    #[serde(default)]
    pub limits: super::SystemLimits,

    /// Who knows people's passwords; the system itself if nothing is said.
    #[serde(default, skip_serializing_if = "Authentication::is_local")]
    pub authentication: Authentication,

    /// What is looked for in mailboxes.
    #[serde(default)]
    pub review: Review,

    /// A copy of each accepted message in object storage, before it is accepted. Without it the loss of a disk loses mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,

    /// Who is asked for the DNS records of its domains; the resolver of the operator's pod if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Resolver>,

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
use default_from_serde;

fn two() -> u32 {
    2
}

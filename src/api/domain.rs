//! `MailDomain`: one mail domain, the organisation it belongs to, and what its DNS must say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wishes for one domain of a mail system.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailDomain",
    plural = "maildomains",
    namespaced,
    category = "mail",
    status = "MailDomainStatus",
    derive = "PartialEq",
    doc = "A mail domain of a MailSystem: Mailboxes in the same namespace may have addresses in it.",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Organisation", type_ = "string", json_path = ".spec.organisation"),
    printcolumn(name = "Mailboxes", type_ = "integer", json_path = ".status.mailboxes"),
    printcolumn(name = "Allocated", type_ = "string", json_path = ".status.allocatedQuota"),
    printcolumn(name = "Most", type_ = "integer", json_path = ".spec.limits.mailboxes", priority = 1),
    printcolumn(name = "MostQuota", type_ = "string", json_path = ".spec.limits.totalQuota", priority = 1),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.waiting", priority = 1),
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
        name = "DNS",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"DNSReady\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct MailDomainSpec {
    /// The MailSystem that serves the domain. It cannot be changed: the domain's mail is stored there.
    #[x_kube(validation = ("self == oldSelf", "the system of a domain cannot be changed, since its mail is stored there"))]
    pub system: SystemRef,

    /// The domain (lower case, A-labels). It cannot be changed.
    #[x_kube(
        validation = ("self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case domain name with at least two labels, such as angiang.gov.vn"),
        validation = ("self == oldSelf", "the domain cannot be changed; make a new MailDomain")
    )]
    #[schemars(length(min = 3, max = 253))]
    pub domain: String,

    /// The body that uses the domain, for example `Tỉnh ủy An Giang`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub organisation: Option<String>,

    /// How outgoing mail is signed.
    #[serde(default)]
    pub dkim: Dkim,

    /// How much the mailboxes of the domain may use together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<super::DomainLimits>,

    /// Whether the DNS is asked for the domain's records, by the system's `resolver`.
    #[serde(default = "yes")]
    pub dns_check: bool,
}

fn yes() -> bool {
    true
}

/// Names a MailSystem.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SystemRef {
    /// Name of the MailSystem.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// Its namespace; the MailDomain's own if absent. Another one must be allowed by the system's `tenantNamespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// DKIM (RFC 6376) of a domain. The key pair is RSA of 2048 bits, made by the operator.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.rotateEvery) || self.selector.size() <= 54", "with rotateEvery the selector is limited to 54 characters, since a date is added to it"))]
pub struct Dkim {
    /// The selector under which the public key is published. After a change mail is signed with the former key until the
    /// record of the new one was seen in the DNS, or without `dnsCheck` for three days.
    #[serde(default = "default_selector")]
    #[x_kube(validation = ("self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')", "must be one DNS label"))]
    #[schemars(length(min = 1, max = 63))]
    pub selector: String,
    /// The age at which a key is replaced, in days from `14d` on. The new key's selector has the date added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]{0,3}d$') && int(self.substring(0, self.size() - 1)) >= 14", "must be a number of days from 14d on, such as 180d"))]
    #[schemars(length(min = 3, max = 5))]
    pub rotate_every: Option<String>,
}

impl Default for Dkim {
    fn default() -> Self {
        Self { selector: default_selector(), rotate_every: None }
    }
}

fn default_selector() -> String {
    "mail".to_owned()
}

/// What is known of a domain.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailDomainStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Number of Mailboxes whose address is in the domain and was accepted.
    #[serde(default)]
    pub mailboxes: u32,
    /// What their quotas come to together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_quota: Option<String>,
    /// Number of Mailboxes that `limits` keeps from being served, or from a larger quota.
    #[serde(default)]
    pub waiting: u32,
    /// The records to publish in the DNS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_records: Vec<DnsRecord>,
    /// `Ready`: the system's agents accept mail for the domain. `DkimKeyAvailable`: outgoing mail is signed.
    /// `DNSReady`: every record that is needed is in the DNS. `WithinLimits`, where there are `limits`: what is there fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A DNS record to publish, and what was found of it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecord {
    /// What the record is for: `MX`, `SPF`, `DKIM`, `DMARC`, `TLS-RPT`, `MTA-STS`, `A`, `PTR`.
    pub purpose: String,
    /// Owner name, fully qualified without the final dot.
    pub name: String,
    /// Record type: `MX`, `TXT`, `A` (or AAAA) or `PTR`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The data in presentation form, TXT data as one string without quotes.
    pub value: String,
    /// Whether mail works without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Of a DKIM record: what its key is used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_use: Option<KeyUse>,
    /// Of a DKIM record: when signing goes over to a `Next` key that is not looked up; until when a `Former` one is to be
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// What a look-up said; absent before the first, and without `dnsCheck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RecordState>,
    /// The data that were found, in presentation form; at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// What is wrong and what to do, unless `state` is `Ok`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What a look-up said of a record.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// It is as it should be, or serves as well.
    Ok,
    /// There is none.
    Missing,
    /// There is another one.
    Different,
    /// The resolver could not say.
    Unknown,
}

/// What a DKIM key is used for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Mail is signed with it.
    Signing,
    /// Signing goes over to it when its record was seen.
    Next,
    /// Mail on its way was signed with it: its record is still to be kept.
    Former,
}

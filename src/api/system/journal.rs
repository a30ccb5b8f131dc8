//! `spec.journal`: a copy of each accepted message in object storage, before it is accepted.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The journal: what the gateways accept is in object storage first, encrypted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// Where it is kept.
    pub object_storage: ObjectStorage,

    /// What happens to mail that object storage does not take.
    #[serde(default)]
    pub durability: Durability,

    /// The largest backlog on each gateway's queue volume under `Preferred`, a quantity of at least 1Mi. Beyond it mail is
    /// deferred.
    #[serde(default = "default_backlog")]
    #[x_kube(validation = ("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0", "must be a quantity of at least 1Mi, such as 1Gi"))]
    #[schemars(length(max = 32))]
    pub backlog: String,

    /// After how many days what is settled is deleted, from `7d` to `30d`. Nothing is deleted if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^([7-9]|[12][0-9]|30)d$')", "must be a number of days from 7d to 30d, such as 30d"))]
    #[schemars(length(max = 3))]
    pub retention: Option<String>,

    /// Public keys (age, `age1…`) that can read the journal besides the system's own, which is in the Secret
    /// `<name>-journal-key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(k, k.matches('^age1[02-9ac-hj-np-z]{58}$'))", "must be public keys of age: age1 and 58 characters, as age-keygen prints them"))]
    #[schemars(schema_with = "keys_schema")]
    pub additional_keys: Vec<String>,
}

/// A bucket of a server that speaks S3.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorage {
    /// `https://host` or `https://host:port`, or `http://` within the cluster. AWS if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^https?://([a-zA-Z0-9.-]+|[[][0-9a-fA-F:.]+[]])(:[1-9][0-9]{0,4})?/?$')", "must be https://host, https://host:port or the same with http"))]
    #[schemars(length(min = 8, max = 300))]
    pub endpoint: Option<String>,
    /// The region that requests are signed for. Servers of one's own often take any.
    #[serde(default = "default_region")]
    #[x_kube(validation = ("self.matches('^[a-z0-9-]+$')", "must be a region, such as us-east-1"))]
    #[schemars(length(min = 1, max = 63))]
    pub region: String,
    /// The bucket. It has to exist.
    #[x_kube(validation = ("self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')", "must be the name of a bucket"))]
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// What all names in the bucket begin with; `<namespace>/<name>` of the MailSystem if absent. Two systems must not share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[a-zA-Z0-9._-]+(/[a-zA-Z0-9._-]+)*$')", "must be names of letters, digits and . _ - with / between them"))]
    #[schemars(length(min = 1, max = 200))]
    pub prefix: Option<String>,
    /// A Secret in the system's namespace with the keys `accessKeyId` and `secretAccessKey`, and if need be `sessionToken`
    /// and `ca.crt`, the authority of the server's certificate.
    #[schemars(length(min = 1, max = 253))]
    pub credentials_secret: String,
}

/// What happens to mail that object storage does not take.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is deferred: the sender keeps it and tries again.
    #[default]
    Required,
    /// It is kept on the gateway's volume until object storage takes it: the loss of that one disk would lose it.
    Preferred,
    /// Nothing is journalled. What waits on volumes is still brought to object storage.
    Disabled,
}

fn default_backlog() -> String {
    "1Gi".to_owned()
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn keys_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 8, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 62, "maxLength": 62}
    })
}

//! What a MailSystem amounts to once it is checked: newtypes and figures in bytes. Values only; builders of objects and
//! renderers of configuration read these and never the custom resource, so they cannot fail.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};

use super::{
    journal::Journal,
    pair::Pair,
    values::{Hostname, RelayHost, Token},
};
use crate::{
    api::system::{OnDetection, OnFailure, ServiceType, Thresholds},
    images::Images,
    names::SystemName,
};

/// A checked mail system.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Name and namespace.
    pub name: SystemName,
    /// Makes the MailSystem the owner of an object.
    pub owner: OwnerReference,
    /// The name under which the world reaches the system.
    pub hostname: Hostname,
    /// Gateways.
    pub gateway: Gateway,
    /// Stores.
    pub store: Store,
    /// Spam filter.
    pub antispam: Antispam,
    /// Virus scanner.
    pub antivirus: Antivirus,
    /// The journal, if one is wanted and its key is there.
    pub journal: Option<Journal>,
    /// The ports of the servers of directory services.
    pub ldap_ports: Vec<u16>,
    /// The volume of the spam filter's cache; `None` if its storage class is not there.
    pub cache: Option<Volume>,
    /// The pair that is served.
    pub pair: Pair,
    /// The installation's verdict token.
    pub token: Token,
    /// Whether the Secret with the token is already there; it is never written twice.
    pub token_exists: bool,
    /// What pods run.
    pub images: Images,
}

/// Gateways.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Number of pods.
    pub replicas: i32,
    /// Type of the front Service.
    pub service_type: ServiceType,
    /// Annotations of the front Service.
    pub service_annotations: BTreeMap<String, String>,
    /// Largest message in bytes.
    pub message_size: u64,
    /// The queue's volume; `None` if its storage class is not there, so that no pod can be made yet.
    pub queue: Option<Volume>,
    /// Where outgoing mail goes, if not to the MX.
    pub relay_host: Option<RelayHost>,
    /// Resources of Postfix.
    pub resources: Option<ResourceRequirements>,
}

/// Stores.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// The volume of each shard, by number; as many as there are shards. `None` as in [`Gateway::queue`].
    pub shards: Vec<Option<Volume>>,
    /// Number of pods of each shard: 1 or 2.
    pub replicas: i32,
    /// After how many seconds a store that may lack changes takes over; `None`: never by itself.
    pub stale_after: Option<u64>,
    /// Resources of Cyrus.
    pub resources: Option<ResourceRequirements>,
}

/// Spam filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Antispam {
    /// Number of pods.
    pub replicas: i32,
    /// Scores at which something is done.
    pub thresholds: Thresholds,
    /// Resources of Rspamd.
    pub resources: Option<ResourceRequirements>,
}

/// Virus scanner.
#[derive(Clone, Debug, PartialEq)]
pub struct Antivirus {
    /// Number of pods.
    pub replicas: i32,
    /// Where signatures come from.
    pub signatures: Signatures,
    /// What happens to mail that cannot be scanned.
    pub on_failure: OnFailure,
    /// What happens to mail in which something was found.
    pub on_detection: OnDetection,
    /// Resources of clamd.
    pub resources: Option<ResourceRequirements>,
}

/// Where virus signatures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// freshclam fetches them from these mirrors; from ClamAV's own if there are none.
    Mirrors(Vec<String>),
    /// A Secret of the user's holds them.
    Secret(String),
}

/// A volume of each pod of a StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Size.
    pub size: Quantity,
    /// Storage class; the cluster's default if absent.
    pub class: Option<String>,
}

//! `RetiredMailbox`: the mail of a mailbox that was deleted, kept until its time has come.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept, and until when. The operator makes it; deleting it deletes no mail, and it is made again.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "RetiredMailbox",
    plural = "retiredmailboxes",
    namespaced,
    category = "mail",
    status = "RetiredMailboxStatus",
    derive = "PartialEq",
    doc = "The mail of a Mailbox that was deleted. A new Mailbox's spec.restoreFrom brings it back.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Retired", type_ = "date", json_path = ".spec.retiredAt"),
    printcolumn(name = "PurgeAfter", type_ = "string", json_path = ".spec.purgeAfter"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
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
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct RetiredMailboxSpec {
    /// The address that the mailbox had.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    #[schemars(length(max = 254))]
    pub address: String,
    /// The name of the Mailbox.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    #[schemars(length(max = 253))]
    pub mailbox: String,
    /// Its uid, which is that of the mail in the store.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The MailSystem that keeps the mail.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    pub system: super::domain::SystemRef,
    /// The store shard that keeps the mail.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    pub shard: u32,
    /// When the Mailbox was deleted.
    #[x_kube(validation = ("self == oldSelf", "it says what was; it cannot be changed"))]
    pub retired_at: Time,
    /// When the mail is purged. It can be put off, not brought forward: for that, annotate the object with
    /// `mail.angiang.gov.vn/purge`, whose value repeats the address.
    #[x_kube(validation = ("self >= oldSelf", "mail can be kept longer, not shorter; to have it purged now, annotate this object with mail.angiang.gov.vn/purge: <address>"))]
    pub purge_after: Time,
}

/// What is known of the mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RetiredMailboxStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How much it is, a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// `Ready`: the mail is kept, out of everybody's reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

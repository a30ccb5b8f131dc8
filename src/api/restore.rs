//! `MailRestore`: mail comes back from a backup. Nothing that is there is overwritten.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::LocalSystemRef;

/// What is to come back, from where, and whither. It cannot be changed.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailRestore",
    plural = "mailrestores",
    namespaced,
    category = "mail",
    status = "MailRestoreStatus",
    derive = "PartialEq",
    doc = "Brings mail back from a MailSnapshot: messages, folders, mailboxes, or all. It is carried out once.",
    printcolumn(name = "Mailbox", type_ = "string", json_path = ".status.what"),
    printcolumn(name = "From", type_ = "string", json_path = ".status.snapshot"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Restored", type_ = "integer", json_path = ".status.restored"),
    printcolumn(name = "Skipped", type_ = "integer", json_path = ".status.skipped", priority = 1),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Complete\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name.size() <= 50").message(
        "the name of a MailRestore is limited to 50 characters, since the name of its Job begins with it"
    ),
    validation = kube::core::Rule::new("self.spec == oldSelf.spec").message(
        "a restore is carried out once, as it was written; make another MailRestore"
    ),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct MailRestoreSpec {
    /// The MailSystem, in the same namespace.
    pub system: LocalSystemRef,

    /// Which backup it comes from.
    pub from: From,

    /// Which mailboxes it comes from.
    pub mailboxes: What,

    /// Which messages of them. All if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Filter>,

    /// Where it goes. Where it was, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,

    /// Whether a snapshot will do that no restore has proven.
    #[serde(default)]
    pub allow_unverified: bool,

    /// Whether objects that went along with the mail and are not in the cluster are made first: the MailSystem itself,
    /// MailDomains, Mailboxes, MailGroups, and their Secrets if they went along.
    #[serde(default)]
    pub objects: bool,

    /// Only tells what would come back.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which backup: exactly one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.snapshot), has(self.latestVerified), has(self.pointInTime)].filter(f, f).size() == 1", "exactly one of snapshot, latestVerified and pointInTime has to be there"))]
pub struct From {
    /// A MailSnapshot in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub snapshot: Option<String>,
    /// The latest snapshot of a MailBackup that a restore has proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_verified: Option<OfBackup>,
    /// The latest snapshot of a MailBackup that is not younger than a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time: Option<AtTime>,
}

/// Names a MailBackup.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OfBackup {
    /// A MailBackup in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub backup: String,
}

/// A time, and whose snapshots.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AtTime {
    /// A MailBackup in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub backup: String,
    /// Mail as it was then, for example `2026-12-01T08:00:00+07:00`.
    pub time: Time,
}

/// Which mailboxes: exactly one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.addresses) && self.addresses.size() > 0) != (has(self.all) && self.all)", "exactly one of addresses and all: true has to be there"))]
pub struct What {
    /// Those with these addresses at the time of the backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "addresses_schema")]
    pub addresses: Vec<String>,
    /// All of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Which messages: those that fit all of it. Text is compared without regard to case, as a part of the header's text.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// The folder, as people see it, for example `INBOX` or `Cơ quan/2026`, with those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub folder: Option<String>,
    /// The Message-ID, with its angle brackets or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 998))]
    pub message_id: Option<String>,
    /// A part of `From`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 254))]
    pub from: Option<String>,
    /// A part of `Subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub subject: Option<String>,
    /// Delivered then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Time>,
    /// Delivered before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// Also messages that the owner had deleted before the backup, and that Cyrus still kept.
    #[serde(default)]
    pub expunged: bool,
}

/// Where it goes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.mailbox) || has(self.folder)", "name a mailbox, a folder, or both"))]
pub struct Target {
    /// The address of a mailbox that is there. The same as it was if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    pub mailbox: Option<String>,
    /// A folder in it, below which folders come as they were: `INBOX` as `<folder>`, `A/B` as `<folder>/A/B`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("!self.startsWith('/') && !self.endsWith('/')", "must neither begin nor end with /"))]
    #[schemars(length(min = 1, max = 200))]
    pub folder: Option<String>,
}

/// How far a restore is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestorePhase {
    /// It has not begun; the condition `Complete` says why.
    #[default]
    Pending,
    /// It is carried out.
    Running,
    /// All that was asked for is there.
    Succeeded,
    /// It ended without that.
    Failed,
}

/// What came of a restore.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailRestoreStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The mailbox, or how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The MailSnapshot that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// How far it is.
    #[serde(default)]
    pub phase: RestorePhase,
    /// Where it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Objects that were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Messages that are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// Messages that came back; with `dryRun`, that would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// Messages that were there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
    /// Messages that did not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Time>,
    /// Some of the messages that came back or would, that failed, or that are near what was asked for, each in a line; at
    /// most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// `Complete`: all that was asked for is there. `Failed`, only when it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

fn addresses_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 1000, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$"}
    })
}

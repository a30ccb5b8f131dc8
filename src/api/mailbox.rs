//! `Mailbox`: one mailbox and the addresses that reach it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wishes for one mailbox. The domain of `address` must be that of a MailDomain in the same namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "Mailbox",
    plural = "mailboxes",
    namespaced,
    category = "mail",
    status = "MailboxStatus",
    derive = "PartialEq",
    doc = "A mailbox: one address, its aliases, its owner's credentials and its quota.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Unit", type_ = "string", json_path = ".spec.unit"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Used", type_ = "string", json_path = ".status.usage.used"),
    printcolumn(name = "Quota", type_ = "string", json_path = ".spec.quota"),
    printcolumn(name = "LastLogin", type_ = "date", json_path = ".status.usage.lastLogin"),
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.address",
    selectable = ".spec.listed",
    validation = kube::core::Rule::new("self.metadata.name.size() <= 241")
        .message("the name of a Mailbox is limited to 241 characters, since <name>-credentials names its Secret"),
    cel
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.aliases) || !(self.address in self.aliases)", "the address of the mailbox cannot be one of its aliases"))]
#[x_kube(validation = ("!has(self.members) || self.members.size() == 0 || self.type in ['Unit', 'Shared']", "only a mailbox of type Unit or Shared has members"))]
#[x_kube(validation = ("!has(self.members) || !self.members.exists(m, m.address == self.address)", "a mailbox is no member of itself"))]
#[x_kube(validation = ("!has(self.forward) || self.forward.to != self.address", "a mailbox does not forward to itself"))]
#[x_kube(validation = ("self.type != 'Shared' || (!has(self.passwordSecret) && !has(self.appPasswords))", "nobody logs in to a Shared mailbox, so it has no password; its members open it with their own"))]
#[x_kube(validation = ("!(oldSelf.type in ['Unit', 'Shared']) || self.type in ['Unit', 'Shared']", "the mailbox of a unit cannot become that of a person; make a new Mailbox"))]
pub struct MailboxSpec {
    /// The mailbox's address (RFC 5321 Mailbox, lower case, dot-atom local part of at most 64 characters).
    /// When it is changed, the mail goes with it and the former address goes on reaching the mailbox for a time.
    #[x_kube(
        validation = ("self.matches('^[a-z0-9_=#$~-]+([.][a-z0-9_=#$~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case address with a domain, such as an.nguyen@angiang.gov.vn; the part before the @ has letters, digits, dots and _ = # $ ~ -"),
        validation = ("!self.startsWith('anyone@') && !self.startsWith('anonymous@')", "anyone and anonymous have a meaning of their own in the mail store"),
        validation = ("self.indexOf('@') <= 64", "the part before the @ is limited to 64 characters (RFC 5321, 4.5.3.1.1)")
    )]
    #[schemars(length(min = 3, max = 254))]
    pub address: String,

    /// For how long a former address goes on reaching the mailbox, in days such as `90d`: at least `7d`, since mail that was
    /// accepted for it may wait for five.
    #[serde(default = "default_keep")]
    #[x_kube(validation = ("self.matches('^([7-9]|[1-9][0-9]{1,3})d$')", "must be a number of days, at least 7d, such as 90d"))]
    #[schemars(length(max = 5))]
    pub keep_former_address: String,

    /// Whose it is. `Unit` and `Shared` may have members; nobody logs in to a `Shared` one. Of these two none becomes one of
    /// the others: what a unit's members could read is not handed to one person.
    #[serde(default)]
    pub r#type: MailboxType,

    /// Who else uses it: each member with an own password, in the folder list of an own mailbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(m, m.address.matches('^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$'))", "every member must be a lower-case address with a domain"))]
    #[schemars(schema_with = "members_schema")]
    pub members: Vec<Member>,

    /// The owner's name as people read it, for example `Nguyễn Văn An`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,

    /// The organisational unit, for example `Sở Thông tin và Truyền thông`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub unit: Option<String>,

    /// The owner's position in the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub position: Option<String>,

    /// Whether the mailbox stands in the list of official addresses, with `displayName`, `position`, `unit` and address:
    /// `kubectl mail addresses` prints it. Nothing publishes it by itself.
    #[serde(default)]
    pub listed: bool,

    /// The day on which somebody is to look whether the mailbox is still needed and whose it is, such as `2026-12-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))$|^[0-9]{2}(0[48]|[2468][048]|[13579][26])-02-29$')", "must be a date such as 2026-12-31"))]
    #[schemars(length(max = 10))]
    pub review_by: Option<String>,

    /// What the mailbox takes and gives. Nothing that it holds is lost in any state.
    #[serde(default)]
    pub state: MailboxState,

    /// What becomes of incoming mail while `state` is Suspended.
    #[serde(default)]
    pub while_suspended: WhileSuspended,

    /// Where people are told to write while `state` is Retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case address with a domain"))]
    #[schemars(length(min = 3, max = 254))]
    pub successor: Option<String>,

    /// Where mail goes that comes from now on, as during a leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,

    /// The RetiredMailbox of this namespace whose mail this mailbox takes over, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub restore_from: Option<String>,

    /// Largest total size of the stored messages, a Kubernetes quantity of at least 1Mi.
    #[serde(default = "default_quota")]
    #[x_kube(validation = ("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0", "must be a quantity of at least 1Mi, such as 2Gi"))]
    #[schemars(length(max = 32))]
    pub quota: String,

    /// Further addresses that reach this mailbox and that its owner may send from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        validation = ("self.all(a, a.matches('^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$'))", "every alias must be a lower-case address with a domain"),
        validation = ("self.all(a, a.indexOf('@') <= 64)", "the part before the @ of an alias is limited to 64 characters (RFC 5321, 4.5.3.1.1)")
    )]
    #[schemars(schema_with = "aliases_schema")]
    pub aliases: Vec<String>,

    /// The Secret with the password. Without it a password is generated into the Secret `<name>-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKeyRef>,

    /// Further passwords, each for one device or program, which end when they are taken out of this list. One whose
    /// Secret does not exist is generated into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub app_passwords: Vec<AppPassword>,

    /// How the mailbox may be used with a password; in every way if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub protocols: Vec<Protocol>,

    /// How much it may send, where that is not the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<super::MailboxLimits>,
}

/// A password for one device or program.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AppPassword {
    /// Names it, for people: `phone`, `scanner-2`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it is, or is put.
    pub secret: SecretKeyRef,
}

/// Whose a mailbox is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailboxType {
    /// A person's.
    #[default]
    Person,
    /// A unit's, with a log-in of its own.
    Unit,
    /// Its members' alone: nobody logs in to it.
    Shared,
    /// A program's.
    Service,
}

/// Somebody who uses the mailbox besides its owner.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// An address of a mailbox of the same system.
    pub address: String,
    /// What the member may do: Read (see the folders and read), Write (also mark, file, delete and make folders),
    /// `SendAs` (send from its addresses).
    pub rights: Vec<MemberRight>,
}

/// What a member may do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRight {
    /// See the folders and read.
    Read,
    /// Also mark, file, delete and make folders.
    Write,
    /// Send from its addresses.
    SendAs,
}

/// Where a mailbox's mail goes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// An address of a mailbox of the same system, or of a group that reaches nobody outside it. Others are for the owner's
    /// Sieve script.
    #[x_kube(validation = ("self.matches('^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case address with a domain"))]
    #[schemars(length(min = 3, max = 254))]
    pub to: String,
    /// Whether this mailbox gets it, too.
    #[serde(default = "yes")]
    pub keep_copy: bool,
}

/// A key of a Secret in the namespace of the object that refers to it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within the Secret.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What a mailbox takes and gives. In each state but Active nobody logs in to it or sends from it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailboxState {
    /// Receives, reads and sends.
    #[default]
    Active,
    /// Receives.
    ReceiveOnly,
    /// Receives or refuses, as `whileSuspended` says.
    Suspended,
    /// Refuses, naming the `successor`.
    Retired,
}

/// What becomes of incoming mail of a suspended mailbox.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhileSuspended {
    /// It is stored.
    #[default]
    Store,
    /// The sender is told at once that the mailbox is not in use.
    Refuse,
}

/// A way to reach a mailbox.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// IMAP.
    #[serde(rename = "IMAP")]
    Imap,
    /// POP3.
    #[serde(rename = "POP3")]
    Pop3,
    /// SMTP on the submission ports.
    Submission,
    /// ManageSieve.
    ManageSieve,
}

/// What is known of a mailbox.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailboxStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The address under which it is served. It differs from that of the spec while the mailbox cannot have that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Addresses that it had, and that reach it for a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_addresses: Vec<FormerAddress>,
    /// The mailboxes that the members are. Whoever has the address of one later is not the member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<BoundMember>,
    /// The store shard that holds the mail. It is chosen once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    /// The RetiredMailbox whose mail was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// The Secret that holds the password in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<String>,
    /// The app passwords of the spec, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app_passwords: Vec<AppPasswordStatus>,
    /// Present while the mailbox may not send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_suspended: Option<SendingSuspended>,
    /// How it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<super::MailboxUsage>,
    /// `Ready`: every gateway and store agent in service answers for the addresses of this mailbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// The mailbox that a member is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct BoundMember {
    /// The member's address in the spec.
    pub address: String,
    /// Namespace and name of its Mailbox.
    pub mailbox: String,
    /// Its uid.
    pub uid: String,
}

/// An address that a mailbox had.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct FormerAddress {
    /// The address.
    pub address: String,
    /// When it was changed.
    pub since: Time,
    /// Until when it reaches the mailbox; nobody else can have it before.
    pub until: Time,
}

const fn yes() -> bool {
    true
}

fn default_keep() -> String {
    "90d".to_owned()
}

/// Why a mailbox may not send.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SendingSuspended {
    /// `BulkSending`: it suddenly sent far more than its limits.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// What is known of an app password.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AppPasswordStatus {
    /// Its name.
    pub name: String,
    /// The Secret that holds it.
    pub secret: String,
    /// How far it is.
    pub state: AppPasswordState,
}

/// How far an app password is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppPasswordState {
    /// It is being prepared.
    Pending,
    /// The one in the Secret opens the mailbox.
    InUse,
    /// The Secret gives none: the last one that it gave opens the mailbox.
    LastKnown,
    /// The Secret gives none, and never did.
    Unusable,
}

fn default_quota() -> String {
    "2Gi".to_owned()
}

fn default_key() -> String {
    "password".to_owned()
}

/// A set of addresses: the bounds keep the cost of the CEL rule within the API server's budget.
fn aliases_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254}
    })
}

/// Members by address: the bounds keep the cost of the CEL rules within the API server's budget.
fn members_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 128,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["address"],
        "items": {
            "type": "object",
            "description": "Somebody who uses the mailbox besides its owner.",
            "required": ["address", "rights"],
            "properties": {
                "address": {
                    "description": "An address of a mailbox of the same system.",
                    "type": "string", "minLength": 3, "maxLength": 254
                },
                "rights": {
                    "description": "What the member may do: Read (see the folders and read), Write (also mark, file, delete and make folders), SendAs (send from its addresses).",
                    "type": "array", "minItems": 1, "maxItems": 3, "x-kubernetes-list-type": "set",
                    "items": {"type": "string", "enum": ["Read", "Write", "SendAs"]}
                }
            }
        }
    })
}

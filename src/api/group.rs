//! `MailGroup`: one address that reaches many mailboxes, and who may write to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wishes for one group. The domain of `address` must be that of a MailDomain in the same namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "mail.angiang.gov.vn",
    version = "v1alpha1",
    kind = "MailGroup",
    plural = "mailgroups",
    namespaced,
    category = "mail",
    status = "MailGroupStatus",
    derive = "PartialEq",
    doc = "A group: one address that reaches its members, and who may write to it.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Reaches", type_ = "integer", json_path = ".status.reaches"),
    printcolumn(name = "Posting", type_ = "string", json_path = ".spec.posting"),
    printcolumn(name = "Listed", type_ = "boolean", json_path = ".spec.listed", priority = 1),
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
    cel
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!self.members.exists(m, m == self.address)", "a group is no member of itself"))]
#[x_kube(validation = ("!has(self.aliases) || !(self.address in self.aliases)", "the address of the group cannot be one of its aliases"))]
#[x_kube(validation = ("self.posting != 'Listed' || (has(self.senders) && self.senders.size() > 0) || (has(self.owners) && self.owners.size() > 0)", "with posting Listed, senders or owners must name who may write"))]
pub struct MailGroupSpec {
    /// The group's address (lower case, dot-atom local part of at most 64 characters). When it is changed, the former one
    /// reaches nobody any more, unless it becomes one of `aliases`.
    #[x_kube(
        validation = ("self.matches('^[a-z0-9_=#$~-]+([.][a-z0-9_=#$~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$')", "must be a lower-case address with a domain, such as toanthe.skhcn@angiang.gov.vn; the part before the @ has letters, digits, dots and _ = # $ ~ -"),
        validation = ("self.indexOf('@') <= 64", "the part before the @ is limited to 64 characters (RFC 5321, 4.5.3.1.1)")
    )]
    #[schemars(length(min = 3, max = 254))]
    pub address: String,

    /// Further addresses that reach the group, as its own does: whoever may write to the group may write to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "aliases_schema")]
    pub aliases: Vec<String>,

    /// The group's name as people read it, for example `Toàn thể Sở Khoa học và Công nghệ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,

    /// Who is reached: addresses of mailboxes, their aliases, and other groups of the same system, whose members are
    /// reached in their turn. Each mailbox gets a message once. Addresses outside need `externalMembers: Allow`.
    #[schemars(schema_with = "members_schema")]
    pub members: Vec<String>,

    /// Whether members may be outside the system. What they are sent leaves with the sender's address as it is.
    #[serde(default)]
    pub external_members: ExternalMembers,

    /// Who may write to the group. People of the system count when they have logged in, whatever a message says of itself.
    #[serde(default)]
    pub posting: Posting,

    /// Who may write besides, whatever `posting` says: addresses, other groups for all whom they reach, or `@domain` for
    /// everybody there. Those outside need a message that SPF, DKIM or DMARC proves to be of their domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(s, s.matches('^([a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*)?@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$'))", "every sender must be a lower-case address with a domain, or @domain"))]
    #[schemars(schema_with = "senders_schema")]
    pub senders: Vec<String>,

    /// Who answers for the group: addresses of mailboxes of the system, whose people may always write to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(o, o.matches('^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$'))", "every owner must be a lower-case address with a domain"))]
    #[schemars(schema_with = "owners_schema")]
    pub owners: Vec<String>,

    /// Whether the group stands in the list of official addresses, with `displayName` and address: `kubectl mail addresses`
    /// prints it. Nothing publishes it by itself.
    #[serde(default)]
    pub listed: bool,
}

/// Whether members may be outside the system.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalMembers {
    /// They are not reached, and status names them.
    #[default]
    Refuse,
    /// They are sent what the group is sent.
    Allow,
}

/// Who may write to a group.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Posting {
    /// Everybody, also from outside.
    Anyone,
    /// Whoever has a mailbox of the same MailSystem.
    #[default]
    System,
    /// Whoever has a mailbox whose Mailbox is in the group's namespace.
    Organisation,
    /// Whoever the group reaches.
    Members,
    /// Only `senders` and `owners`.
    Listed,
}

/// What is known of a group.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MailGroupStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The address under which it is served, which nobody else can take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How many mailboxes, and addresses outside, a message to the group is for: each once, those of other groups too.
    #[serde(default)]
    pub reaches: u32,
    /// Members that are not reached; at most twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_reached: Vec<String>,
    /// `Ready`: every gateway in service reaches all members and knows who may write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::schema::conditions")]
    pub conditions: Vec<Condition>,
}

const PATTERN: &str = r"^[a-z0-9!#$%&*+/=?^_{|}~-]+([.][a-z0-9!#$%&*+/=?^_{|}~-]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$";

/// A set of addresses. A pattern instead of a CEL rule for each: the cost of a rule over a thousand addresses is beyond the
/// API server's budget.
fn members_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "minItems": 1, "maxItems": 1000, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": PATTERN}
    })
}

/// As members, with a local part that RFC 5321 allows.
fn aliases_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 64, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": PATTERN}
    })
}

/// A set of addresses: the bounds keep the cost of the CEL rule within the API server's budget.
fn senders_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    addresses(64)
}

fn owners_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    addresses(16)
}

fn addresses(most: u32) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": most, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 254}
    })
}

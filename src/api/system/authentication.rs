//! `spec.authentication`: who knows people's passwords, besides the system itself.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::mailbox::SecretKeyRef;

/// Where passwords are checked that are not the system's own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// Directory services (LDAP, Active Directory among them). Each knows the main passwords of the mailboxes of some
    /// domains; app passwords, and the password of a Mailbox that names `passwordSecret`, stay the system's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "services_schema")]
    #[x_kube(
        validation = ("self.filter(s, !has(s.domains) || s.domains.size() == 0).size() <= 1", "only one directory service may leave domains out: it is for all that no other names"),
        validation = ("self.all(s, !has(s.domains) || s.domains.all(d, self.exists_one(o, has(o.domains) && d in o.domains)))", "a domain may stand with one directory service only")
    )]
    pub ldap: Vec<Ldap>,
}

impl Authentication {
    /// Whether the system itself knows all passwords.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.ldap.is_empty()
    }
}

/// A directory service: one or more servers with the same content, asked over TLS alone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.search) != has(self.directBind)", "say either how people are searched for (search) or under which name they log in (directBind)"),
    validation = ("!has(self.bind) || has(self.search)", "bind is for a search: without one nobody but the person logs in")
)]
pub struct Ldap {
    /// A name for it, by which conditions and metrics speak of it.
    #[x_kube(validation = ("self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')", "must be lower-case letters, digits and - between them"))]
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// The domains whose people it knows; all that no other one names if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(validation = ("self.all(d, d.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]{0,61}[a-z0-9]$'))", "must be lower-case domain names with at least two labels"))]
    #[schemars(schema_with = "domains_schema")]
    pub domains: Vec<String>,
    /// Its servers, asked in this order when the one before does not answer: `ldaps://host`, or `ldap://host`, where
    /// `StartTLS` comes before everything else. Nothing is ever sent in the clear.
    #[x_kube(validation = ("self.all(u, u.matches('^ldaps?://[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[1-9][0-9]{0,4})?/?$'))", "must be ldaps://host or ldap://host, with :port if it is not 636 or 389"))]
    #[schemars(schema_with = "urls_schema")]
    pub urls: Vec<String>,
    /// A Secret in the system's namespace whose key `ca.crt` has the authorities (PEM) that signed the servers'
    /// certificates; those that the image trusts if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ca_secret: Option<String>,
    /// Who searches; nobody in particular (anonymous) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<Bind>,
    /// How a person's entry is found, in whose name the password is then tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// Instead of a search: the name in which the password is tried, such as `uid={local},ou=people,dc=angiang,dc=vn`, or
    /// `{address}` where the service knows people by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.contains('{address}') || self.contains('{local}')", "must contain {address} or {local}"))]
    #[schemars(length(min = 1, max = 500))]
    pub direct_bind: Option<String>,
    /// How many seconds an answer may take, with all servers. Beyond it whoever logs in is told to try later.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 10))]
    pub timeout_seconds: u32,
    /// Whether a mailbox's own (generated) password opens it as well, while the service does not know the person or does not
    /// answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback_local: bool,
}

/// Who searches in a directory service.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bind {
    /// The name: a DN, or for Active Directory `user@domain`.
    #[schemars(length(min = 1, max = 500))]
    pub dn: String,
    /// The Secret in the system's namespace with the password. A changed one counts within a second or two; while there is
    /// none, the last one that was known is used.
    pub password_secret: SecretKeyRef,
}

/// How a person's entry is found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// Where the search begins; everything below it is searched.
    #[serde(rename = "baseDN")]
    #[schemars(length(min = 1, max = 500))]
    pub base_dn: String,
    /// What the entry is like. `{address}` is the address of the mailbox, `{local}` what stands before its @, `{domain}` what
    /// stands behind it.
    #[serde(default = "by_mail")]
    #[x_kube(validation = ("self.startsWith('(') && self.endsWith(')') && (self.contains('{address}') || self.contains('{local}'))", "must be a filter in parentheses with {address} or {local} in it, such as (mail={address})"))]
    #[schemars(length(min = 3, max = 1000))]
    pub filter: String,
}

fn five() -> u32 {
    5
}

fn by_mail() -> String {
    "(mail={address})".to_owned()
}

/// The bounds keep the cost of the CEL rules within the API server's budget.
fn services_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 8, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": generator.subschema_for::<Ldap>()
    })
}

fn domains_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 3, "maxLength": 253}
    })
}

fn urls_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 8, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 8, "maxLength": 300}
    })
}

//! `spec.resolver`: who is asked whether the DNS has the records of the system's domains.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A recursive resolver. Take one outside the network when names inside have other records than outside.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Resolver {
    /// Its addresses as `ip:port`, for example `192.0.2.53:53` or `[2001:db8::53]:53`.
    #[x_kube(validation = ("self.all(a, a.matches('^([0-9]{1,3}([.][0-9]{1,3}){3}|[[][0-9a-fA-F:.]+[]]):[0-9]{1,5}$'))", "must be addresses with a port, such as 192.0.2.53:53 or [2001:db8::53]:53"))]
    #[schemars(schema_with = "addresses_schema")]
    pub addresses: Vec<String>,
}

/// The bounds keep the cost of the CEL rule within the API server's budget.
fn addresses_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "minItems": 1, "maxItems": 3, "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 60}
    })
}

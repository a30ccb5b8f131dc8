//! `spec.store`: Cyrus, and how its mailboxes are spread over shards.

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Storage, default_from_serde};

/// Stores: Cyrus.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Number of shards over which mailboxes are spread. It can grow, not shrink.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    #[x_kube(validation = ("self >= oldSelf", "the number of shards cannot shrink: the last shard holds mail"))]
    pub shards: u32,
    /// Number of store pods of each shard, each with its own volume: 2 (one serves, the other has a live copy and takes over),
    /// or 1 (the loss of its node or disk stops the shard's mail). It can grow, not shrink.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 2))]
    #[x_kube(validation = ("self >= oldSelf", "the number of stores of a shard cannot shrink: the one that would go may be the one that serves"))]
    pub replicas: u32,
    /// When the other store takes over.
    #[serde(default)]
    pub failover: Failover,
    /// The volume of each store pod.
    #[serde(default = "default_store_storage")]
    pub storage: Storage,
    /// How long mail is kept whose Mailbox was deleted, in days such as `90d`. It holds for what is deleted from now on.
    #[serde(default = "default_retention")]
    #[x_kube(validation = ("self.matches('^[1-9][0-9]{0,3}d$')", "must be a number of days such as 90d"))]
    #[schemars(length(max = 5))]
    pub retired_retention: String,
    /// Resources of the Cyrus container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::super::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

default_from_serde!(Store);

/// When the other store of a shard takes over.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// How long a store that may lack the last changes waits for the other before it serves all the same, such as `5m`;
    /// `Never`: until somebody declares the other's disk lost. A store that has everything takes over at once.
    #[serde(default = "default_stale_after")]
    #[x_kube(validation = ("self.matches('^([1-9][0-9]{0,5}s|[1-9][0-9]{0,3}m|[1-9][0-9]{0,2}h|Never)$')", "must be a time such as 300s, 5m or 1h, or Never"))]
    #[schemars(length(max = 8))]
    pub stale_after: String,
}

default_from_serde!(Failover);

impl Failover {
    /// The seconds of `staleAfter`; `Some(None)` is `Never`, `None` that it says no time.
    #[must_use]
    pub fn stale_after_seconds(&self) -> Option<Option<u64>> {
        if self.stale_after == "Never" {
            return Some(None);
        }
        let (number, unit) = self.stale_after.split_at_checked(self.stale_after.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0).map(Some)
    }
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}
fn default_stale_after() -> String {
    "5m".to_owned()
}
fn default_retention() -> String {
    "90d".to_owned()
}
fn default_store_storage() -> Storage {
    Storage { size: "50Gi".to_owned(), storage_class_name: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_unit_or_are_never() {
        let seconds = |text: &str| Failover { stale_after: text.to_owned() }.stale_after_seconds();
        assert_eq!(Failover::default().stale_after_seconds(), Some(Some(300)));
        assert_eq!(
            (seconds("90s"), seconds("2h"), seconds("Never")),
            (Some(Some(90)), Some(Some(7200)), Some(None))
        );
        for wrong in ["", "m", "0m", "5", "5d", "-1s", "never", "99999999999999999999h"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }
}

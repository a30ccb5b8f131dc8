//! Figures of the stores that are probed.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Store {
    shard: u32,
    pod: u32,
}

/// See the module. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    primary: Family<Store, Gauge>,
    epoch: Family<Store, Gauge>,
    failed: Family<Store, Counter>,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("router_store");
        let help = "1 for the store that a shard's mail and readers go to, 0 for another";
        registry.register("primary", help, self.primary.clone());
        registry.register("epoch", "The epoch that a store told last", self.epoch.clone());
        registry.register("probes_failed", "Probes of a store that brought no answer", self.failed.clone());
    }

    /// Shows a store that was not probed yet.
    pub(super) fn begin(&self, shard: u32, pod: u32) {
        self.routed(shard, pod, false);
        drop(self.failed.get_or_create(&Store { shard, pod }));
    }

    pub(super) fn routed(&self, shard: u32, pod: u32, is: bool) {
        self.primary.get_or_create(&Store { shard, pod }).set(i64::from(is));
    }

    pub(super) fn answered(&self, shard: u32, pod: u32, epoch: u64) {
        self.epoch.get_or_create(&Store { shard, pod }).set(i64::try_from(epoch).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self, shard: u32, pod: u32) {
        self.failed.get_or_create(&Store { shard, pod }).inc();
    }
}

//! Figures of reconciling, by controller and result; never by object.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// Which controller, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    controller: &'static str,
    result: &'static str,
}

/// Handles of the registered metrics; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    runs: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
}

impl Metrics {
    /// Registers all metrics under the prefix `reconcile`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0]);
        let metrics = Self { runs: Family::default(), seconds: Family::new_with_constructor(seconds) };
        let to = registry.sub_registry_with_prefix("reconcile");
        to.register("runs", "Reconciliations by controller and result", metrics.runs.clone());
        to.register("duration_seconds", "How long they took", metrics.seconds.clone());
        metrics
    }

    /// Counts a reconciliation. `result` is `ok` or the category of the error.
    pub fn ran(&self, controller: &'static str, result: &'static str, took: Duration) {
        let labels = Labels { controller, result };
        self.runs.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

//! Figures of the audit. Those of the ledger are read when they are asked for.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};

use super::Audit;
use crate::journal::writer::now;

/// What became of a message or a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Completion {
    what: &'static str,
}

/// See the module. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics(Family<Completion, Counter>);

impl Metrics {
    pub(super) fn count(&self, what: &'static str) {
        self.0.get_or_create(&Completion { what }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry, audit: Audit) {
        let registry = registry.sub_registry_with_prefix("audit");
        registry.register("completions", "What became of messages and recipients", self.0.clone());
        registry.register_collector(Box::new(Figures(audit)));
    }
}

#[derive(Debug)]
struct Figures(Audit);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (report, now) = (self.0.report(), now());
        let age = |at: Option<u64>| at.map_or(0, |at| now.saturating_sub(at) / 1000);
        let checked = report.checked.map_or(0, |at| at / 1000);
        let figures = [
            ("open", "Accepted messages that have not come to their end", report.open),
            ("oldest_open_seconds", "Age of the oldest of them", age(report.oldest_open)),
            (
                "unaccounted",
                "Accepted messages that are in no queue and have not come to their end",
                report.unaccounted,
            ),
            ("oldest_unaccounted_seconds", "Age of the oldest of them", age(report.oldest_unaccounted)),
            ("checked_timestamp_seconds", "When the queue was last compared, 0 for never", checked),
            ("completions_waiting", "Completions that wait for object storage", report.waiting),
        ];
        for (name, help, value) in figures {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

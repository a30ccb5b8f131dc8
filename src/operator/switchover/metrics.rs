//! Figures of stores, read from the [`Board`] when they are asked for: what is not known, or gone, has none.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Registry,
};

use super::{Board, Shard};
use crate::names::SystemName;

#[derive(Clone, Debug, EncodeLabelSet)]
struct OfPod {
    namespace: String,
    system: String,
    shard: u32,
    pod: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct OfShard {
    namespace: String,
    system: String,
    shard: u32,
}

/// A figure of each shard, where there is one.
type Figure = fn(&Shard) -> Option<i64>;

const OF_SHARDS: [(&str, &str, Figure); 3] = [
    ("store_epoch", "The epoch that is served, or the latest that is known", |shard| {
        shard.epoch().map(number)
    }),
    ("replication_lag_seconds", "For how long the other store has lacked something", |shard| {
        Some(number(shard.primary()?.1.lag?.seconds))
    }),
    ("replication_in_sync", "Whether the other store has everything", |shard| {
        Some(i64::from(shard.primary()?.1.in_sync))
    }),
];

/// See the module.
#[derive(Debug)]
pub struct Figures(Arc<Board>);

impl Figures {
    /// Registers them.
    pub fn register(registry: &mut Registry, board: &Arc<Board>) {
        registry.register_collector(Box::new(Self(board.clone())));
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut systems = self.0.all();
        systems.sort_by(|(a, _), (b, _)| a.cmp(b));
        let gauge = ConstGauge::<i64>::new(0).metric_type();
        let mut serving = encoder.encode_descriptor(
            "store_serving",
            "Whether the store says that it serves",
            None,
            gauge,
        )?;
        for (system, shards) in &systems {
            for shard in shards.iter() {
                for store in &shard.stores {
                    let serves = store.said.as_ref().is_some_and(|report| report.serving);
                    let SystemName { namespace, name } = system.clone();
                    let labels =
                        OfPod { namespace, system: name, shard: shard.number, pod: store.pod.clone() };
                    ConstGauge::new(i64::from(serves)).encode(serving.encode_family(&labels)?)?;
                }
            }
        }
        for (name, help, figure) in OF_SHARDS {
            let mut metric = encoder.encode_descriptor(name, help, None, gauge)?;
            for (system, shards) in &systems {
                for shard in shards.iter() {
                    let Some(value) = figure(shard) else { continue };
                    let SystemName { namespace, name } = system.clone();
                    let labels = OfShard { namespace, system: name, shard: shard.number };
                    ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        metrics,
        operator::switchover::observe::tests::{report, shard},
        role::{Lag, Phase},
    };

    #[test]
    fn figures_are_those_of_the_last_look_and_go_with_the_system() {
        let board = Arc::new(Board::default());
        let mut registry = metrics::registry();
        Figures::register(&mut registry, &board);
        let system = SystemName::new("mail", "demo");
        let mut primary = report(1, 5, Phase::Primary);
        primary.lag = Some(Lag { seconds: 3, changes: 9 });
        board.put(&system, vec![shard([None, Some(primary)]), Shard::unknown(1)], Instant::now());
        let text = metrics::encode(&registry).unwrap();
        let of = "namespace=\"mail\",system=\"demo\",shard=\"0\"";
        for line in [
            format!("mail_store_serving{{{of},pod=\"demo-store-0-0\"}} 0"),
            format!("mail_store_serving{{{of},pod=\"demo-store-0-1\"}} 1"),
            format!("mail_store_epoch{{{of}}} 5"),
            format!("mail_replication_lag_seconds{{{of}}} 3"),
            format!("mail_replication_in_sync{{{of}}} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("shard=\"1\""), "nothing is known of it:\n{text}");
        board.keep(|_| false);
        assert!(!metrics::encode(&registry).unwrap().contains("demo"));
    }
}

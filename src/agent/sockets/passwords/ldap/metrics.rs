//! What is counted of directory services. Their names are labels: there are a few, and an administrator gave them.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::{Answer, Trouble};

#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Right,
    Wrong,
    NotFound,
    Ambiguous,
    /// It could not be asked.
    Nothing,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    service: String,
    answer: Said,
}

pub(super) struct Metrics {
    answers: Family<Labels, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self { answers: Family::default(), seconds: Histogram::new(buckets) }
    }
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ldap");
        registry.register("answers", "What directory services said of passwords", self.answers.clone());
        registry.register("seconds", "How long they took for it", self.seconds.clone());
    }

    pub(super) fn answered(&self, service: &str, answer: &Result<Answer, Trouble>, took: Duration) {
        let answer = match answer {
            Ok(Answer::Right) => Said::Right,
            Ok(Answer::Wrong) => Said::Wrong,
            Ok(Answer::NotFound) => Said::NotFound,
            Ok(Answer::Ambiguous) => Said::Ambiguous,
            Err(_) => Said::Nothing,
        };
        self.answers.get_or_create(&Labels { service: service.to_owned(), answer }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

//! What is known of the journal's health: what wrote last, what fails since when, and how much waits on the volume.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use super::backlog::Backlog;
use crate::journal::storage::StorageError;

/// What is told of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether object storage took something since it last refused, and since the start.
    #[serde(default)]
    pub written: bool,
    /// Why it takes nothing: S3's error code or another word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Segments on the volume that wait for object storage.
    #[serde(default)]
    pub backlog_segments: u64,
    /// Their size in bytes.
    #[serde(default)]
    pub backlog_bytes: u64,
}

/// See the module. Clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    backlog: Backlog,
    state: Arc<Mutex<State>>,
    segments: Counter,
    entries: Counter,
    failures: Counter,
    failing: Gauge,
    seconds: Histogram,
}

#[derive(Debug, Default)]
struct State {
    written: Option<Instant>,
    trouble: Option<StorageError>,
    /// The volume's trouble: with that of object storage nothing is accepted.
    volume: Option<StorageError>,
}

impl Health {
    pub(super) fn new(backlog: Backlog) -> Self {
        Self {
            backlog,
            state: Arc::default(),
            segments: Counter::default(),
            entries: Counter::default(),
            failures: Counter::default(),
            failing: Gauge::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
        }
    }

    /// A segment with so many entries became durable.
    pub(super) fn kept(&self, entries: usize, took: Duration) {
        self.segments.inc();
        self.entries.inc_by(entries as u64);
        self.seconds.observe(took.as_secs_f64());
        self.with(|state| state.volume = None);
    }

    /// The backlog took nothing either, or cannot be read.
    pub(super) fn volume_failed(&self, message: String) {
        self.failures.inc();
        let error = StorageError { reason: "BacklogUnusable".to_owned(), message };
        let old = self.with(|state| state.volume.replace(error.clone()));
        if old.as_ref() != Some(&error) {
            tracing::warn!(message = error.message, "the journal's backlog cannot be used");
        }
    }

    /// Object storage took something.
    pub(super) fn wrote(&self) {
        let trouble = self.with(|state| {
            state.written = Some(Instant::now());
            state.trouble.take()
        });
        self.failing.set(0);
        if trouble.is_some() {
            tracing::info!("the journal's object storage takes segments again");
        }
    }

    /// Object storage did not take something.
    pub(super) fn failed(&self, error: &StorageError) {
        self.failures.inc();
        self.failing.set(1);
        let news = self.with(|state| {
            let news = state.trouble.as_ref().is_none_or(|old| old.reason != error.reason);
            state.trouble = Some(error.clone());
            news
        });
        if news {
            tracing::warn!(reason = error.reason, message = error.message, "the journal cannot be written");
        }
    }

    /// Whether the last word of object storage was a refusal.
    pub(super) fn is_failing(&self) -> bool {
        self.with(|state| state.trouble.is_some())
    }

    /// For how long object storage took nothing; `None` if it never did.
    pub(super) fn since_written(&self) -> Option<Duration> {
        self.with(|state| state.written.map(|at| at.elapsed()))
    }

    pub(super) fn report(&self) -> Report {
        let (segments, bytes) = self.backlog.size();
        self.with(|state| {
            let trouble = state.volume.as_ref().or(state.trouble.as_ref());
            Report {
                written: state.written.is_some() && trouble.is_none(),
                reason: trouble.map(|it| it.reason.clone()),
                message: trouble.map(|it| it.message.clone()),
                backlog_segments: segments as u64,
                backlog_bytes: bytes,
            }
        })
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("journal");
        registry.register("segments", "Segments that became durable", self.segments.clone());
        registry.register("entries", "Messages that became durable in them", self.entries.clone());
        registry.register("failures", "Attempts that failed to write", self.failures.clone());
        registry.register("failing", "Whether the last attempt failed", self.failing.clone());
        registry.register(
            "segment_seconds",
            "How long a segment took to become durable",
            self.seconds.clone(),
        );
        registry.register_collector(Box::new(Sizes(self.backlog.clone())));
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Read when asked for.
#[derive(Debug)]
struct Sizes(Backlog);

impl prometheus_client::collector::Collector for Sizes {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeMetric;
        let (segments, bytes) = self.0.size();
        let figures = [
            (
                "backlog_segments",
                "Segments that wait on the volume",
                i64::try_from(segments).unwrap_or(i64::MAX),
            ),
            ("backlog_bytes", "Their size", i64::try_from(bytes).unwrap_or(i64::MAX)),
        ];
        for (name, help, value) in figures {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

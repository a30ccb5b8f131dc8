//! Figures of the mailbox controller. Labels name kinds and results, never a mailbox.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// What was written and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Write {
    /// `directory`, `role`, `credentials`, `dkim`, `retired`, `status`, `usage`, `event`.
    pub kind: &'static str,
    /// `ok`, `gone` or `failed`.
    pub result: &'static str,
}

/// Handles of the registered metrics; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Directory Secrets issued.
    pub issues: Counter,
    /// Bytes of the largest directory shard.
    pub largest_shard: Gauge,
    /// Mailboxes and domains that wait for agents.
    pub pending: Gauge,
    /// Passwords that wait to be hashed or made.
    pub credentials: Gauge,
    /// MailDomains, Mailboxes and RetiredMailboxes that cannot be read.
    pub unreadable: Gauge,
    /// Mailboxes whose use is to be written.
    pub usage: Gauge,
    /// Writes to the API.
    pub writes: Family<Write, Counter>,
    /// Mailboxes suspended from sending.
    pub bulk: Counter,
    /// RetiredMailboxes whose mail was deleted.
    pub purged: Counter,
    /// Times that the API server had an older directory than the agents.
    pub restored: Counter,
    /// Seconds from the first event of a batch until it is issued.
    pub latency: Histogram,
}

impl Metrics {
    /// Registers all metrics under the prefix `directory`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            issues: Counter::default(),
            largest_shard: Gauge::default(),
            pending: Gauge::default(),
            credentials: Gauge::default(),
            unreadable: Gauge::default(),
            usage: Gauge::default(),
            writes: Family::default(),
            bulk: Counter::default(),
            purged: Counter::default(),
            restored: Counter::default(),
            latency: Histogram::new([0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 15.0, 60.0]),
        };
        let to = registry.sub_registry_with_prefix("directory");
        to.register("issues", "Directory Secrets issued", metrics.issues.clone());
        to.register(
            "largest_shard_bytes",
            "Size of the largest directory shard",
            metrics.largest_shard.clone(),
        );
        to.register("pending", "Mailboxes and domains that wait for agents", metrics.pending.clone());
        to.register("credentials_pending", "Passwords being made or hashed", metrics.credentials.clone());
        to.register("unreadable", "Objects that cannot be read", metrics.unreadable.clone());
        to.register("usage_pending", "Mailboxes whose use is to be written to status", metrics.usage.clone());
        to.register("writes", "Writes to the API by kind and result", metrics.writes.clone());
        to.register("purged", "Retired mailboxes whose mail was deleted", metrics.purged.clone());
        to.register(
            "restored",
            "Times that the API server had an older directory than the agents",
            metrics.restored.clone(),
        );
        to.register(
            "sending_suspensions",
            "Mailboxes suspended from sending for bulk mail",
            metrics.bulk.clone(),
        );
        to.register("latency_seconds", "From the first event to the issue", metrics.latency.clone());
        metrics
    }

    /// Counts one write.
    pub fn wrote(&self, kind: &'static str, result: &'static str) {
        self.writes.get_or_create(&Write { kind, result }).inc();
    }
}

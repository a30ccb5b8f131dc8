//! What the store's agent counts. The parts of the agent count, the HTTP side shows.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Label of counted log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LogLine {
    /// The word by which Cyrus marks trouble, in lower case: `ioerror`, `syncerror`, `dberror`.
    pub kind: &'static str,
}

/// Label of counted recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Recipient {
    /// What became of it: `stored`, `deferred`, `refused`; of those stored, `held` counts those that the mailbox held
    /// already.
    pub fate: &'static str,
}

impl Recipient {
    /// By the code of the reply.
    #[must_use]
    pub fn answered(code: u16) -> Self {
        let fate = match code / 100 {
            2 => "stored",
            4 => "deferred",
            _ => "refused",
        };
        Self { fate }
    }
}

/// Label of counted letters about a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Warned {
    /// What became of it at the gateways: `sent`, `deferred`, `refused`.
    pub fate: &'static str,
}

/// The store's metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Lines of Cyrus' log that report trouble.
    pub log_lines: Family<LogLine, Counter>,
    /// Times that Cyrus was started, the first included.
    pub cyrus_starts: Counter,
    /// Mailboxes that Cyrus has.
    pub mailboxes: Gauge,
    /// Mailboxes of the directory that Cyrus does not have as wanted.
    pub mailboxes_pending: Gauge,
    /// Sessions that were ended, for their mailbox was closed to them.
    pub sessions_ended: Counter,
    /// Recipients at the door.
    pub recipients: Family<Recipient, Counter>,
    /// Letters to owners of mailboxes that are nearly full, or full.
    pub quota_warnings: Family<Warned, Counter>,
}

impl Metrics {
    /// Registers all of them under `store_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("store");
        registry.register("log_lines", "Lines of Cyrus' log that report trouble", self.log_lines.clone());
        registry.register("cyrus_starts", "Times that Cyrus was started", self.cyrus_starts.clone());
        registry.register("mailboxes", "Mailboxes that Cyrus has", self.mailboxes.clone());
        registry.register(
            "mailboxes_pending",
            "Mailboxes of the directory that Cyrus does not have as wanted",
            self.mailboxes_pending.clone(),
        );
        registry.register(
            "sessions_ended",
            "Sessions that were ended, for their mailbox was closed to them",
            self.sessions_ended.clone(),
        );
        registry.register("recipients", "Recipients at the door", self.recipients.clone());
        registry.register(
            "quota_warnings",
            "Letters to owners of mailboxes that are nearly full, or full",
            self.quota_warnings.clone(),
        );
    }
}

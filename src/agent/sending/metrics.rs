//! What is counted of sending.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What became of a message or a recipient.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Passed,
    /// The message has too many recipients.
    Recipients,
    /// The mailbox is over its limit.
    Mailbox,
    /// The domain is.
    Domain,
    Suspended,
    /// The recipient is a group to which the sender may not write.
    Group,
}

/// Where a message was counted.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// In Valkey, for all gateways.
    Shared,
    /// By this gateway alone, since Valkey is away.
    Local,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Judged {
    outcome: Outcome,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    place: Counted,
}

#[derive(Default)]
pub(super) struct Metrics {
    judged: Family<Judged, Counter>,
    counted: Family<Place, Counter>,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sending");
        registry.register(
            "judged",
            "Messages and recipients of clients, by what became of them",
            self.judged.clone(),
        );
        registry.register(
            "counted",
            "Messages by where they were counted: Local while Valkey is away",
            self.counted.clone(),
        );
    }

    pub(super) fn judged(&self, outcome: Outcome) {
        self.judged.get_or_create(&Judged { outcome }).inc();
    }

    pub(super) fn counted(&self, place: Counted) {
        self.counted.get_or_create(&Place { place }).inc();
    }
}

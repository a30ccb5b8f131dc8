//! What is counted of log-ins.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::lockout::Scope;
use crate::api::Protocol;

/// Who asks.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Postfix, for submission.
    Smtp,
    /// nginx, for IMAP.
    Imap,
    /// nginx, for POP3.
    Pop3,
    /// The proxy of ManageSieve.
    Sieve,
}

impl Service {
    /// What the client wants to use.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Smtp => Protocol::Submission,
            Self::Imap => Protocol::Imap,
            Self::Pop3 => Protocol::Pop3,
            Self::Sieve => Protocol::ManageSieve,
        }
    }
}

/// What became of a log-in.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Allowed,
    UnknownAccount,
    Suspended,
    /// The mailbox is not to be used in this way.
    WrongProtocol,
    NoPassword,
    WrongPassword,
    /// The directory service does not know the person.
    NotInDirectory,
    Locked,
    /// Too many wait already.
    Busy,
    Unavailable,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    service: Service,
    outcome: Outcome,
    /// Whether an app password was used. Names of mailboxes and of their passwords are no labels: see `/logins`.
    app: &'static str,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct ScopeLabel {
    scope: Scope,
}

#[derive(Default)]
pub(super) struct Metrics {
    logins: Family<Labels, Counter>,
    locks: Family<ScopeLabel, Counter>,
    queue: Gauge,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("logins", "Log-ins by what became of them", self.logins.clone());
        registry.register(
            "login_locks",
            "Locks for a minute, after wrong passwords: of a source at one account (Pair), of a source, of an account for strangers",
            self.locks.clone(),
        );
        registry.register(
            "login_queue",
            "Passwords that are being hashed or wait for it",
            self.queue.clone(),
        );
    }

    pub(super) fn judged(&self, service: Service, outcome: Outcome, app: bool) {
        let app = if app { "true" } else { "false" };
        self.logins.get_or_create(&Labels { service, outcome, app }).inc();
    }

    pub(super) fn locked(&self, scope: Scope) {
        self.locks.get_or_create(&ScopeLabel { scope }).inc();
    }

    pub(super) fn queued(&self, length: usize) {
        self.queue.set(i64::try_from(length).unwrap_or(i64::MAX));
    }

    #[cfg(test)]
    pub(super) fn logins(&self, service: Service, outcome: Outcome) -> u64 {
        let count = |app| self.logins.get_or_create(&Labels { service, outcome, app }).get();
        count("true") + count("false")
    }

    #[cfg(test)]
    pub(super) fn locks(&self, scope: Scope) -> u64 {
        self.locks.get_or_create(&ScopeLabel { scope }).get()
    }
}

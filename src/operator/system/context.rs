//! What reconciliations share, and how they fail.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::Client;
use tokio::sync::watch;

use super::{Metrics, memory::Memory, validate::ValidateError};
use crate::{
    images::Images,
    names::SystemName,
    operator::{
        cluster::{events::Events, known::Known},
        mailbox::Census,
        switchover::Board,
    },
};

/// What reconciliations share.
pub struct Context {
    /// The API.
    pub client: Client,
    /// What pods run.
    pub images: Images,
    /// Where changes of conditions are told.
    pub events: Events,
    /// Counts of mailboxes and domains.
    pub census: watch::Receiver<Census>,
    /// Figures.
    pub metrics: Metrics,
    /// What stands.
    pub memory: Arc<Memory>,
    /// What is known to be ours.
    pub known: Known,
    /// What was seen of the stores.
    pub board: Arc<Board>,
    /// Changes when what is known of backups does.
    pub backups: watch::Receiver<u64>,
    failures: Mutex<HashMap<SystemName, u32>>,
}

/// Why a reconciliation failed. It is tried again, each time after a longer pause.
#[derive(thiserror::Error, Debug)]
pub enum ReconcileError {
    /// Reading failed.
    #[error("reading the cluster: {0}")]
    Fetch(#[source] kube::Error),
    /// Checking failed, by no fault of the spec.
    #[error("checking the system: {0}")]
    Validate(#[from] ValidateError),
    /// The API server could not be reached while applying.
    #[error("applying the system: {0}")]
    Apply(#[source] kube::Error),
    /// The API server refused some objects, or some names are somebody else's.
    #[error("not everything could be applied: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// Writing the status failed.
    #[error("writing the status: {0}")]
    Status(#[source] kube::Error),
    /// The system's random source failed.
    #[error("no random bytes are to be had")]
    Random,
}

impl ReconcileError {
    /// A word for metrics.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "fetch",
            Self::Validate(_) => "validate",
            Self::Apply(_) => "apply",
            Self::Refused(_) => "refused",
            Self::Status(_) => "status",
            Self::Random => "random",
        }
    }
}

impl Context {
    /// A context in which nothing has failed yet.
    #[must_use]
    pub fn new(
        client: Client,
        images: Images,
        events: Events,
        census: watch::Receiver<Census>,
        metrics: Metrics,
    ) -> Self {
        let (memory, known, board, failures) = Default::default();
        let (_, backups) = watch::channel(0);
        Self { client, images, events, census, metrics, memory, known, board, backups, failures }
    }

    /// The same, with what others read, too.
    #[must_use]
    pub fn with_board(self, board: Arc<Board>) -> Self {
        Self { board, ..self }
    }

    /// The same, told of backups.
    #[must_use]
    pub fn with_news(self, backups: watch::Receiver<u64>) -> Self {
        Self { backups, ..self }
    }

    /// Notes how it went and returns how often in a row it failed.
    pub fn note(&self, name: &SystemName, failed: bool) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failed {
            let count = failures.entry(name.clone()).or_default();
            *count += 1;
            *count
        } else {
            failures.remove(name);
            0
        }
    }
}

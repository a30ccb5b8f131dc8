//! What reconciliations share, and how they fail.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{Client, runtime::reflector::Store};
use tokio::sync::watch;

use super::{metrics::Board, validate::Problem};
use crate::{
    api::MailBackup,
    images::Images,
    operator::{
        cluster::{events::Events, is_terminating},
        guarded::Guarded,
        system::Metrics,
    },
};

/// Figures of what runs are written this often, if nothing else changes.
const FIGURES: Duration = Duration::from_secs(10);

/// What the controllers of backups are given.
pub struct Settings {
    /// The API.
    pub client: Client,
    /// What pods run.
    pub images: Images,
    /// Where changes of conditions are told.
    pub events: Events,
    /// Figures of reconciling.
    pub metrics: Metrics,
    /// Figures of backups.
    pub board: Arc<Board>,
    /// The only namespace that is served; all if absent.
    pub namespace: Option<String>,
    /// Told when what a MailSystem says of its backups may be another.
    pub news: watch::Sender<u64>,
}

/// What reconciliations share.
pub struct Context {
    /// What they were given.
    pub settings: Settings,
    /// All MailBackups.
    pub backups: Store<Guarded<MailBackup>>,
    memory: Mutex<HashMap<String, Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    failures: u32,
    figures: Option<Instant>,
}

/// Why a reconciliation failed. It is tried again, each time after a longer pause.
#[derive(thiserror::Error, Debug)]
pub enum BackupError {
    /// Reading failed.
    #[error("reading the cluster: {0}")]
    Fetch(#[source] kube::Error),
    /// Writing an object failed.
    #[error("writing {0}: {1}")]
    Write(&'static str, #[source] kube::Error),
    /// Writing the status failed.
    #[error("writing the status: {0}")]
    Status(#[source] kube::Error),
    /// An object of somebody else's has a name that is needed.
    #[error("{0} is there and not the operator's: delete or rename it")]
    Taken(String),
}

impl BackupError {
    /// What a person can do something about.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::Taken(_) => Some(Problem::stops("NameTaken", self.to_string())),
            Self::Write(what, kube::Error::Api(status))
                if !is_terminating(&kube::Error::Api(status.clone()))
                    && !matches!(status.code, 404 | 409 | 429 | 503 | 504) =>
            {
                let message = format!("the API server refuses {what}: {}", status.message);
                Some(Problem::stops("ApplyFailed", message))
            }
            _ => None,
        }
    }

    /// A word for metrics.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "fetch",
            Self::Write(..) => "apply",
            Self::Status(_) => "status",
            Self::Taken(_) => "refused",
        }
    }
}

impl Context {
    /// A context in which nothing has failed yet.
    #[must_use]
    pub fn new(settings: Settings, backups: Store<Guarded<MailBackup>>) -> Self {
        Self { settings, backups, memory: Mutex::default() }
    }

    /// Notes how it went with an object, and returns how often in a row it failed.
    pub fn note(&self, uid: &str, failed: bool) -> u32 {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = memory.entry(uid.to_owned()).or_default();
        entry.failures = if failed { entry.failures.saturating_add(1) } else { 0 };
        entry.failures
    }

    /// Whether figures alone are worth a write.
    pub fn figures_due(&self, uid: &str, now: Instant) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = memory.entry(uid.to_owned()).or_default();
        let due = entry.figures.is_none_or(|last| now.duration_since(last) >= FIGURES);
        if due {
            entry.figures = Some(now);
        }
        due
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

//! What reconciliations of MailRestores share.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::Client;

use crate::{
    images::Images,
    operator::{cluster::events::Events, system::Metrics},
};

/// How far a restore is, is written this often.
const FIGURES: Duration = Duration::from_secs(5);

/// What the controller of restores is given.
pub struct Settings {
    /// The API.
    pub client: Client,
    /// What pods run.
    pub images: Images,
    /// Where changes of conditions are told.
    pub events: Events,
    /// Figures of reconciling.
    pub metrics: Metrics,
    /// The only namespace that is served; all if absent.
    pub namespace: Option<String>,
}

/// What reconciliations share.
pub struct Context {
    /// What they were given.
    pub settings: Settings,
    failures: Mutex<HashMap<String, u32>>,
    told: Mutex<HashMap<String, Instant>>,
}

impl Context {
    /// A context in which nothing has failed yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, failures: Mutex::default(), told: Mutex::default() }
    }

    /// Notes that it failed again with an object, and returns how often in a row.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Whether figures alone are worth a write: each is seen by us, too, and would bring the next about.
    pub fn figures_due(&self, uid: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.get(uid).is_none_or(|last| now.duration_since(*last) >= FIGURES);
        if due {
            told.insert(uid.to_owned(), now);
        }
        due
    }

    /// It ended, or is gone.
    pub fn over(&self, uid: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// It went well with an object.
    pub fn forget(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

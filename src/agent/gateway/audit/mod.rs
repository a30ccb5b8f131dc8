//! The audit: what becomes of each message that this gateway accepted, from Postfix' own log.
//!
//! ```text
//!  Postfix' log ─▶ follow ─▶ ledger ─▶ completions ─▶ record ─▶ object storage
//!  Postfix' queue ─▶ look ───▶ └─▶ figures: open, unaccounted
//! ```
//!
//! All of it happens after the fact, beside the mail: nothing here can hold a delivery up. Each gateway keeps the ledger of
//! what it accepted, on the volume that also has the queue; so a restart forgets nothing, and whoever loses the one has lost
//! the other, which then is told apart ([`Report::forgotten`]).

mod checkpoint;
pub mod envelope;
mod follow;
mod inject;
mod janitor;
mod look;
mod metrics;
mod past;
mod queue;
mod record;
pub mod replay;
pub mod routes;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use age::x25519::Recipient;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use self::{checkpoint::Checkpoint, metrics::Metrics, tail::Tail};
use crate::journal::{
    completion::Record,
    ledger::{Ledger, Progress, Report},
    storage::Storage,
    writer::now,
};

pub use queue::Queued;

/// The folder of Postfix' log below the agent's, which Postfix' container has as `/var/log/mail`.
const LOG: &str = "log";
/// Completions that wait for object storage; beyond it the log is not read on until it takes some.
const WAITING: usize = 50_000;

/// Where completions go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The journal's object storage.
    pub storage: Storage,
    /// Whom they are encrypted for.
    pub keys: Vec<Recipient>,
    /// After how many days what is settled is deleted; never if absent.
    pub retention: Option<u32>,
}

/// What the audit needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod.
    pub pod: String,
    /// Folder of the sockets and files shared with Postfix.
    pub run_dir: PathBuf,
    /// Folder that outlives the pod.
    pub data_dir: PathBuf,
    /// Whether that folder is new: nothing that an earlier run knew is there.
    pub new_volume: bool,
    /// Where completions go; `None` without a journal: then the log is only kept from growing.
    pub destination: Option<Destination>,
}

/// The audit. Clones share it.
#[derive(Clone, Debug)]
pub struct Audit {
    settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
    /// One list of the queue at a time: the next replaces it.
    listing: Arc<tokio::sync::Mutex<()>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    since: u64,
    forgotten: Option<bool>,
    brought_back: Option<Progress>,
    ledger: Ledger,
    waiting: VecDeque<Record>,
    position: tail::Position,
    /// How often the log was read to its end.
    read: u64,
    /// Bytes of it that were not read when it was last looked at.
    behind: u64,
    checked: Option<u64>,
    trouble: Option<(&'static str, String)>,
    /// Whether something changed since it was saved.
    changed: bool,
}

impl Audit {
    /// An audit with what an earlier run knew, and its work.
    ///
    /// # Errors
    /// The log cannot be made, or what was known cannot be read.
    pub fn open(
        settings: Settings,
        stop: CancellationToken,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + use<>)> {
        let saved = checkpoint::load(&file(&settings.data_dir))?;
        let forgotten =
            if settings.new_volume && settings.destination.is_some() { None } else { Some(false) };
        let saved = saved.unwrap_or_else(|| Checkpoint { since: now(), forgotten, ..Checkpoint::default() });
        let tail = Tail::open(&settings.data_dir.join(LOG), saved.position)?;
        let state = State {
            since: saved.since,
            forgotten: saved.forgotten,
            brought_back: None,
            ledger: saved.ledger,
            waiting: saved.waiting.into(),
            position: tail.position(),
            read: 0,
            behind: 0,
            checked: None,
            trouble: None,
            changed: true,
        };
        let audit = Self {
            settings: Arc::new(settings),
            state: Arc::new(Mutex::new(state)),
            listing: Arc::default(),
            metrics: Metrics::default(),
        };
        let own = audit.clone();
        let work = async move {
            let beside = async { tokio::join!(own.remember_the_past(), own.clean()) };
            let all = async { tokio::join!(own.follow(tail), own.look(), own.record(), beside) };
            stop.run_until_cancelled(all).await;
            own.save();
        };
        Ok((audit, work))
    }

    /// How it is.
    #[must_use]
    pub fn report(&self) -> Report {
        self.with(|state| {
            let report = Report {
                since: state.since,
                checked: state.checked,
                reason: state.trouble.as_ref().map(|(reason, _)| (*reason).to_owned()),
                message: state.trouble.as_ref().map(|(_, message)| message.clone()),
                forgotten: state.forgotten,
                brought_back: state.brought_back,
                waiting: state.waiting.len() as u64,
                ..Report::default()
            };
            report.with(state.ledger.figures())
        })
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, self.clone());
    }

    /// Saves what is known, if it changed; what could not be saved is tried again.
    fn save(&self) {
        let changed = self.with(|state| {
            std::mem::take(&mut state.changed).then(|| Checkpoint {
                since: state.since,
                position: state.position,
                ledger: state.ledger.clone(),
                waiting: state.waiting.iter().cloned().collect(),
                forgotten: state.forgotten,
            })
        });
        let Some(checkpoint) = changed else { return };
        if let Err(error) = checkpoint::save(&file(&self.settings.data_dir), &checkpoint) {
            tracing::warn!(%error, "what the audit knows cannot be saved");
            self.with(|state| state.changed = true);
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("audit")
}

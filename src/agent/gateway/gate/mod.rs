//! The gate: Postfix' last milter. Nothing passes it that was not judged by Rspamd and scanned by clamd, unless the
//! platform team chose otherwise.
//!
//! Messages come in over the milter protocol on a Unix socket, before Postfix has made them durable; the gate asks clamd
//! and answers. In this order: scan, decide ([`decide`], pure), journal (a later release makes the message durable
//! here), remove headers that are ours alone, answer. If it fails in any way, Postfix answers `451` and keeps nothing.

pub mod decide;
mod message;
mod scan;
mod session;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    net::UnixListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use decide::{Decision, Policy};
use message::Memory;
use scan::Scanner;
use session::Session;

/// How long a message that is being judged may go on at the end.
const DRAIN: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted: there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Verdict {
    Accepted,
    AcceptedUnscanned,
    DeferredUnjudged,
    DeferredUnscanned,
    Rejected,
    Quarantined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    verdict: Verdict,
}

/// What the gate judges by. Clones share it.
#[derive(Clone)]
pub struct Gate {
    policy: Policy,
    token: Arc<str>,
    scanner: Scanner,
    memory: Memory,
    messages: Family<Judged, Counter>,
}

impl Gate {
    /// A gate that knows Rspamd's verdicts by `token` and asks the clamds that `host` resolves to at `port`.
    #[must_use]
    pub fn new(policy: Policy, token: &str, (host, port): (&str, u16)) -> Self {
        let (scanner, memory) = (Scanner::new(host, port), Memory::default());
        Self { policy, token: token.into(), scanner, memory, messages: Family::default() }
    }

    /// Registers the gate's metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("gate_messages", "Messages by what became of them", self.messages.clone());
    }

    /// Serves until `close`, then lets messages that are being judged have their answer.
    pub async fn run(self, listener: UnixListener, close: CancellationToken) {
        let tracker = TaskTracker::new();
        while let Some(accepted) = close.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let session = Session::new(self.clone(), stream).run(close.clone());
                    tracker.spawn(async move {
                        if let Err(error) = session.await {
                            tracing::warn!(%error, "a milter session broke");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the gate cannot accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
        tracker.close();
        if timeout(DRAIN, tracker.wait()).await.is_err() {
            tracing::warn!(sessions = tracker.len(), "the gate closes on messages; they will come again");
        }
    }

    fn count(&self, decision: &Decision) {
        let verdict = match decision {
            Decision::Accept => Verdict::Accepted,
            Decision::AcceptUnscanned => Verdict::AcceptedUnscanned,
            Decision::DeferUnjudged => Verdict::DeferredUnjudged,
            Decision::DeferUnscanned => Verdict::DeferredUnscanned,
            Decision::Reject(_) => Verdict::Rejected,
            Decision::Quarantine(_) => Verdict::Quarantined,
        };
        self.messages.get_or_create(&Judged { verdict }).inc();
    }
}

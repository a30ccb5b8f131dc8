//! The gate: Postfix' last milter. Nothing passes it that was not judged by Rspamd and scanned by clamd, unless the
//! platform team chose otherwise; and nobody who logged in sends under another's name.
//!
//! Messages come in over the milter protocol on a Unix socket, before Postfix has made them durable; the gate asks clamd
//! and answers. In this order: look at the sender ([`sender`], pure), scan, decide ([`decide`], pure), journal (the message
//! is durable when that returns), remove headers that are ours alone, add the journal's, answer. If it fails in any way,
//! Postfix answers `451` and keeps nothing.

mod author;
mod claim;
pub mod decide;
mod groups;
mod keep;
mod message;
mod scan;
pub mod sender;
mod session;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{directory::Replica, logins::Logins, sockets::listener},
    directory::fold,
    journal::writer::Journal,
};
use decide::{Decision, Origin, Policy, decide};
use message::Memory;
use scan::Scanner;
use session::Session;

/// Most sessions at a time: one for each smtpd and cleanup.
const SESSIONS: usize = 1024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Verdict {
    Accepted,
    AcceptedUnscanned,
    DeferredUnjudged,
    DeferredUnscanned,
    DeferredUnjournalled,
    Rejected,
    Quarantined,
    SenderRefused,
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
    directory: Replica,
    journal: Option<Journal>,
    logins: Option<Logins>,
    scanner: Scanner,
    memory: Memory,
    messages: Family<Judged, Counter>,
}

/// No clamd has judged a message.
#[derive(Debug, thiserror::Error)]
#[error("no clamd can scan it at the moment")]
pub struct Unscanned;

impl Gate {
    /// A gate that knows Rspamd's verdicts by `token`, senders by the `directory`, and asks the clamds that `host`
    /// resolves to at `port`.
    #[must_use]
    pub fn new(policy: Policy, token: &str, directory: Replica, (host, port): (&str, u16)) -> Self {
        let (scanner, memory) = (Scanner::new(host, port), Memory::default());
        let messages = Family::default();
        let (token, journal, logins) = (token.into(), None, None);
        Self { policy, token, directory, journal, logins, scanner, memory, messages }
    }

    /// The same gate, which notes in `logins` who sent.
    #[must_use]
    pub fn with_logins(self, logins: Logins) -> Self {
        Self { logins: Some(logins), ..self }
    }

    /// The same gate, after which nothing passes that `journal` has not kept.
    #[must_use]
    pub fn with_journal(self, journal: Option<Journal>) -> Self {
        Self { journal, ..self }
    }

    /// Registers the gate's metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("gate_messages", "Messages by what became of them", self.messages.clone());
    }

    /// Serves until `close`, then lets messages that are being judged have their answer.
    pub async fn run(self, listener: UnixListener, close: CancellationToken) {
        let stop = close.clone();
        let session = |stream| {
            let session = Session::new(self.clone(), stream).run(stop.clone());
            async move {
                if let Err(error) = session.await {
                    tracing::warn!(%error, "a milter session broke");
                }
            }
        };
        listener::serve(listener, SESSIONS, close, session).await;
    }

    /// What was found in a message that was judged before, and comes from the journal; it may pass if nothing was.
    ///
    /// # Errors
    /// Nobody can scan it.
    pub async fn look_again(&self, message: &[Bytes]) -> Result<Option<String>, Unscanned> {
        let scan = self.scanner.scan(message).await;
        match decide(Origin::Internal, true, &scan, self.policy) {
            Decision::Accept | Decision::AcceptUnscanned => Ok(None),
            Decision::Quarantine(name) | Decision::Reject(name) => Ok(Some(name)),
            Decision::DeferUnjudged | Decision::DeferUnscanned | Decision::Object(_) => Err(Unscanned),
        }
    }

    /// A message was accepted of who logged in as `login`; a store's, which sends for Sieve, is no mailbox's.
    fn sent(&self, login: Option<&[u8]>) {
        let login =
            login.and_then(|login| std::str::from_utf8(login).ok()).and_then(|login| fold(login).ok());
        if let (Some(logins), Some(found)) = (&self.logins, login.and_then(|it| self.directory.find(&it))) {
            logins.sent(&found);
        }
    }

    fn count(&self, decision: &Decision) {
        self.messages.get_or_create(&Judged { verdict: Verdict::of(decision) }).inc();
    }

    fn count_unjournalled(&self) {
        self.messages.get_or_create(&Judged { verdict: Verdict::DeferredUnjournalled }).inc();
    }
}

impl Verdict {
    const fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Accept => Self::Accepted,
            Decision::AcceptUnscanned => Self::AcceptedUnscanned,
            Decision::DeferUnjudged => Self::DeferredUnjudged,
            Decision::DeferUnscanned => Self::DeferredUnscanned,
            Decision::Reject(_) => Self::Rejected,
            Decision::Quarantine(_) => Self::Quarantined,
            Decision::Object(_) => Self::SenderRefused,
        }
    }
}

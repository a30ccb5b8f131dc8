//! Who may send, and how much: what Postfix asks at each recipient, and at each message of a client that logged in.
//!
//! ```text
//!  RCPT ─▶ a group? ─▶ suspended? ─▶ recipients           DATA ─▶ messages of the hour, of the mailbox and of the domain
//!                                                                    shared (Valkey) ─ away ─▶ counted by this gateway
//! ```
//!
//! A [`Request`] comes in, an [`Action`] goes out; whoever is refused far too often is told to the operator. Limits come from
//! the directory. Nothing is refused for want of Valkey.

mod groups;
mod local;
mod metrics;
mod shared;
#[cfg(test)]
mod tests;
mod window;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::{net::UnixStream, time::timeout};
use tokio_util::{codec::Framed, sync::CancellationToken};

use self::{
    local::Local,
    metrics::{Counted, Metrics, Outcome},
    shared::Shared,
    window::{Ask, Count, HOUR},
};
use super::{
    directory::{Found, Replica},
    sockets::listener,
};
use crate::{
    api::SystemLimits,
    directory::{domain_of, fold},
    wire::policy::{Action, Codec, Request},
};

/// One connection for each smtpd of the submission ports.
const CONNECTIONS: usize = 1024;
/// Postfix closes a connection that is idle for 5 minutes.
const IDLE: Duration = Duration::from_mins(10);
const WRITE: Duration = Duration::from_secs(5);
/// So many messages whose recipients are being counted are remembered.
const MESSAGES: usize = 20_000;
/// A mailbox that is refused so many times its limit within an hour sends in bulk.
pub const BULK: u32 = 3;

/// A mailbox that sends in bulk, as the operator is told.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Bulk {
    /// The suspension that was last lifted, when it was seen: see [`crate::directory::MailboxEntry::sending_resumed`].
    pub resumed: i64,
    /// When it was last seen, in seconds of Unix time.
    pub at: i64,
}

/// Judges what is sent. Clones share counts.
#[derive(Clone)]
pub struct Sending(Arc<Inner>);

struct Inner {
    replica: Replica,
    shared: Shared,
    local: Mutex<Local>,
    /// Recipients so far, by message.
    recipients: Mutex<HashMap<Vec<u8>, u32>>,
    bulk: Mutex<BTreeMap<String, Bulk>>,
    metrics: Metrics,
}

impl Sending {
    /// Limits of this directory, counted in the Valkey at `cache` (host and port).
    #[must_use]
    pub fn new(replica: Replica, cache: &str) -> Self {
        Self(Arc::new(Inner {
            replica,
            shared: Shared::new(cache),
            local: Mutex::default(),
            recipients: Mutex::default(),
            bulk: Mutex::default(),
            metrics: Metrics::default(),
        }))
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// The mailboxes that were seen to send in bulk within the last hour, for the operator.
    #[must_use]
    pub fn bulk(&self) -> BTreeMap<String, Bulk> {
        let mut bulk = lock(&self.0.bulk);
        let now = window::now();
        bulk.retain(|_, seen| now - seen.at < HOUR);
        bulk.clone()
    }

    /// Answers at `path` until `shutdown`.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn serve(
        self,
        path: &Path,
        shutdown: CancellationToken,
    ) -> std::io::Result<impl Future<Output = ()> + use<>> {
        let listener = listener::bind(path)?;
        Ok(listener::serve(listener, CONNECTIONS, shutdown.clone(), move |stream| {
            let (sending, shutdown) = (self.clone(), shutdown.clone());
            async move {
                shutdown.run_until_cancelled(sending.converse(stream)).await;
            }
        }))
    }

    async fn converse(&self, stream: UnixStream) {
        let mut framed = Framed::new(stream, Codec);
        while let Ok(Some(request)) = timeout(IDLE, framed.next()).await {
            let request = match request {
                Ok(request) => request,
                Err(error) => return tracing::warn!(%error, "a policy connection ends"),
            };
            let action = self.judge(&request).await;
            if !matches!(timeout(WRITE, framed.send(action)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// What becomes of a command. Who has not logged in, or is no mailbox (a store that sends for Sieve), has no limits.
    pub async fn judge(&self, request: &Request) -> Action {
        let at_recipient = *request.state == b"RCPT"[..];
        if request.login.is_empty() && !at_recipient {
            return Action::Dunno;
        }
        if !self.0.replica.loaded() {
            return answer(
                "451 4.3.0 Chua kiem tra duoc, xin gui lai sau. Limits cannot be checked now, try again later",
            );
        }
        if at_recipient && let Some(refusal) = groups::refuse(&self.0.replica, request) {
            self.0.metrics.judged(Outcome::Group);
            return refusal;
        }
        let login = std::str::from_utf8(&request.login).ok().and_then(|login| fold(login).ok());
        let Some(found) = login.and_then(|login| self.0.replica.find(&login)) else { return Action::Dunno };
        if found.entry.sending_suspended.is_some() {
            self.0.metrics.judged(Outcome::Suspended);
            return answer(
                "550 5.7.1 Hop thu tam ngung gui vi gui qua nhieu, xin lien he quan tri. Sending is suspended after bulk mail from this mailbox, ask your administrator",
            );
        }
        let limits = self.0.replica.limits(&found);
        match &*request.state {
            b"RCPT" => self.recipient(&request.instance, limits),
            b"DATA" => self.message(&request.instance, &found, limits).await,
            _ => Action::Dunno,
        }
    }

    /// RFC 5321, 4.5.3.1.10: the client is to send the others in a further message.
    fn recipient(&self, instance: &[u8], limits: SystemLimits) -> Action {
        let mut messages = lock(&self.0.recipients);
        if messages.len() >= MESSAGES {
            messages.clear();
        }
        let count = messages.entry(instance.to_vec()).or_default();
        if *count < limits.recipients_per_message {
            *count += 1;
            return Action::Dunno;
        }
        drop(messages);
        self.0.metrics.judged(Outcome::Recipients);
        let most = limits.recipients_per_message;
        answer(&format!(
            "452 4.5.3 Qua {most} nguoi nhan trong mot thu. Too many recipients, at most {most} in a message"
        ))
    }

    async fn message(&self, instance: &[u8], found: &Found, limits: SystemLimits) -> Action {
        lock(&self.0.recipients).remove(instance);
        let domain = domain_of(&found.address);
        let ask = Ask {
            mailbox: &found.address,
            resumed: found.entry.sending_resumed.unwrap_or_default(),
            limit: limits.messages_per_hour,
            domain,
            domain_limit: self.0.replica.domain_limit(domain),
        };
        let now = window::now();
        let shared = self.0.shared.count(&ask, now).await;
        self.0.metrics.counted(if shared.is_some() { Counted::Shared } else { Counted::Local });
        let count = shared.unwrap_or_else(|| lock(&self.0.local).count(&ask, now));
        match count {
            Count::Passed => {
                self.0.metrics.judged(Outcome::Passed);
                Action::Dunno
            }
            Count::Refused(refused) => {
                self.0.metrics.judged(Outcome::Mailbox);
                if refused >= u64::from(ask.limit) * u64::from(BULK) {
                    let seen = Bulk { resumed: ask.resumed, at: now };
                    lock(&self.0.bulk).insert(found.address.clone(), seen);
                }
                let limit = ask.limit;
                answer(&format!(
                    "450 4.7.1 Vuot gioi han {limit} thu moi gio, xin gui lai sau. Over the limit of {limit} messages an hour, try again later"
                ))
            }
            Count::DomainRefused => {
                self.0.metrics.judged(Outcome::Domain);
                answer(&format!(
                    "450 4.7.1 Ten mien {domain} vuot gioi han thu moi gio, xin gui lai sau. The domain {domain} is over its limit of messages an hour, try again later"
                ))
            }
        }
    }
}

fn answer(text: &str) -> Action {
    Action::Answer(text.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Whether a password is right, for whoever asks.
//!
//! ```text
//!  attempt ─▶ recent (right a moment ago?) ─▶ lockout ─▶ queue ─▶ proof ─▶ verdict ─▶ recent, lockout, last log-ins
//! ```
//!
//! Login, password and source come in, a [`Verdict`] goes out. It must not tell by its time whether a mailbox exists: a
//! password is hashed for every question that is answered, known mailbox or not. It must not hash without bound either.
//! Nothing secret is logged.

mod generations;
mod lockout;
mod metrics;
mod proof;
mod queue;
mod recent;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus_client::registry::Registry;

pub use self::metrics::Service;
use self::{
    lockout::{Lockouts, Who, network},
    metrics::{Metrics, Outcome},
    proof::Proof,
    queue::Queue,
    recent::{LIFETIME, Mac, Recent},
};
use crate::{
    agent::{
        directory::{Found, Replica},
        logins::Logins,
    },
    api::MailboxState,
    directory::fold,
    wire::secret::Secret,
};

/// What is to be done with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right and the mailbox may be used.
    Allowed(Found),
    /// It is not, for whatever reason: the reason is not told.
    Denied,
    /// Too many wrong passwords lately: not looked at.
    Locked,
    /// It cannot be judged now.
    Unavailable,
}

/// Checks passwords against the directory. Clones share locks and limits.
#[derive(Clone)]
pub struct Passwords(Arc<Shared>);

struct Shared {
    replica: Replica,
    logins: Logins,
    queue: Queue,
    recent: Mutex<Recent>,
    lockouts: Mutex<Lockouts>,
    metrics: Metrics,
}

/// A log-in under way.
struct Attempt<'a> {
    who: Who<'a>,
    found: Option<Found>,
    proof: Proof,
    mac: Option<Mac>,
    password: &'a Secret,
}

impl Passwords {
    /// Passwords of this directory; log-ins are noted in `logins`.
    #[must_use]
    pub fn new(replica: Replica, logins: Logins) -> Self {
        Self(Arc::new(Shared {
            replica,
            logins,
            queue: Queue::default(),
            recent: Mutex::default(),
            lockouts: Mutex::default(),
            metrics: Metrics::default(),
        }))
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Judges a login as the user typed it. An alias is no login. `client` is where it came from, if that is known.
    pub async fn check(
        &self,
        service: Service,
        login: &[u8],
        password: &Secret,
        client: Option<IpAddr>,
    ) -> Verdict {
        let login = std::str::from_utf8(login).ok().and_then(|login| fold(login).ok()).unwrap_or_default();
        let source = client.map(network);
        let (outcome, found) = self.judge(&login, source, password).await;
        self.0.metrics.judged(service, outcome);
        if let (Outcome::Allowed, Some(found)) = (outcome, &found) {
            self.0.logins.record(&found.address, service.protocol(), None, source);
        } else if outcome != Outcome::Unavailable {
            // A login that is not a mailbox may be a password typed into the wrong field.
            let login = found.as_ref().map(|found| &found.address);
            tracing::info!(?service, ?outcome, login, ?client, "a log-in was refused");
        }
        match (outcome, found) {
            (Outcome::Allowed, Some(found)) => Verdict::Allowed(found),
            (Outcome::Locked, _) => Verdict::Locked,
            (Outcome::Unavailable | Outcome::Busy, _) => Verdict::Unavailable,
            _ => Verdict::Denied,
        }
    }

    async fn judge(
        &self,
        login: &str,
        source: Option<IpAddr>,
        password: &Secret,
    ) -> (Outcome, Option<Found>) {
        if !self.0.replica.loaded() {
            return (Outcome::Unavailable, None);
        }
        let found = self.0.replica.find(login).filter(|found| found.address == login);
        let known = source.is_some_and(|source| self.0.logins.knows(login, source));
        let proof = Proof::of(found.as_ref());
        let mac = lock(&self.0.recent).mac(login, proof.text(), password.expose());
        let who = Who { account: login, source, known };
        let attempt = Attempt { who, found, proof, mac, password };
        let outcome = self.prove(&attempt).await;
        let outcome = if outcome == Outcome::Allowed { permission(attempt.found.as_ref()) } else { outcome };
        (outcome, attempt.found)
    }

    /// Whether the password is right, whatever the mailbox may be used for.
    async fn prove(&self, attempt: &Attempt<'_>) -> Outcome {
        if self.was_right(attempt) {
            return Outcome::Allowed;
        }
        if lock(&self.0.lockouts).locked(attempt.who, Instant::now()).is_some() {
            return Outcome::Locked;
        }
        if self.was_wrong(attempt) {
            return wrong(attempt);
        }
        let Who { account, source, known } = attempt.who;
        let Some(place) = self.0.queue.place(account, source, known) else { return Outcome::Busy };
        self.0.metrics.queued(self.0.queue.len());
        let Some(turn) = place.turn().await else { return Outcome::Unavailable };
        // Another connection of the same client may have been answered meanwhile.
        if self.was_right(attempt) {
            return Outcome::Allowed;
        }
        if self.was_wrong(attempt) {
            return wrong(attempt);
        }
        let (proof, password) = (attempt.proof.clone(), attempt.password.clone());
        let held = tokio::task::spawn_blocking(move || proof.holds(&password)).await;
        drop((turn, place));
        self.0.metrics.queued(self.0.queue.len());
        match held {
            Ok(Ok(right)) => self.note(attempt, right),
            Ok(Err(error)) => {
                tracing::error!(%error, "the directory has a hash that cannot be read");
                Outcome::Unavailable
            }
            Err(_) => Outcome::Unavailable,
        }
    }

    fn was_right(&self, attempt: &Attempt) -> bool {
        lock(&self.0.recent).right(attempt.mac, Instant::now()).is_some_and(|age| age < LIFETIME)
    }

    fn was_wrong(&self, attempt: &Attempt) -> bool {
        lock(&self.0.recent).is_wrong(attempt.mac, Instant::now())
    }

    /// Remembers an answer, and counts a wrong password.
    fn note(&self, attempt: &Attempt, right: bool) -> Outcome {
        let now = Instant::now();
        lock(&self.0.recent).insert(attempt.mac, right, now);
        if right {
            lock(&self.0.lockouts).succeeded(attempt.who);
            return Outcome::Allowed;
        }
        for scope in lock(&self.0.lockouts).failed(attempt.who, now) {
            self.0.metrics.locked(scope);
        }
        wrong(attempt)
    }
}

/// What a client with the right password may do.
fn permission(found: Option<&Found>) -> Outcome {
    match found.map(|found| found.entry.state) {
        Some(MailboxState::Active) => Outcome::Allowed,
        Some(_) => Outcome::Suspended,
        None => Outcome::UnknownAccount,
    }
}

/// Why a password is wrong.
fn wrong(attempt: &Attempt) -> Outcome {
    match (&attempt.found, &attempt.proof) {
        (None, _) => Outcome::UnknownAccount,
        (Some(_), Proof::Nobodys) => Outcome::NoPassword,
        (Some(_), Proof::Hash(_)) => Outcome::WrongPassword,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

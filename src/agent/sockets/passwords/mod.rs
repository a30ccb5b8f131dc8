//! Whether a password is right, for whoever asks.
//!
//! ```text
//!  attempt ─▶ recent (right a moment ago?) ─▶ lockout ─▶ queue ─▶ proof ─┬▶ verdict ─▶ recent, lockout, last log-ins
//!                                                      ldap (main password) ─┘
//! ```
//!
//! Login, password and source come in, a [`Verdict`] goes out. It must not tell by its time whether a mailbox exists: a
//! password is hashed for every question that is answered, known mailbox or not. It must not hash without bound either.
//! Nothing secret is logged.

mod generations;
pub mod ldap;
mod lockout;
mod metrics;
mod outside;
mod proof;
mod prove;
mod queue;
mod recent;
#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::registry::Registry;
use tokio::time::{Duration, sleep_until};

pub use self::metrics::Service;
use self::{
    ldap::Services,
    lockout::{Lockouts, Who, network},
    metrics::{Metrics, Outcome},
    proof::{Held, Proof},
    queue::Queue,
    recent::{Mac, Recent},
};
use crate::{
    agent::{
        directory::{Found, Replica},
        logins::Logins,
    },
    api::MailboxState,
    directory::{Ldap, fold},
    wire::secret::Secret,
};

/// Whoever is refused in a domain of a directory service is told so no sooner than this: the service's time is not to tell
/// whether there is such a mailbox.
const REFUSAL: Duration = Duration::from_millis(500);

/// What is to be done with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right and the mailbox may be used.
    Allowed(Admission),
    /// It is not, for whatever reason: the reason is not told.
    Denied,
    /// Too many wrong passwords lately: not looked at.
    Locked,
    /// It cannot be judged now.
    Unavailable,
}

/// Who was let in, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The mailbox.
    pub found: Found,
    /// The name of the app password, if it was one.
    pub app: Option<String>,
    /// The [`Credential::tag`](crate::directory::Credential::tag) of the password.
    pub tag: String,
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
    services: Services,
    metrics: Metrics,
}

/// A log-in under way.
struct Attempt<'a> {
    who: Who<'a>,
    found: Option<Found>,
    proof: Proof,
    /// What knows the mailbox's main password, if the mailbox does not.
    ldap: Option<Arc<Ldap>>,
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
            services: Services::default(),
            metrics: Metrics::default(),
        }))
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
        self.0.services.register(registry);
    }

    /// The directory services that are asked.
    #[must_use]
    pub fn services(&self) -> Services {
        self.0.services.clone()
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
        let (source, started) = (client.map(network), tokio::time::Instant::now());
        let (outcome, found, by) = self.judge(service, &login, source, password).await;
        let app = by.as_ref().and_then(|by| by.name.clone());
        self.0.metrics.judged(service, outcome, app.is_some());
        if let (Outcome::Allowed, Some(found)) = (outcome, &found) {
            self.0.logins.record(found, service.protocol(), app.as_deref(), source);
        } else if outcome != Outcome::Unavailable {
            // A login that is not a mailbox may be a password typed into the wrong field.
            let login = found.as_ref().map(|found| &found.address);
            tracing::info!(?service, ?outcome, login, app, ?client, "a log-in was refused");
        }
        let refused = !matches!(outcome, Outcome::Allowed | Outcome::Unavailable | Outcome::Busy);
        if refused && self.0.replica.ldap_of(&login).is_some() {
            sleep_until(started + REFUSAL).await;
        }
        match (outcome, found, by) {
            (Outcome::Allowed, Some(found), Some(by)) => {
                Verdict::Allowed(Admission { found, app: by.name, tag: by.tag })
            }
            (Outcome::Locked, ..) => Verdict::Locked,
            (Outcome::Unavailable | Outcome::Busy, ..) => Verdict::Unavailable,
            _ => Verdict::Denied,
        }
    }

    async fn judge(
        &self,
        service: Service,
        login: &str,
        source: Option<IpAddr>,
        password: &Secret,
    ) -> (Outcome, Option<Found>, Option<Held>) {
        if !self.0.replica.loaded() {
            return (Outcome::Unavailable, None, None);
        }
        let found = self.0.replica.find(login).filter(|found| found.address == login);
        let known = source.is_some_and(|source| self.0.logins.knows(login, source));
        // It stands in for a main password: who has none logs in nowhere.
        let main = found.as_ref().filter(|it| it.entry.credential.is_some() && !it.entry.own_password);
        let ldap = main.and_then(|_| self.0.replica.ldap_of(login));
        let proof = Proof::of(found.as_ref(), ldap.as_deref());
        let mac = lock(&self.0.recent).mac(login, &proof.text(), password.expose());
        let who = Who { account: login, source, known };
        let attempt = Attempt { who, found, proof, ldap, mac, password };
        match self.prove(&attempt).await {
            Ok(which) => {
                let outcome = permission(attempt.found.as_ref(), service);
                (outcome, attempt.found, attempt.proof.get(which))
            }
            Err(outcome) => (outcome, attempt.found, None),
        }
    }
}

/// What a client with the right password may do.
fn permission(found: Option<&Found>, service: Service) -> Outcome {
    match found.map(|found| &found.entry) {
        Some(entry) if entry.state != MailboxState::Active => Outcome::Suspended,
        Some(entry) if !entry.allows(service.protocol()) => Outcome::WrongProtocol,
        Some(_) => Outcome::Allowed,
        None => Outcome::UnknownAccount,
    }
}

/// Why a password is wrong.
fn wrong(attempt: &Attempt) -> Outcome {
    match &attempt.found {
        None => Outcome::UnknownAccount,
        Some(_) if attempt.proof.is_nobodys() => Outcome::NoPassword,
        Some(_) => Outcome::WrongPassword,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

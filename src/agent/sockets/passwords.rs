//! Whether a password is right, for whoever asks.
//!
//! Login and password come in, a [`Verdict`] goes out. It must not tell by its time whether a mailbox exists: a password
//! is hashed for every question that is answered, known mailbox or not. It must not hash without bound either: one
//! hash takes 19 MiB and some tens of milliseconds. Nothing secret is logged.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use argon2::{
    Argon2, Params,
    password_hash::{self, PasswordVerifier, phc::PasswordHash},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::sync::Semaphore;

use super::{lockout::Lockouts, recent::Recent};
use crate::{
    agent::directory::{Found, Replica},
    api::MailboxState,
    directory::fold,
    wire::secret::Secret,
};

/// So many passwords are hashed at once.
const HASHES: usize = 2;
/// What a password is compared with when there is nothing to compare it with: of nobody's password, with the
/// parameters that the operator hashes with.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$kb5q7FmK1A9cSnCwGYtQ0hYz3o5s3bq9eMjk1u2wW8E";

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

/// Who asks, for the metrics.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Postfix, for submission.
    Smtp,
    /// nginx, for IMAP.
    Imap,
    /// nginx, for POP3.
    Pop3,
}

#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Allowed,
    UnknownAccount,
    Suspended,
    NoPassword,
    WrongPassword,
    Locked,
    Unavailable,
}

#[derive(EncodeLabelSet, Clone, Debug, PartialEq, Eq, Hash)]
struct Labels {
    service: Service,
    outcome: Outcome,
}

/// Checks passwords against the directory. Clones share locks and limits.
#[derive(Clone)]
pub struct Passwords(Arc<Shared>);

struct Shared {
    replica: Replica,
    hashes: Semaphore,
    recent: Mutex<Recent>,
    lockouts: Mutex<Lockouts>,
    logins: Family<Labels, Counter>,
    locks: Counter,
}

impl Passwords {
    /// Passwords of this directory.
    #[must_use]
    pub fn new(replica: Replica) -> Self {
        Self(Arc::new(Shared {
            replica,
            hashes: Semaphore::new(HASHES),
            recent: Mutex::default(),
            lockouts: Mutex::default(),
            logins: Family::default(),
            locks: Counter::default(),
        }))
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("logins", "Log-ins by what became of them", self.0.logins.clone());
        registry.register("account_locks", "Accounts locked for a minute", self.0.locks.clone());
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
        let (outcome, found) = self.judge(&login, password).await;
        self.0.logins.get_or_create(&Labels { service, outcome }).inc();
        if !matches!(outcome, Outcome::Allowed | Outcome::Unavailable) {
            // A login that is not a mailbox may be a password typed into the wrong field.
            let login = found.as_ref().map(|found| &found.address);
            tracing::info!(?service, ?outcome, login, ?client, "a log-in was refused");
        }
        match (outcome, found) {
            (Outcome::Allowed, Some(found)) => Verdict::Allowed(found),
            (Outcome::Locked, _) => Verdict::Locked,
            (Outcome::Unavailable, _) => Verdict::Unavailable,
            _ => Verdict::Denied,
        }
    }

    async fn judge(&self, login: &str, password: &Secret) -> (Outcome, Option<Found>) {
        if !self.0.replica.loaded() {
            return (Outcome::Unavailable, None);
        }
        let found = self.0.replica.find(login).filter(|found| found.address == login);
        let credential = found.as_ref().and_then(|found| found.entry.credential.as_ref());
        let state = found.as_ref().map(|found| found.entry.state);
        let hash = credential.map(|credential| credential.hash.clone());
        let known = hash.as_deref().map(|hash| lock(&self.0.recent).mac(login, hash, password.expose()));
        if known.is_some_and(|mac| lock(&self.0.recent).holds(login, &mac, Instant::now())) {
            return (
                if state == Some(MailboxState::Active) { Outcome::Allowed } else { Outcome::Suspended },
                found,
            );
        }
        if lock(&self.0.lockouts).locked(login, Instant::now()) {
            return (Outcome::Locked, found);
        }
        let Some(right) = self.right(hash, password).await else { return (Outcome::Unavailable, found) };
        let outcome = match (state, known) {
            (None, _) => Outcome::UnknownAccount,
            (Some(_), None) => Outcome::NoPassword,
            (Some(_), Some(_)) if !right => Outcome::WrongPassword,
            (Some(MailboxState::Suspended), _) => Outcome::Suspended,
            (Some(MailboxState::Active), _) => Outcome::Allowed,
        };
        self.note(login, right.then_some(known).flatten());
        (outcome, found)
    }

    /// Remembers a right password, or counts a wrong one.
    fn note(&self, login: &str, right: Option<[u8; 32]>) {
        if let Some(mac) = right {
            lock(&self.0.lockouts).succeeded(login);
            lock(&self.0.recent).insert(login, mac, Instant::now());
        } else if lock(&self.0.lockouts).failed(login, Instant::now()) {
            self.0.locks.inc();
        }
    }

    /// Whether the password has this hash; without one, takes the same time and is wrong.
    async fn right(&self, hash: Option<String>, password: &Secret) -> Option<bool> {
        let _place = self.0.hashes.acquire().await.ok()?;
        let (password, real) = (password.clone(), hash.is_some());
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
        match tokio::task::spawn_blocking(move || verify(&hash, &password)).await.ok()? {
            Ok(same) => Some(same && real),
            Err(error) => {
                tracing::error!(%error, "the directory has a hash that cannot be read");
                None
            }
        }
    }
}

/// Whether the password has this hash. The operator gives passwords that it made itself a cheap hash: a wrong password
/// is then hashed once more, so that refusals take one time.
fn verify(hash: &str, password: &Secret) -> Result<bool, password_hash::Error> {
    let same = |hash: &PasswordHash| Argon2::default().verify_password(password.expose(), hash).is_ok();
    let hash = PasswordHash::new(hash)?;
    let right = same(&hash);
    if !right && Params::try_from(&hash)?.m_cost() < Params::DEFAULT_M_COST {
        same(&PasswordHash::new(NOBODYS)?);
    }
    Ok(right)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;

//! Directory services (LDAP): whether a person is known there, and whether a password is that person's.
//!
//! ```text
//!  address ─▶ search (as the searcher) ─▶ name ─▶ bind (name, password) ─▶ right or wrong
//! ```
//!
//! An address and a password come in, an [`Answer`] goes out; what is none is a [`Trouble`], and never "wrong". Servers are
//! tried in turn within one deadline, and one that failed is left alone for a while. Everything goes over TLS. An empty
//! password never gets here: servers take a bind with one for anonymous, and say "success" (RFC 4513, 5.1.2).

mod client;
mod guard;
mod health;
mod metrics;
mod naming;
mod servers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::registry::Registry;
use tokio::time::timeout;

use self::{client::Way, guard::Guard, metrics::Metrics, servers::Servers};
pub use self::{
    guard::People,
    health::{Report, ServerReport},
    naming::{Reason, Trouble},
};
use crate::{
    agent::directory::Replica,
    directory::{Ldap, Naming},
};

/// What a directory service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The password is the person's.
    Right,
    /// It is not, or the person may not log in there.
    Wrong,
    /// Nobody is known for this address.
    NotFound,
    /// Several are.
    Ambiguous,
}

/// The directory services of a mail system. Clones share what is known of them.
#[derive(Clone, Default)]
pub struct Services(Arc<Shared>);

#[derive(Default)]
struct Shared {
    services: Mutex<HashMap<String, Arc<Service>>>,
    metrics: Metrics,
}

/// One of them, as its configuration is now.
struct Service {
    ldap: Arc<Ldap>,
    /// The way to each of its servers, or why there is none.
    ways: Result<Vec<Way>, Trouble>,
    servers: Mutex<Servers>,
    /// It outlives a change of the configuration.
    guard: Arc<Mutex<Guard>>,
}

impl Services {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Whether the password, which is not empty, is that of the person with this address.
    ///
    /// # Errors
    /// The service cannot be asked.
    pub async fn verify(&self, ldap: &Arc<Ldap>, address: &str, password: &str) -> Result<Answer, Trouble> {
        let started = Instant::now();
        let answer = self.service(ldap).verify(address, password).await;
        self.0.metrics.answered(&ldap.name, &answer, started.elapsed());
        answer
    }

    /// Notes whether the service knows a person who logged in before. Whether it knows so few of these that its word on one
    /// whom it does not know is not to be believed.
    #[must_use]
    pub fn is_implausible(&self, ldap: &Arc<Ldap>, address: &str, found: bool) -> bool {
        lock(&self.service(ldap).guard).note(address, found, Instant::now())
    }

    /// The service of this configuration.
    fn service(&self, ldap: &Arc<Ldap>) -> Arc<Service> {
        let mut services = lock(&self.0.services);
        let known = services.get(&ldap.name);
        if let Some(same) = known.filter(|it| Arc::ptr_eq(&it.ldap, ldap) || it.ldap == *ldap) {
            return same.clone();
        }
        let guard = known.map(|it| it.guard.clone()).unwrap_or_default();
        let service = Arc::new(Service::new(ldap.clone(), guard));
        services.insert(ldap.name.clone(), service.clone());
        service
    }

    /// Forgets the services that the directory does not have any more.
    fn keep(&self, replica: &Replica) -> Vec<Arc<Service>> {
        let all: Vec<_> = replica.ldap().iter().map(|ldap| self.service(ldap)).collect();
        lock(&self.0.services).retain(|name, _| all.iter().any(|service| service.ldap.name == *name));
        all
    }
}

impl Service {
    fn new(ldap: Arc<Ldap>, guard: Arc<Mutex<Guard>>) -> Self {
        let ways = client::tls(ldap.ca.as_deref())
            .map(|tls| ldap.urls.iter().map(|url| Way::new(url, tls.clone())).collect());
        let servers = Mutex::new(Servers::new(ldap.urls.len()));
        Self { ldap, ways, servers, guard }
    }

    async fn verify(&self, address: &str, password: &str) -> Result<Answer, Trouble> {
        let ways = self.ways.as_ref().map_err(Clone::clone)?;
        let until = Instant::now() + Duration::from_secs(self.ldap.timeout.into());
        let mut order = lock(&self.servers).order(Instant::now())?;
        while let Some(at) = order.pop_front() {
            let Some(way) = ways.get(at) else { continue };
            // What is left is shared among those who may still be asked.
            let share = until.saturating_duration_since(Instant::now()) / share(order.len());
            let asked = timeout(share, self.ask(way, address, password)).await;
            match asked.unwrap_or_else(|_| Err(Trouble::silent())) {
                Ok(answer) => {
                    lock(&self.servers).answered(at);
                    return Ok(answer);
                }
                Err(trouble) => {
                    tracing::warn!(service = self.ldap.name, server = self.ldap.urls.get(at), %trouble, "a directory service cannot be asked");
                    way.forget();
                    lock(&self.servers).failed(at, trouble.clone(), Instant::now());
                    if order.is_empty() {
                        return Err(trouble);
                    }
                }
            }
        }
        Err(Trouble::silent())
    }

    async fn ask(&self, way: &Way, address: &str, password: &str) -> Result<Answer, Trouble> {
        let name = match &self.ldap.naming {
            Naming::Direct(template) => naming::name(template, address),
            Naming::Search { by, base, filter } => {
                let found = way.search(by.as_ref(), base, &naming::filter(filter, address)).await?;
                match <[String; 1]>::try_from(found) {
                    Ok([name]) => name,
                    Err(none) if none.is_empty() => return Ok(Answer::NotFound),
                    Err(_) => return Ok(Answer::Ambiguous),
                }
            }
        };
        way.try_password(&name, password).await
    }
}

fn share(others: usize) -> u32 {
    u32::try_from(others + 1).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

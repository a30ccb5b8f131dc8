//! How the directory services are: each server is asked, the way log-ins ask it, whether anybody logs in or not.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{People, Service, Services, Trouble, Way, lock, naming};
use crate::{agent::directory::Replica, directory::Naming};

/// Servers are asked this often.
const PERIOD: Duration = Duration::from_secs(15);
/// Nobody has this address.
const NOBODY: &str = "nobody@mail-operator.invalid";

/// How a service is, as a gateway sees it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its servers, in their order.
    pub servers: Vec<ServerReport>,
    /// What it knows of people who logged in before.
    pub people: People,
}

/// How a server is.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Its URL.
    pub url: String,
    /// What is wrong; nothing if it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

impl Services {
    /// Asks the servers until it is dropped, at once after a change of the directory.
    pub async fn watch(self, replica: Replica) {
        let mut changed = replica.changed();
        loop {
            let services = self.keep(&replica);
            join_all(services.iter().map(|service| service.look())).await;
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                // The sender lives in the replica.
                _ = changed.changed() => {}
            }
        }
    }

    /// How each service is, by name; nothing of one whose servers were not asked yet.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<String, Report> {
        let services = lock(&self.0.services);
        services.iter().filter_map(|(name, service)| Some((name.clone(), service.report()?))).collect()
    }
}

impl Service {
    /// Asks each server that is not to be left alone.
    async fn look(&self) {
        let now = Instant::now();
        let Ok(ways) = &self.ways else { return };
        let asked = ways.iter().enumerate().filter(|(at, _)| lock(&self.servers).is_due(*at, now));
        let patience = Duration::from_secs(self.ldap.timeout.into());
        let asked = asked.map(|(at, way)| async move {
            let seen = timeout(patience, self.see(way)).await.unwrap_or_else(|_| Err(Trouble::silent()));
            if seen.is_err() {
                way.forget();
            }
            (at, seen)
        });
        for (at, seen) in join_all(asked).await {
            lock(&self.servers).seen(at, seen, Instant::now());
        }
    }

    async fn see(&self, way: &Way) -> Result<(), Trouble> {
        match &self.ldap.naming {
            Naming::Direct(_) => way.reach().await,
            Naming::Search { by, base, filter } => {
                way.search(by.as_ref(), base, &naming::filter(filter, NOBODY)).await.map(drop)
            }
        }
    }

    fn report(&self) -> Option<Report> {
        let people = lock(&self.guard).people(Instant::now());
        let server = |(url, trouble): (&String, Option<Trouble>)| ServerReport { url: url.clone(), trouble };
        let seen = match &self.ways {
            Err(trouble) => vec![Some(trouble.clone()); self.ldap.urls.len()],
            Ok(_) => lock(&self.servers).states()?,
        };
        let servers = self.ldap.urls.iter().zip(seen).map(server).collect();
        Some(Report { servers, people })
    }
}

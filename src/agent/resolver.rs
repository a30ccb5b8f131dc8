//! The addresses of host names, remembered.
//!
//! A name comes in, addresses go out. An answer serves for a moment without asking again, and for as long as the name
//! server does not give another: mail and reading do not stop with the name server. Names come from the configuration
//! alone, so that memory is bounded.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::lookup_host, time::timeout};

/// Longest wait for the name server: well below the time limits of those who ask us.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for it while an address is known: far below the time limit of the stores' beats, which would all be missed
/// while the name server hangs.
const KNOWN_WITHIN: Duration = Duration::from_millis(300);
/// How long an answer is used without asking again. A pod that comes back has another address.
const FRESH: Duration = Duration::from_secs(2);

type Known = HashMap<Box<str>, (Arc<[IpAddr]>, Instant)>;

/// The memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Resolver(Arc<Mutex<Known>>);

impl Resolver {
    /// The addresses of `host`, sorted, at least one.
    ///
    /// # Errors
    /// The name server does not know the host, or does not answer in time, and never named an address of it.
    pub async fn lookup(&self, host: &str) -> io::Result<Arc<[IpAddr]>> {
        self.lookup_by(host, ask(host.to_owned())).await
    }

    async fn lookup_by(
        &self,
        host: &str,
        ask: impl Future<Output = io::Result<Arc<[IpAddr]>>> + Send + 'static,
    ) -> io::Result<Arc<[IpAddr]>> {
        let known = self.known(|known| known.get(host).cloned());
        if let Some((addresses, at)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(addresses.clone());
        }
        let (memory, name) = (self.clone(), Box::from(host));
        // It goes on when whoever asked has given up, so that the next has the answer.
        let asking = tokio::spawn(async move {
            let found = ask.await?;
            memory.known(|known| known.insert(name, (found.clone(), Instant::now())));
            Ok(found)
        });
        match known {
            Some((addresses, _)) => match timeout(KNOWN_WITHIN, asking).await {
                Ok(Ok(Ok(found))) => Ok(found),
                Ok(_) | Err(_) => Ok(addresses),
            },
            None => asking.await.map_err(io::Error::other)?,
        }
    }

    /// One that knows these, and asks nobody for them.
    #[cfg(test)]
    #[must_use]
    pub fn that_knows<'a>(hosts: impl IntoIterator<Item = (&'a str, IpAddr)>) -> Self {
        let resolver = Self::default();
        let always = Instant::now() + Duration::from_hours(24);
        for (host, address) in hosts {
            resolver.known(|known| known.insert(host.into(), ([address].into(), always)));
        }
        resolver
    }

    fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn ask(host: String) -> io::Result<Arc<[IpAddr]>> {
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the name server is silent");
    let found = timeout(RESOLVED_WITHIN, lookup_host((host, 0))).await.map_err(silent)??;
    let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_found_is_known_while_the_name_server_is_away() {
        let resolver = Resolver::default();
        assert!(resolver.lookup("nowhere.invalid").await.is_err());
        let long_ago = Instant::now().checked_sub(FRESH * 2).unwrap();
        let addresses: Arc<[IpAddr]> = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()].into();
        resolver.known(|known| known.insert("nowhere.invalid".into(), (addresses.clone(), long_ago)));
        assert_eq!(resolver.lookup("nowhere.invalid").await.unwrap(), addresses);
        assert!(resolver.lookup("elsewhere.invalid").await.is_err());
    }

    #[tokio::test]
    async fn an_address_is_its_own_name() {
        let found = Resolver::default().lookup("127.0.0.7").await.unwrap();
        assert_eq!(*found, [IpAddr::from([127, 0, 0, 7])]);
    }
    #[tokio::test]
    async fn a_name_server_that_hangs_keeps_nobody_waiting_who_has_an_address_and_is_heard_later() {
        let resolver = Resolver::default();
        let long_ago = Instant::now().checked_sub(FRESH * 2).unwrap();
        let (former, later): (Arc<[IpAddr]>, Arc<[IpAddr]>) =
            ([[10, 0, 0, 1].into()].into(), [[10, 0, 0, 2].into()].into());
        resolver.known(|known| known.insert("s".into(), (former.clone(), long_ago)));
        let (answer, hangs) = tokio::sync::oneshot::channel();
        let hangs = async move { hangs.await.map_err(io::Error::other) };
        let asked = Instant::now();
        assert_eq!(resolver.lookup_by("s", hangs).await.unwrap(), former);
        assert!(asked.elapsed() < Duration::from_secs(1));
        answer.send(later.clone()).unwrap();
        while resolver.lookup_by("s", std::future::pending()).await.unwrap() != later {
            tokio::task::yield_now().await;
        }
    }
}

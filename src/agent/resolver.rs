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
        let known = self.known(|known| known.get(host).cloned());
        if let Some((addresses, at)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(addresses.clone());
        }
        match (ask(host).await, known) {
            (Ok(found), _) => {
                self.known(|known| known.insert(host.into(), (found.clone(), Instant::now())));
                Ok(found)
            }
            (Err(_), Some((addresses, _))) => Ok(addresses),
            (Err(error), None) => Err(error),
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

async fn ask(host: &str) -> io::Result<Arc<[IpAddr]>> {
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
}

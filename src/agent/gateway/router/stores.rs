//! Where the stores are. A shard's number comes in, the address of its pod goes out.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::lookup_host, time::timeout};

/// Longest wait for the name server: well below the time limits of those who ask us.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);
/// How long an answer is used without asking again. A pod that comes back has another address.
const FRESH: Duration = Duration::from_secs(2);

/// The stores' host names, and the addresses they had last. Clones share them.
#[derive(Clone, Debug)]
pub struct Stores(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// With `{shard}` in place of the number.
    pattern: String,
    known: Mutex<HashMap<u32, (IpAddr, Instant)>>,
}

impl Stores {
    /// Stores whose names follow this pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(Arc::new(Shared { pattern: pattern.to_owned(), known: Mutex::default() }))
    }

    /// The address of `port` of the pod that serves `shard`. While the name server does not answer, it is the one that
    /// was known last: mail and reading do not stop with the name server.
    ///
    /// # Errors
    /// The name server does not know the pod, or does not answer in time, and the pod was never found.
    pub async fn locate(&self, shard: u32, port: u16) -> io::Result<SocketAddr> {
        let known = self.known(|known| known.get(&shard).copied());
        if let Some((address, at)) = known
            && at.elapsed() < FRESH
        {
            return Ok((address, port).into());
        }
        match (self.ask(shard, port).await, known) {
            (Ok(found), _) => {
                self.known(|known| known.insert(shard, (found.ip(), Instant::now())));
                Ok(found)
            }
            (Err(_), Some((address, _))) => Ok((address, port).into()),
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self, shard: u32, port: u16) -> io::Result<SocketAddr> {
        let host = self.0.pattern.replace("{shard}", &shard.to_string());
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the name server is silent");
        let mut addresses =
            timeout(RESOLVED_WITHIN, lookup_host((host.as_str(), port))).await.map_err(silent)??;
        addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the store has no address"))
    }

    fn known<T>(&self, with: impl FnOnce(&mut HashMap<u32, (IpAddr, Instant)>) -> T) -> T {
        with(&mut self.0.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_was_found_is_known_while_the_name_server_is_away() {
        let stores = Stores::new("nowhere-{shard}.invalid");
        assert!(stores.locate(0, 2003).await.is_err());
        let long_ago = Instant::now().checked_sub(FRESH * 2).unwrap();
        stores.known(|known| known.insert(0, ([10, 0, 0, 1].into(), long_ago)));
        assert_eq!(stores.locate(0, 2003).await.unwrap(), ([10, 0, 0, 1], 2003).into());
        assert!(stores.locate(1, 2003).await.is_err());
    }
}

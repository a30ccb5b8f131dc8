//! Where the stores are. A shard's number comes in, the address of its pod goes out.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::lookup_host, time::timeout};

/// Longest wait for the name server: well below the time limits of those who ask us.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);

/// The stores' host names, with `{shard}` in place of the number. Clones share it.
#[derive(Clone, Debug)]
pub struct Stores(Arc<str>);

impl Stores {
    /// Stores whose names follow this pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// The address of `port` of the pod that serves `shard`. Asked anew each time: a pod that comes back has another one.
    ///
    /// # Errors
    /// The name server does not know the pod, or does not answer in time.
    pub async fn locate(&self, shard: u32, port: u16) -> io::Result<SocketAddr> {
        let host = self.0.replace("{shard}", &shard.to_string());
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the name server is silent");
        let mut addresses =
            timeout(RESOLVED_WITHIN, lookup_host((host.as_str(), port))).await.map_err(silent)??;
        addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the store has no address"))
    }
}

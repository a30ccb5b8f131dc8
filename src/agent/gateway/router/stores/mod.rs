//! Where the stores are. A shard's number comes in, the address of the store that serves it goes out.
//!
//! A shard with one store needs no more than its pod's name. Of a shard with two, each is probed every second, and the one
//! with the highest epoch that says it serves is routed to ([`choice`]); while there is none, whoever asks waits. That
//! nobody serves beside the primary does not rest on this: a store that does not serve takes no mail and no log-in.

pub mod choice;
mod metrics;
mod probe;
#[cfg(test)]
mod probe_tests;
mod shard;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::join_all;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use self::{choice::Times, metrics::Metrics, probe::Prober, shard::Shard};
use crate::{agent::resolver::Resolver, names::ports};

pub use shard::{Probed, Said};

/// How long a log-in waits for a primary: with what else it may take, within the 20 s that nginx gives it, and
/// longer than the silence after which a store that is alone takes over.
pub const LOGIN: Duration = Duration::from_secs(14);
/// How long a delivery does, and the tries of a store that can be reached: well within the 300 s that Postfix waits for an
/// answer, and no longer, since it delivers fifty messages at a time to all shards together.
pub const DELIVERY: Duration = Duration::from_secs(10);

/// Why a shard's store is not found. It may be, later.
#[derive(thiserror::Error, Debug)]
pub enum Lost {
    /// The pod cannot be found, and never could: see [`Resolver::lookup`].
    #[error(transparent)]
    Name(#[from] io::Error),
    /// Nobody serves, as far as is known.
    #[error("neither store of the shard says that it serves")]
    NoPrimary,
    /// This gateway was started before the shard was made, and is about to be started anew.
    #[error("this gateway does not know the shard yet")]
    Unknown,
}

/// The shards with two stores, by number.
#[derive(Clone, Debug)]
struct Pairs {
    shards: Arc<[Arc<Shard>]>,
    metrics: Metrics,
    port: u16,
}

/// The stores' host names, and what is known of them. Clones share it.
#[derive(Clone, Debug)]
pub struct Stores {
    /// With `{shard}` and `{pod}` in place of the numbers.
    pattern: Arc<str>,
    resolver: Resolver,
    pairs: Option<Pairs>,
}

impl Stores {
    /// Stores whose names follow this pattern, one for each shard.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into(), resolver: Resolver::default(), pairs: None }
    }

    /// Stores whose names follow this pattern, two for each of so many shards. Somebody has to [probe](Self::probing).
    #[must_use]
    pub fn in_pairs(pattern: &str, shards: u32) -> Self {
        Self::new(pattern).paired(shards, Times::USUAL, ports::ROLE)
    }

    fn paired(self, shards: u32, times: Times, port: u16) -> Self {
        let metrics = Metrics::default();
        let shards = (0..shards).map(|number| Arc::new(Shard::new(number, times, metrics.clone())));
        Self { pairs: Some(Pairs { shards: shards.collect(), metrics, port }), ..self }
    }

    /// Probes all stores until it is dropped; nothing if there is nothing to choose.
    #[must_use]
    pub fn probing(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let pairs = self.pairs.clone()?;
        let probers = pairs.shards.iter().flat_map(|shard| (0..shard::PODS).map(move |pod| (shard, pod)));
        let probers: Vec<_> = probers
            .map(|(shard, pod)| Prober {
                shard: shard.clone(),
                pod,
                host: self.host(shard.number(), pod),
                port: pairs.port,
                resolver: self.resolver.clone(),
            })
            .map(Prober::run)
            .collect();
        Some(async move { drop(join_all(probers).await) })
    }

    /// The address of `port` of the store that serves `shard`. While nobody serves, it waits `until` then.
    ///
    /// # Errors
    /// See [`Lost`].
    pub async fn locate(&self, shard: u32, port: u16, until: Instant) -> Result<SocketAddr, Lost> {
        let address = match &self.pairs {
            Some(pairs) => {
                let shard = pairs.shards.get(shard as usize).ok_or(Lost::Unknown)?;
                shard.primary(until).await.ok_or(Lost::NoPrimary)?
            }
            None => *self.resolver.lookup(&self.host(shard, 0)).await?.first().ok_or(Lost::NoPrimary)?,
        };
        Ok((address, port).into())
    }

    /// Registers the metrics of probing.
    pub fn register(&self, registry: &mut Registry) {
        if let Some(pairs) = &self.pairs {
            pairs.metrics.register(registry);
        }
    }

    /// What is known of each store; nothing if none is probed.
    #[must_use]
    pub fn probed(&self) -> Option<Vec<Probed>> {
        let now = Instant::now();
        Some(self.pairs.as_ref()?.shards.iter().flat_map(|shard| shard.probed(now)).collect())
    }

    fn host(&self, shard: u32, pod: u32) -> String {
        self.pattern.replace("{shard}", &shard.to_string()).replace("{pod}", &pod.to_string())
    }
}

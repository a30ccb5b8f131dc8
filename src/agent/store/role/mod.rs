//! Carries out the table of [`failover`](crate::failover): who of a shard's two stores is primary, and what follows.
//!
//! ```text
//!  the other store ◀─beats, votes─▶ leaser, server ─┐                    ┌─▶ daemon: Cyrus in a role, watchdog
//!  the Lease ◀──read, renew, swap──▶ leaser ────────┼─▶ memory ─▶ keeper ┼─▶ service: door, provisioning
//!  disk and Cyrus ──────────────────▶ gate ─────────┘     ▲      (decide) └─▶ following, back, replication
//!  gateways ──probe────────────────▶ server ──────────────┘
//! ```
//!
//! Nothing here decides who serves but `failover`. What it relies on is on the disk before it is said or done ([`volume`]).
//! A store without another needs no Lease, and nothing of this.

mod beat;
pub mod clock;
mod daemon;
mod following;
mod gate;
mod keeper;
mod lease;
mod leaser;
mod memory;
mod peer;
mod report;
mod server;
mod shared;
mod volume;
pub mod watchdog;

use std::{io, path::Path};

use aws_lc_rs::rand;
use axum::Router;
use kube::Client;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use beat::{Beat, Told};
pub use daemon::{Daemon, without_a_replica};
pub use peer::{PeerClient, PeerKey};
pub use shared::Shared;
pub use volume::Record;

use self::{
    keeper::Keeper,
    memory::Memory,
    shared::Parts,
    volume::{OpenError, Volume},
    watchdog::Watchdog,
};
use super::{metrics::Metrics, probe::Services, replication::Trouble};
use crate::failover::{Epoch, Periods, Timings, TimingsError};

/// Where the volume is mounted.
pub const DATA: &str = "/data";

/// What the parts of the agent that serve may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Nothing: Cyrus does not run, or takes only what the primary sends.
    Closed,
    /// Serve, in this epoch.
    Open(Epoch),
    /// Begin nothing new.
    Draining,
}

impl Service {
    /// The epoch in which it serves.
    #[must_use]
    pub const fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Open(epoch) => Some(epoch),
            Self::Closed | Self::Draining => None,
        }
    }
}

/// Why the role cannot be carried.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The volume must not be used.
    #[error(transparent)]
    Volume(#[from] OpenError),
    /// The periods are not safe.
    #[error(transparent)]
    Timings(#[from] TimingsError),
    /// The pod is none of a shard's two.
    #[error("a shard's pods are called -0 and -1, and this one {0}")]
    Pod(String),
    /// The shard had two stores, and this one was the replica.
    #[error(
        "this volume was a replica's, and may lack mail that the other has: set spec.store.replicas to 2 again, and switch over first"
    )]
    Replica,
    /// The watchdog cannot be started: nothing would fence a store whose agent hangs.
    #[error("the watchdog cannot be started: {0}")]
    Watchdog(io::Error),
    /// The system has no randomness.
    #[error("there are no random numbers")]
    Random,
}

/// What the role is told.
pub struct Settings<'a> {
    /// Name of this pod.
    pub pod: &'a str,
    /// Whose shard it is: `namespace/system/number`.
    pub shard: String,
    /// Namespace and name of the Lease.
    pub lease: (String, String),
    /// The volume.
    pub data: &'a Path,
    /// Host name of a pod of the shard, with `{pod}` in place of its ordinal.
    pub peers: &'a str,
    /// The stores' key, also the password by which they log in to each other's Cyrus.
    pub key: &'a str,
    /// When a store that may lack changes takes over.
    pub stale_after: Option<std::time::Duration>,
    /// After how long the journal forgets what is settled; never if absent.
    pub retention: Option<std::time::Duration>,
}

/// The role of a store, before it runs.
pub struct Role {
    shared: Shared,
    daemon: Daemon,
    key: PeerKey,
    lease: (String, String),
    service: watch::Sender<Service>,
    more: Router,
}

impl Role {
    /// Reads the volume and starts the watchdog.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(settings: &Settings, metrics: Metrics) -> Result<Self, Error> {
        let timings = Timings::new(Periods::default())?;
        let pod = lease::pod_named(settings.pod).ok_or_else(|| Error::Pod(settings.pod.to_owned()))?;
        let (volume, record) = Volume::open(settings.data, &settings.shard)?;
        let mut memory = Memory::new(pod, record, clock::now());
        memory.stale_after = settings.stale_after;
        memory.retention = settings.retention.unwrap_or(std::time::Duration::MAX);
        memory.holds_mail = !record.disk.seeded && volume.holds_mail();
        let key = PeerKey::new(settings.key);
        let base = settings.pod.rsplit_once('-').map_or(settings.pod, |(base, _)| base);
        let host = settings.peers.replace("{pod}", &pod.other().ordinal().to_string());
        let peer = PeerClient::new(host, key.clone());
        let watchdog = Watchdog::start().map_err(Error::Watchdog)?;
        let mut run = [0; 8];
        rand::fill(&mut run).map_err(|_| Error::Random)?;
        let shared = Shared::new(Parts {
            timings,
            pods: [0, 1].map(|ordinal| format!("{base}-{ordinal}")),
            memory,
            volume,
            // JSON readers keep 53 bits.
            run: u64::from_le_bytes(run) >> 11,
            peer,
            watchdog,
        });
        let daemon = Daemon::new(shared.clone(), settings.key, metrics);
        Ok(Self {
            shared,
            daemon,
            key,
            lease: settings.lease.clone(),
            service: watch::Sender::new(Service::Closed),
            more: Router::new(),
        })
    }

    /// Answers these routes to the other store, too.
    #[must_use]
    pub fn with_routes(self, more: Router) -> Self {
        Self { more: self.more.merge(more), ..self }
    }

    /// What the parts of the agent share of it.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What may be served, as it changes.
    #[must_use]
    pub fn service(&self) -> watch::Receiver<Service> {
        self.service.subscribe()
    }

    /// Carries the role until `shutdown`; then another takes over, if there is one, and Cyrus ends. `drained` says whether
    /// a delivery is under way; `trouble` is what Cyrus logs of the channel.
    pub async fn run(
        self,
        client: impl Future<Output = Client> + Send + 'static,
        (listener, services): (TcpListener, Services),
        (drained, trouble): (watch::Receiver<bool>, mpsc::UnboundedReceiver<Trouble>),
        shutdown: CancellationToken,
    ) {
        let Self { shared, daemon, key, lease, service, more } = self;
        let slot = leaser::Slot::default();
        let mut parts = JoinSet::new();
        let routes = server::routes(shared.clone(), key).merge(more);
        parts.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "nobody can ask for the role any more");
            }
        });
        parts.spawn(gate::run(shared.clone(), services, service.subscribe()));
        parts.spawn(leaser::beat(shared.clone()));
        parts.spawn(leaser::renew(shared.clone(), client, lease, slot.clone()));
        Keeper::new(shared, daemon, slot, service, drained, trouble).run(shutdown).await;
    }
}

/// Whether a store that has no other may serve from the volume at `data`.
///
/// # Errors
/// It may not: the volume is not this shard's, or was a replica's, and nobody could tell what it lacks.
pub fn may_serve_alone(data: &Path, shard: &str) -> Result<(), Error> {
    let (_, record) = Volume::open(data, shard)?;
    let disk = record.disk;
    // One that is not seeded, and yet followed an epoch, lost mailboxes that it gets anew.
    let whole = if disk.seeded { disk.primary } else { disk.epoch == Epoch::NONE };
    if whole { Ok(()) } else { Err(Error::Replica) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::{Disk, Epoch};

    #[test]
    fn only_a_replicas_volume_does_not_serve_alone() {
        let folder = tempfile::tempdir().unwrap();
        let shard = "n/s/0";
        assert!(may_serve_alone(folder.path(), shard).is_ok(), "one that never had a role");
        let (volume, record) = Volume::open(folder.path(), shard).unwrap();
        let epoch = Epoch::from_number(4).unwrap();
        volume.write(&volume::Record { disk: Disk::EMPTY.founded(epoch), ..record }).unwrap();
        assert!(may_serve_alone(folder.path(), shard).is_ok());
        let emptied = Disk::EMPTY.founded(epoch).emptied();
        volume.write(&volume::Record { disk: emptied, ..record }).unwrap();
        assert!(matches!(may_serve_alone(folder.path(), shard), Err(Error::Replica)));
        volume.write(&volume::Record { disk: record.disk.followed(epoch), ..record }).unwrap();
        assert!(matches!(may_serve_alone(folder.path(), shard), Err(Error::Replica)));
        assert!(may_serve_alone(folder.path(), "n/s/1").is_err());
    }
}

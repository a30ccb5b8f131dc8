//! Asks a store, each second, what it does.
//!
//! `GET /role` goes out on a connection of its own, with how long ago the other store answered: that is how a store learns
//! that gateways do not reach the other. What comes back goes to the shard. Where an answer came from is asked again
//! without the name server, so that nothing depends on it while all is well.

use std::{io, net::IpAddr, sync::Arc};

use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    choice::{Answer, Probe},
    shard::{Shard, millis},
};
use crate::{agent::resolver::Resolver, http};

/// Largest answer.
const LARGEST: usize = 64 << 10;

/// What routing rests on of a [`Report`](crate::role::Report): a store of a newer release may say more than that knows.
#[derive(Deserialize)]
struct Said {
    pod: String,
    epoch: u64,
    serving: bool,
}

/// Probes one store.
pub(super) struct Prober {
    pub(super) shard: Arc<Shard>,
    pub(super) pod: u32,
    /// Its host name, which begins with the pod's.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) resolver: Resolver,
}

impl Prober {
    /// Probes until it is dropped.
    pub(super) async fn run(self) {
        let mut ticks = interval(self.shard.times().every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut address = None;
        loop {
            ticks.tick().await;
            let probe = match self.find(address).await {
                Ok(found) => self.probe(found).await,
                Err(error) => {
                    tracing::debug!(host = %self.host, %error, "a store is not found");
                    Probe::Silent
                }
            };
            address = match probe {
                Probe::Answered(answer) => Some(answer.address),
                // A pod that comes back has another address, and its old one may become another pod's.
                Probe::Busy { .. } | Probe::Ended | Probe::Silent => None,
            };
            self.shard.learn(self.pod, probe, Instant::now());
        }
    }

    async fn find(&self, known: Option<IpAddr>) -> io::Result<IpAddr> {
        match known {
            Some(address) => Ok(address),
            None => Ok(*self.resolver.lookup(&self.host).await?.first().ok_or(io::ErrorKind::NotFound)?),
        }
    }

    async fn probe(&self, address: IpAddr) -> Probe {
        let (at, times) = (Instant::now(), self.shard.times());
        let stream = match timeout(times.connected, TcpStream::connect((address, self.port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Probe::Ended,
            Ok(Err(_)) | Err(_) => return Probe::Silent,
        };
        match timeout(times.answered, self.ask(stream)).await {
            Ok(Ok(Said { epoch, serving, .. })) => Probe::Answered(Answer { epoch, serving, address, at }),
            Ok(Err(error)) => {
                tracing::debug!(host = %self.host, %address, %error, "a store does not tell its role");
                Probe::Silent
            }
            Err(_) => Probe::Busy { at },
        }
    }

    async fn ask(&self, stream: TcpStream) -> io::Result<Said> {
        stream.set_nodelay(true)?;
        let path = match self.shard.other_answered(self.pod, Instant::now()) {
            Some(ago) => format!("/role?other={}", millis(ago)),
            None => "/role".to_owned(),
        };
        let said: Said = serde_json::from_slice(&http::fetch(stream, &self.host, &path, LARGEST).await?)?;
        // The address may have become that of another store, which serves another shard.
        if self.host.split('.').next() == Some(said.pod.as_str()) {
            Ok(said)
        } else {
            Err(io::Error::other(format!("{} answers in its place", said.pod)))
        }
    }
}

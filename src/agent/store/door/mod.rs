//! The door: the LMTP service in front of Cyrus. Every delivery into this store passes it.
//!
//! Messages come in from the gateways, go out to Cyrus' `lmtpd` on the loopback as a stream, and Cyrus' replies go back
//! as they are, but for `250`: that becomes a [`Receipt`], by which the gateway knows which store has the message. For each
//! recipient, in this order:
//!
//! 1. the address is looked up in the directory: unknown or another shard's → `451`, for then the gateway's copy of the
//!    directory is newer than ours or older, and a refusal would bounce a message that was accepted;
//! 2. the mailbox is made if Cyrus does not have it yet;
//! 3. the recipient is handed on, under the name of the mailbox;
//!    — into a full mailbox Cyrus is made to take the letter that says so, and nothing else ([`full`]);
//! 4. once the headers are there: if the message was accepted a while ago, the mailbox is searched for its id in the
//!    journal ([`holds`]); one that holds it, in whatever folder, expunged or not, is answered with `250` without Cyrus.
//!
//! A transaction with Cyrus is a connection of its own: what goes wrong with one touches no other, and a pause of the
//! client holds none of Cyrus' processes. It must not answer `250` for a message unless Cyrus did, now or before, and must
//! not change a message.

mod dialect;
mod full;
mod head;
pub(super) mod holds;
mod locks;
mod periods;
mod relay;
mod routes;
mod session;
#[cfg(test)]
mod tests;
mod upstream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{codec::Framed, sync::CancellationToken, task::TaskTracker};

use super::{metrics::Metrics, provision::Provisioner, warnings::Warnings};
use crate::{
    agent::{directory::Replica, sockets::listener::accept},
    journal::completion::Receipt,
    wire::{lmtp::ServerCodec, reply::Reply},
};
pub use locks::Locks;
use periods::Period;
use session::Session;
use upstream::Upstream;

/// Most sessions of gateways at a time.
const SESSIONS: usize = 256;
/// Most transactions with Cyrus at a time. Below `maxchild` of its `lmtp` service, which would let others wait unheard.
const TRANSACTIONS: usize = 40;
/// How long sessions may go on with their transaction when the door closes.
const DRAIN: Duration = Duration::from_secs(5);
/// What the door answers from. Clones share it.
#[derive(Clone)]
pub struct Door {
    hostname: Arc<str>,
    shard: u32,
    replica: Replica,
    provisioner: Provisioner,
    metrics: Metrics,
    upstream: Upstream,
    locks: Locks,
    /// What a delivery is answered with.
    receipt: Receipt,
    /// The period in which this store serves, if it does so in periods.
    period: Option<Period>,
    /// Letters that a full mailbox takes all the same.
    warnings: Option<Warnings>,
}

impl Door {
    /// The door of `shard`, in front of the `lmtpd` at `cyrus`; `hostname` is for greetings.
    #[must_use]
    pub fn new(
        hostname: &str,
        (shard, cyrus): (u32, SocketAddr),
        replica: Replica,
        provisioner: Provisioner,
        metrics: Metrics,
    ) -> Self {
        let upstream = Upstream::new(cyrus, TRANSACTIONS);
        let locks = Locks::default();
        let receipt = Receipt::of(hostname);
        let hostname = hostname.into();
        let (period, warnings) = (None, None);
        Self { hostname, shard, replica, provisioner, metrics, upstream, locks, receipt, period, warnings }
    }

    /// The same door, which lets these letters into full mailboxes.
    #[must_use]
    pub fn letting_in(self, warnings: Warnings) -> Self {
        Self { warnings: Some(warnings), ..self }
    }

    /// The same door, whose deliveries others know of.
    #[must_use]
    pub fn sharing(self, locks: Locks) -> Self {
        Self { locks, ..self }
    }

    /// The same door, which says in its answers that the message is in `pod`.
    #[must_use]
    pub fn of_pod(self, pod: &str) -> Self {
        Self { receipt: Receipt::of(pod), ..self }
    }

    /// Serves until `close`, then lets transactions end that have begun.
    pub async fn run(self, listener: TcpListener, close: CancellationToken) {
        let (tracker, sessions) = (TaskTracker::new(), Arc::new(Semaphore::new(SESSIONS)));
        let next = || accept(|| listener.accept());
        while let Some((stream, _)) = close.run_until_cancelled(next()).await {
            let (door, close) = (self.clone(), close.clone());
            let place = sessions.clone().try_acquire_owned();
            tracker.spawn(async move {
                let ended = match place {
                    Ok(_place) => door.serve(stream, close).await,
                    Err(_) => turn_away(stream, "too many sessions, try again later").await,
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a session at the door broke");
                }
            });
        }
        tracker.close();
        if timeout(DRAIN, tracker.wait()).await.is_err() {
            tracing::warn!(sessions = tracker.len(), "the door closes on transactions; they will come again");
        }
    }

    async fn serve(self, stream: TcpStream, close: CancellationToken) -> Result<(), session::Error> {
        stream.set_nodelay(true)?;
        Session::new(self, Framed::new(stream, ServerCodec::default())).run(close).await
    }
}

async fn turn_away(stream: TcpStream, why: &str) -> Result<(), session::Error> {
    let mut greeting = bytes::BytesMut::new();
    Reply::new(421, 3, 2, why).write(&mut greeting);
    stream.writable().await?;
    // The connection is new: its buffer takes a line.
    let _: io::Result<usize> = stream.try_write(&greeting);
    Ok(())
}

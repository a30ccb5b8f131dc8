//! The router: the one LMTP destination of the gateway's Postfix. It knows which store holds which mailbox.
//!
//! Messages come in from Postfix on a Unix socket and go out, as a stream, to the doors of the stores that their
//! recipients live in; each recipient gets the reply of its own store. Postfix keeps a message until every recipient
//! has a final answer, so the router holds nothing. It must not answer `250` unless a store did, and refuses nothing for
//! good itself: an address that is unknown here was known when Postfix accepted the message, and an object that was
//! deleted by mistake is soon applied again. Until then its mail waits, as long as Postfix keeps mail.

mod session;
pub mod stores;
#[cfg(test)]
mod tests;
mod way;

pub use stores::Stores;

use std::{io, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::{codec::Framed, sync::CancellationToken};

use crate::{
    agent::{directory::Replica, sockets::listener},
    names::ports,
    wire::lmtp::ServerCodec,
};
use session::Session;

/// Most sessions at a time: above Postfix' own limit.
const SESSIONS: usize = 1024;

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Fate {
    Delivered,
    Deferred,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Recipient {
    fate: Fate,
}

/// What the router answers from. Clones share it.
#[derive(Clone)]
pub struct Router {
    hostname: Arc<str>,
    replica: Replica,
    stores: Stores,
    /// Port of the doors.
    door: u16,
    recipients: Family<Recipient, Counter>,
}

impl Router {
    /// A router over these stores; `hostname` is for greetings.
    #[must_use]
    pub fn new(hostname: &str, replica: Replica, stores: Stores) -> Self {
        Self { hostname: hostname.into(), replica, stores, door: ports::DOOR, recipients: Family::default() }
    }

    #[cfg(test)]
    fn with_doors_at(self, door: u16) -> Self {
        Self { door, ..self }
    }

    /// Registers the router's metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("router_recipients", "Recipients by what became of them", self.recipients.clone());
    }

    /// Serves until `close`, then lets transactions end that have begun. Postfix' own limit bounds the sessions.
    pub async fn run(self, listener: UnixListener, close: CancellationToken) {
        let stop = close.clone();
        listener::serve(listener, SESSIONS, close, |stream| self.clone().serve(stream, stop.clone())).await;
    }

    async fn serve(self, stream: UnixStream, close: CancellationToken) {
        if let Err(error) = Session::new(self, Framed::new(stream, ServerCodec::default())).run(close).await {
            tracing::debug!(%error, "a session with Postfix broke");
        }
    }

    fn count(&self, code: u16) {
        let fate = match code / 100 {
            2 => Fate::Delivered,
            4 => Fate::Deferred,
            _ => Fate::Refused,
        };
        self.recipients.get_or_create(&Recipient { fate }).inc();
    }
}

/// Why a session broke off.
#[derive(thiserror::Error, Debug)]
enum SessionError {
    #[error(transparent)]
    Wire(#[from] crate::wire::lmtp::Error),
    #[error("the client went away")]
    Gone,
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

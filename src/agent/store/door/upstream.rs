//! Where Cyrus takes deliveries, and how many at a time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use crate::agent::lmtp::{self, Patience, Transaction};

/// Longest wait for a place among the transactions.
const PLACE_WITHIN: Duration = Duration::from_secs(30);
const PATIENCE: Patience = Patience {
    connected: Duration::from_secs(30),
    answered: Duration::from_secs(30),
    stored: Duration::from_mins(5),
};

/// Why there is no transaction. The sender may try again.
#[derive(thiserror::Error, Debug)]
pub(super) enum Error {
    /// Too many transactions for too long.
    #[error("no place for a transaction in time")]
    Busy,
    #[error(transparent)]
    Lmtp(#[from] lmtp::Error),
}

/// See the module. Clones share the places.
#[derive(Clone)]
pub(super) struct Upstream {
    address: SocketAddr,
    places: Arc<Semaphore>,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr, transactions: usize) -> Self {
        Self { address, places: Arc::new(Semaphore::new(transactions)) }
    }

    /// Connects and says who we are.
    pub(super) async fn open(&self, hostname: &str) -> Result<Transaction, Error> {
        let place = timeout(PLACE_WITHIN, self.places.clone().acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or(Error::Busy)?;
        Ok(Transaction::open(self.address, hostname, PATIENCE, Some(place)).await?)
    }
}

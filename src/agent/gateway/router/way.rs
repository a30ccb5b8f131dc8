//! The way of a message to a store: a transaction with the door of the shard's primary.
//!
//! A shard and what Postfix said come in, an open transaction goes out, or what Postfix is told instead. A store that has
//! stopped serving breaks the transaction or answers `421`. As long as it has accepted no recipient of the message, it owes
//! nothing and has nothing, so the store that serves now is gone to instead; a message that then comes twice meets the door,
//! which knows it by its id in the journal.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{
    Router,
    stores::{DELIVERY, Lost},
};
use crate::{
    agent::lmtp::{Error, Patience, Transaction},
    wire::{
        lmtp::{Command, Param},
        reply::Reply,
    },
};

/// With a door, which waits 300 s for Cyrus.
const PATIENCE: Patience = Patience {
    connected: Duration::from_secs(3),
    answered: Duration::from_mins(1),
    stored: Duration::from_secs(330),
};
/// Pause between two tries.
const AGAIN: Duration = Duration::from_millis(300);

/// The ways to the stores that recipients live in; what is said to the rest once one failed.
pub(super) type Ways = BTreeMap<u32, Result<Transaction, Reply>>;

/// What Postfix said of a message before its recipients.
pub(super) struct Sender {
    pub(super) from: Bytes,
    pub(super) params: Vec<Param>,
}

/// Hands a recipient on to `shard`; `bound` if a recipient was accepted there, so that there is no other way any more.
pub(super) async fn hand_on(
    router: &Router,
    (ways, shard, bound): (&mut Ways, u32, bool),
    sender: &Sender,
    recipient: Command,
) -> Reply {
    let until = Instant::now() + DELIVERY;
    let mut again = !bound;
    loop {
        let way = match ways.remove(&shard) {
            Some(way) => way,
            None => reach(router, shard, sender, until).await,
        };
        let failed = match way {
            Ok(mut open) => match open.ask(recipient.clone()).await {
                Ok(reply) => {
                    ways.insert(shard, Ok(open));
                    return reply;
                }
                Err(error) if again && Instant::now() < until => {
                    tracing::info!(shard, %error, "a store left before it had a recipient: once more");
                    again = false;
                    continue;
                }
                Err(error) => away(&error),
            },
            Err(reply) => reply,
        };
        ways.insert(shard, Err(failed.clone()));
        return failed;
    }
}

/// Opens the way to a store, trying `until` then: its pod may be starting, or the other about to serve.
async fn reach(router: &Router, shard: u32, sender: &Sender, until: Instant) -> Result<Transaction, Reply> {
    loop {
        let opened = async {
            let address = router.stores.locate(shard, router.door, until).await;
            let address = address.map_err(Unreached::Lost)?;
            let mut way = Transaction::open(address, &router.hostname, PATIENCE, None).await?;
            let mail = Command::Mail { from: sender.from.clone(), params: sender.params.clone() };
            let reply = way.ask(mail).await?;
            Ok::<_, Unreached>((way, reply))
        };
        let late = || Instant::now() > until;
        match opened.await {
            Ok((way, reply)) if reply.is_success() => return Ok(way),
            Ok((_, reply)) if reply.is_permanent() || late() => return Err(reply),
            // It has been waited for.
            Err(Unreached::Lost(error @ (Lost::NoPrimary | Lost::Unknown))) => return Err(away(&error)),
            Err(error) if late() => return Err(away(&error)),
            Ok(_) | Err(_) => sleep(AGAIN).await,
        }
    }
}

/// Why there is no way to a store.
#[derive(thiserror::Error, Debug)]
enum Unreached {
    #[error(transparent)]
    Lost(Lost),
    #[error(transparent)]
    Broken(#[from] Error),
}

/// What Postfix is told of a store that cannot take a delivery.
pub(super) fn away(error: &impl std::fmt::Display) -> Reply {
    tracing::warn!(%error, "a store cannot take a delivery");
    Reply::new(451, 4, 1, "the mail store is away, try again later")
}

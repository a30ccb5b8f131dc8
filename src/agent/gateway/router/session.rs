//! A session of Postfix: one transaction after another, each split over the stores of its recipients.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::UnixStream, time::timeout};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{
    Router, SessionError as Error,
    way::{Sender, Ways, away, hand_on},
};
use crate::{
    agent::{
        directory::{Found, Torn},
        lmtp::Transaction as Way,
    },
    directory::{fold, with_detail},
    wire::{
        lmtp::{Command, Input, Param, ServerCodec},
        reply::Reply,
    },
};

/// Longest wait for Postfix, which keeps connections open for the next message.
const IDLE: Duration = Duration::from_mins(10);

/// See the module.
pub(super) struct Session {
    router: Router,
    client: Framed<UnixStream, ServerCodec>,
    transaction: Option<Transaction>,
}

/// A message and where it goes.
struct Transaction {
    sender: Sender,
    ways: Ways,
    /// The store of each accepted recipient, in the order of acceptance: replies are due in it (RFC 2033, 4.2).
    accepted: Vec<u32>,
}

impl Session {
    pub(super) fn new(router: Router, client: Framed<UnixStream, ServerCodec>) -> Self {
        Self { router, client, transaction: None }
    }

    /// Serves until Postfix leaves or the router closes.
    pub(super) async fn run(mut self, close: CancellationToken) -> Result<(), Error> {
        self.client.send(Reply::plain(220, &format!("{} LMTP", self.router.hostname))).await?;
        loop {
            let input = tokio::select! {
                biased;
                () = close.cancelled(), if self.transaction.is_none() => {
                    return Ok(self.client.send(Reply::new(421, 3, 2, "closing")).await?);
                }
                input = timeout(IDLE, self.client.next()) => input,
            };
            let Ok(Some(input)) = input else { return Ok(()) };
            let reply = match input? {
                Input::Command(Command::Quit) => {
                    return Ok(self.client.send(Reply::new(221, 0, 0, "bye")).await?);
                }
                Input::Command(Command::Data) => {
                    self.data().await?;
                    continue;
                }
                Input::Command(command) => self.answer(command).await,
                Input::Bad(syntax) => syntax.reply(),
                Input::Data(_) | Input::EndOfData => continue,
            };
            self.client.send(reply).await?;
        }
    }

    async fn answer(&mut self, command: Command) -> Reply {
        match command {
            Command::Lhlo(_) => {
                self.transaction = None;
                let host = &self.router.hostname;
                Reply::plain(250, &format!("{host}\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nSIZE"))
            }
            Command::Mail { from, params } if self.transaction.is_none() => {
                let (sender, ways, accepted) = (Sender { from, params }, Ways::new(), Vec::new());
                self.transaction = Some(Transaction { sender, ways, accepted });
                Reply::new(250, 1, 0, "ok")
            }
            Command::Rcpt { to, params } => {
                let Some(transaction) = &mut self.transaction else {
                    return Reply::new(503, 5, 1, "no transaction is open");
                };
                let reply = recipient(&self.router, transaction, &to, params).await;
                if !reply.is_success() {
                    self.router.count(reply.code());
                }
                reply
            }
            Command::Rset => {
                self.transaction = None;
                Reply::new(250, 0, 0, "ok")
            }
            Command::Noop => Reply::new(250, 0, 0, "ok"),
            Command::Vrfy(_) => Reply::new(252, 5, 0, "send a message to find out"),
            Command::Mail { .. } | Command::Data | Command::Quit => {
                Reply::new(503, 5, 1, "bad sequence of commands")
            }
        }
    }

    /// The message: out to every store at once, then a reply for each accepted recipient as it comes, or Postfix tires.
    async fn data(&mut self) -> Result<(), Error> {
        let Some(mut transaction) = self.transaction.take().filter(|t| !t.accepted.is_empty()) else {
            return Ok(self.client.send(Reply::new(503, 5, 1, "no valid recipients")).await?);
        };
        for way in transaction.ways.values_mut() {
            let Ok(open) = way else { continue };
            match open.ask(Command::Data).await {
                Ok(reply) if reply.code() == 354 => {}
                Ok(reply) => *way = Err(reply),
                Err(error) => *way = Err(away(&error)),
            }
        }
        self.client.send(Reply::plain(354, "go ahead")).await?;
        self.client.codec_mut().start_data();
        self.stream(&mut transaction.ways).await?;
        for shard in &transaction.accepted {
            let reply = match transaction.ways.get_mut(shard) {
                Some(way) => stored(way).await,
                None => Reply::new(451, 3, 0, "no way to the store"),
            };
            self.router.count(reply.code());
            self.client.send(reply).await?;
        }
        Ok(())
    }

    /// Streams until the end of data. If Postfix goes away before, no store sees an end, and none keeps anything.
    async fn stream(&mut self, ways: &mut Ways) -> Result<(), Error> {
        loop {
            match timeout(IDLE, self.client.next()).await.ok().flatten().ok_or(Error::Gone)?? {
                Input::Data(piece) => {
                    for way in ways.values_mut() {
                        let Ok(open) = way else { continue };
                        if let Err(error) = open.data(piece.clone()).await {
                            *way = Err(away(&error));
                        }
                    }
                }
                Input::EndOfData => break,
                Input::Command(_) | Input::Bad(_) => return Err(Error::Gone),
            }
        }
        for way in ways.values_mut() {
            let Ok(open) = way else { continue };
            if let Err(error) = open.end_data().await {
                *way = Err(away(&error));
            }
        }
        Ok(())
    }
}

/// Hands a recipient on to its store.
async fn recipient(router: &Router, transaction: &mut Transaction, to: &Bytes, params: Vec<Param>) -> Reply {
    let (found, address) = match find(router, to) {
        Ok(found) => found,
        Err(reply) => return reply,
    };
    let shard = found.entry.store;
    let Transaction { sender, ways, accepted } = transaction;
    let bound = accepted.contains(&shard);
    let recipient = Command::Rcpt { to: address.into(), params };
    let reply = hand_on(router, (ways, shard, bound), sender, recipient).await;
    if reply.is_success() {
        accepted.push(shard);
    }
    reply
}

/// The mailbox, and its address with the detail of the recipient.
fn find(router: &Router, to: &Bytes) -> Result<(Found, String), Reply> {
    if !router.replica.loaded() {
        return Err(Reply::new(451, 3, 0, "the directory is not loaded yet"));
    }
    let address = std::str::from_utf8(to).ok().and_then(|to| fold(to).ok()).unwrap_or_default();
    match router.replica.reach(&address) {
        Ok(Some((found, detail))) => {
            let to = detail.map_or_else(|| found.address.clone(), |it| with_detail(&found.address, it));
            Ok((found, to))
        }
        Ok(None) | Err(Torn) => Err(Reply::new(451, 2, 1, "no such mailbox at the moment")),
    }
}

async fn stored(way: &mut Result<Way, Reply>) -> Reply {
    match way {
        Ok(open) => match open.stored().await {
            Ok(reply) => reply,
            Err(error) => {
                let reply = away(&error);
                *way = Err(reply.clone());
                reply
            }
        },
        Err(reply) => reply.clone(),
    }
}

//! A gateway's session at the door.
//!
//! Commands and messages come in, replies go out. Every reply of our own is a temporary one, unless the client broke
//! the protocol or the directory says that there is no such mailbox.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{
    Door,
    dialect::{folder_of, is_unknown, quoted},
    full::OverQuota,
    upstream::Error as UpstreamError,
};
use crate::{
    agent::{
        lmtp::Transaction,
        store::{metrics::Recipient, provision::Need},
    },
    directory::fold,
    wire::{
        lmtp::{Command, Error as WireError, Input, Param, ServerCodec},
        reply::Reply,
    },
};

/// Longest wait for the client, between transactions and within one.
pub(super) const IDLE: (Duration, Duration) = (Duration::from_mins(5), Duration::from_mins(2));
/// Most recipients of a message (RFC 5321, 4.5.3.1.8 wants 100 at least).
const RECIPIENTS: usize = 1000;
/// Most lines in a session that are no command.
const BAD_LINES: usize = 20;

/// Why a session broke off.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The client went away.
    #[error("the client went away")]
    Gone,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// See the module.
pub(super) struct Session {
    pub(super) door: Door,
    pub(super) client: Framed<TcpStream, ServerCodec>,
    pub(super) transaction: Option<Transaction>,
    /// The reverse path of this transaction, and what came with it.
    pub(super) sender: (Bytes, Vec<Param>),
    /// Recipients that Cyrus has accepted in this transaction.
    pub(super) accepted: Vec<Accepted>,
    bad_lines: usize,
}

/// A recipient.
pub(super) struct Accepted {
    /// The mailbox's own address.
    pub(super) address: String,
    /// The recipient as Cyrus is told.
    pub(super) to: Bytes,
    /// What came with it.
    pub(super) params: Vec<Param>,
    /// Its mailbox is full, and is to take one letter all the same.
    pub(super) over: Option<OverQuota>,
}

impl Session {
    pub(super) fn new(door: Door, client: Framed<TcpStream, ServerCodec>) -> Self {
        Self {
            door,
            client,
            transaction: None,
            sender: Default::default(),
            accepted: Vec::new(),
            bad_lines: 0,
        }
    }

    /// Serves until the client leaves, is silent for too long, or the door closes.
    pub(super) async fn run(mut self, close: CancellationToken) -> Result<(), Error> {
        self.reply(Reply::plain(220, &format!("{} LMTP", self.door.hostname))).await?;
        loop {
            let idle = if self.transaction.is_some() { IDLE.1 } else { IDLE.0 };
            let input = tokio::select! {
                biased;
                () = close.cancelled(), if self.transaction.is_none() => {
                    return self.reply(Reply::new(421, 3, 2, "closing")).await;
                }
                input = timeout(idle, self.client.next()) => input,
            };
            let reply = match input {
                Err(_) => return self.reply(Reply::new(421, 4, 2, "idle for too long")).await,
                Ok(None) => return Ok(()),
                Ok(Some(input)) => match input? {
                    Input::Command(Command::Quit) => return self.reply(Reply::new(221, 0, 0, "bye")).await,
                    Input::Command(Command::Data) => {
                        self.relay().await?;
                        continue;
                    }
                    Input::Command(command) => self.answer(command).await,
                    Input::Bad(_) if self.bad_lines == BAD_LINES => {
                        return self.reply(Reply::new(421, 5, 0, "too many errors")).await;
                    }
                    Input::Bad(syntax) => {
                        self.bad_lines += 1;
                        syntax.reply()
                    }
                    Input::Data(_) | Input::EndOfData => continue,
                },
            };
            self.reply(reply).await?;
        }
    }

    async fn answer(&mut self, command: Command) -> Reply {
        match command {
            Command::Lhlo(_) => {
                self.reset().await;
                let host = &self.door.hostname;
                Reply::plain(250, &format!("{host}\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nSIZE"))
            }
            Command::Mail { from, params } => self.mail(&from, params).await,
            Command::Rcpt { to, params } => self.rcpt(&to, params).await,
            Command::Rset => {
                self.reset().await;
                Reply::new(250, 0, 0, "ok")
            }
            Command::Noop => Reply::new(250, 0, 0, "ok"),
            Command::Vrfy(_) => Reply::new(252, 5, 0, "send a message to find out"),
            // Taken by the loop.
            Command::Data | Command::Quit => Reply::new(503, 5, 1, "bad sequence of commands"),
        }
    }

    async fn mail(&mut self, from: &Bytes, params: Vec<Param>) -> Reply {
        if self.transaction.is_some() {
            return Reply::new(503, 5, 1, "a transaction is open");
        }
        let from = quoted(from);
        let opened = async {
            let mut transaction = self.door.upstream.open(&self.door.hostname).await?;
            let reply = transaction.ask(Command::Mail { from: from.clone(), params: params.clone() }).await?;
            Ok::<_, UpstreamError>((transaction, reply))
        };
        match opened.await {
            Ok((transaction, reply)) => {
                if reply.is_success() {
                    self.transaction = Some(transaction);
                    self.accepted.clear();
                    self.sender = (from, params);
                } else {
                    transaction.quit().await;
                }
                reply
            }
            Err(error) => away(&error),
        }
    }

    async fn rcpt(&mut self, to: &Bytes, params: Vec<Param>) -> Reply {
        if self.transaction.is_none() {
            return Reply::new(503, 5, 1, "no transaction is open");
        }
        if self.accepted.len() == RECIPIENTS {
            return Reply::new(452, 5, 3, "too many recipients");
        }
        let reply = match self.find(to) {
            Ok((address, to)) => {
                let reply = self.hand_on(&address, to.clone(), params.clone()).await;
                let mut recipient = Accepted { address, to, params, over: None };
                let reply = self.let_in(&mut recipient, reply).await;
                if reply.is_success() {
                    self.accepted.push(recipient);
                }
                reply
            }
            Err(reply) => reply,
        };
        if !reply.is_success() {
            self.count(&reply);
        }
        reply
    }

    /// The mailbox's own address, and what Cyrus is to be told: the same with the detail of the recipient, by which it
    /// chooses a folder.
    fn find(&self, to: &Bytes) -> Result<(String, Bytes), Reply> {
        if !self.door.replica.loaded() {
            return Err(Reply::new(451, 3, 0, "the directory is not loaded yet"));
        }
        let address = std::str::from_utf8(to).ok().and_then(|to| fold(to).ok());
        let reached = address.as_deref().and_then(|address| self.door.replica.reach(address).ok().flatten());
        match reached {
            // The gateway knew it a moment ago: its copy of the directory may be newer than ours.
            None => Err(Reply::new(451, 2, 1, "no such mailbox here yet")),
            Some((found, _)) if found.entry.store != self.door.shard => {
                Err(Reply::new(451, 4, 4, "this mailbox is in another shard"))
            }
            Some((found, detail)) => {
                let to = detail.map_or_else(|| found.address.clone(), |it| folder_of(&found.address, it));
                Ok((found.address, to.into()))
            }
        }
    }

    pub(super) async fn hand_on(&mut self, address: &str, to: Bytes, params: Vec<Param>) -> Reply {
        for _ in 0..2 {
            if let Err(failure) = self.door.provisioner.ensure(address, Need::Mailbox).await {
                tracing::warn!(address, %failure, "a recipient has no mailbox yet");
                return Reply::new(451, 2, 1, "the mailbox is not ready yet");
            }
            let Some(transaction) = &mut self.transaction else { break };
            match transaction.ask(Command::Rcpt { to: to.clone(), params: params.clone() }).await {
                // The directory has it and we thought that Cyrus had it, too: somebody has deleted it there.
                Ok(reply) if is_unknown(&reply) => self.door.provisioner.forget(address),
                Ok(reply) => return reply,
                Err(error) => {
                    self.transaction = None;
                    return away(&error);
                }
            }
        }
        Reply::new(451, 2, 1, "the mailbox is not ready yet")
    }

    async fn reset(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            transaction.quit().await;
        }
    }

    pub(super) fn count(&self, reply: &Reply) {
        self.door.metrics.recipients.get_or_create(&Recipient::answered(reply.code())).inc();
    }

    pub(super) async fn reply(&mut self, reply: Reply) -> Result<(), Error> {
        Ok(self.client.send(reply).await?)
    }
}

pub(super) fn away(error: &impl std::fmt::Display) -> Reply {
    tracing::warn!(%error, "Cyrus cannot take a delivery");
    Reply::new(451, 3, 0, "the mail store is away, try again later")
}

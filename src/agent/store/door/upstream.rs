//! One transaction with Cyrus' `lmtpd`.
//!
//! Commands and data go out, replies come in, each within a time of its own. It must not interpret replies, but for a
//! `421`: Cyrus is going away, which is a failure like any other.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::codec::Framed;

use crate::wire::{
    lmtp::{ClientCodec, Command, Error as WireError, Output},
    reply::Reply,
};

/// Longest wait for a place among the transactions.
const PLACE_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for the answer to a command, and for Cyrus to take a piece of data.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for a reply after the end of data. Below Postfix' `lmtp_data_done_timeout` (600 s), so that an answer
/// is always ours; long, since giving up on a delivery that succeeds makes a duplicate.
const STORED_WITHIN: Duration = Duration::from_mins(5);

/// Why a transaction cannot go on. The sender may try again.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed, or what came over it is not LMTP.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Too many transactions for too long.
    #[error("no place for a transaction in time")]
    Busy,
    /// No answer in time.
    #[error("no answer in time")]
    Silent,
    /// Cyrus closed the connection, or said that it would.
    #[error("closed by Cyrus")]
    Closed,
    /// Cyrus refused the session.
    #[error("refused by Cyrus with {0}")]
    Refused(u16),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// Where Cyrus takes deliveries, and how many at a time. Clones share it.
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
        let stream =
            timeout(ANSWER_WITHIN, TcpStream::connect(self.address)).await.map_err(|_| Error::Silent)??;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, ClientCodec::default());
        let mut transaction = Transaction { framed, _place: place };
        let greeting = transaction.reply(ANSWER_WITHIN).await?;
        let hello = transaction.ask(Command::Lhlo(Bytes::copy_from_slice(hostname.as_bytes()))).await?;
        match [greeting, hello].iter().find(|reply| !reply.is_success()) {
            Some(refusal) => Err(Error::Refused(refusal.code())),
            None => Ok(transaction),
        }
    }
}

/// A connection on which one message is delivered.
pub(super) struct Transaction {
    framed: Framed<TcpStream, ClientCodec>,
    _place: OwnedSemaphorePermit,
}

impl Transaction {
    /// Sends a command and waits for its reply.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        self.send(Output::Command(command)).await?;
        self.reply(ANSWER_WITHIN).await
    }

    /// Sends a piece of the message.
    pub(super) async fn data(&mut self, piece: Bytes) -> Result<(), Error> {
        self.send(Output::Data(piece)).await
    }

    /// Ends the message: from here on Cyrus stores it, and owes a reply for each accepted recipient.
    pub(super) async fn end_data(&mut self) -> Result<(), Error> {
        self.send(Output::EndOfData).await
    }

    /// Waits for the next of the replies that [`Self::end_data`] made due.
    pub(super) async fn stored(&mut self) -> Result<Reply, Error> {
        self.reply(STORED_WITHIN).await
    }

    /// Takes leave.
    pub(super) async fn quit(mut self) {
        // Nothing depends on it any more.
        let _ = self.ask(Command::Quit).await;
    }

    async fn send(&mut self, output: Output) -> Result<(), Error> {
        Ok(timeout(ANSWER_WITHIN, self.framed.send(output)).await.map_err(|_| Error::Silent)??)
    }

    async fn reply(&mut self, within: Duration) -> Result<Reply, Error> {
        match timeout(within, self.framed.next()).await {
            Ok(Some(Ok(reply))) if reply.code() == 421 => Err(Error::Closed),
            Ok(Some(reply)) => Ok(reply?),
            Ok(None) => Err(Error::Closed),
            Err(_) => Err(Error::Silent),
        }
    }
}

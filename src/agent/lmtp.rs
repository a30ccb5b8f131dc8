//! One LMTP transaction from the client's side: of the router with a door, of a door with Cyrus.
//!
//! Commands and data go out, replies come in, each within a time of its own. It must not interpret replies, but for a
//! `421`: the peer is going away, which is a failure like any other.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::codec::Framed;

use crate::wire::{
    lmtp::{ClientCodec, Command, Error as WireError, Output},
    reply::Reply,
};

/// Longest waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connected: Duration,
    /// For the answer to a command, and for the peer to take a piece of data.
    pub answered: Duration,
    /// For a reply after the end of data. Giving up on a delivery that succeeds makes a duplicate, so each client waits
    /// longer than its peer does, and Postfix (`lmtp_data_done_timeout`, 600 s) longest.
    pub stored: Duration,
}

/// Why a transaction cannot go on. The sender may try again.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed, or what came over it is not LMTP.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No answer in time.
    #[error("no answer in time")]
    Silent,
    /// The peer closed the connection, or said that it would.
    #[error("closed by the peer")]
    Closed,
    /// The peer refused the session.
    #[error("refused by the peer with {0}")]
    Refused(u16),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// A connection on which one message is delivered.
pub struct Transaction {
    framed: Framed<TcpStream, ClientCodec>,
    patience: Patience,
    _place: Option<OwnedSemaphorePermit>,
}

impl Transaction {
    /// Connects and says who we are. `place` is given back when the connection closes.
    ///
    /// # Errors
    /// The peer is away or wants no session.
    pub async fn open(
        address: SocketAddr,
        hostname: &str,
        patience: Patience,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, Error> {
        let stream = timeout(patience.connected, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| Error::Silent)??;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, ClientCodec::default());
        let mut transaction = Self { framed, patience, _place: place };
        let greeting = transaction.reply(patience.answered).await?;
        let hello = transaction.ask(Command::Lhlo(Bytes::copy_from_slice(hostname.as_bytes()))).await?;
        match [greeting, hello].iter().find(|reply| !reply.is_success()) {
            Some(refusal) => Err(Error::Refused(refusal.code())),
            None => Ok(transaction),
        }
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        self.send(Output::Command(command)).await?;
        self.reply(self.patience.answered).await
    }

    /// Sends a piece of the message.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn data(&mut self, piece: Bytes) -> Result<(), Error> {
        self.send(Output::Data(piece)).await
    }

    /// Ends the message: from here on the peer stores it, and owes a reply for each accepted recipient.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn end_data(&mut self) -> Result<(), Error> {
        self.send(Output::EndOfData).await
    }

    /// Waits for the next of the replies that [`Self::end_data`] made due.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn stored(&mut self) -> Result<Reply, Error> {
        self.reply(self.patience.stored).await
    }

    /// Takes leave.
    pub async fn quit(mut self) {
        // Nothing depends on it any more.
        let _ = self.ask(Command::Quit).await;
    }

    async fn send(&mut self, output: Output) -> Result<(), Error> {
        let sent = timeout(self.patience.answered, self.framed.send(output)).await;
        Ok(sent.map_err(|_| Error::Silent)??)
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

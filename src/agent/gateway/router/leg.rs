//! One transaction with the door of one store: a message's way to the recipients of that shard.
//!
//! Commands and data go out, replies come in, each within a time of its own. It must not interpret replies, but for a
//! `421`: the store is going away, which is a failure like any other.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use crate::wire::{
    lmtp::{ClientCodec, Command, Error as WireError, Output},
    reply::Reply,
};

/// Longest wait for a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for the answer to a command, and for the store to take a piece of data.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// Longest wait for a reply after the end of data: above the door's own limit (300 s), below Postfix'
/// `lmtp_data_done_timeout` (600 s). Giving up on a delivery that succeeds makes a duplicate.
const STORED_WITHIN: Duration = Duration::from_secs(330);

/// Why a transaction cannot go on. The sender may try again.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed, or what came over it is not LMTP.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No answer in time.
    #[error("no answer in time")]
    Silent,
    /// The store closed the connection, or said that it would.
    #[error("closed by the store")]
    Closed,
    /// The store refused the session.
    #[error("refused by the store with {0}")]
    Refused(u16),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// An open transaction.
pub(super) struct Leg(Framed<TcpStream, ClientCodec>);

impl Leg {
    /// Connects and says who we are.
    pub(super) async fn open(address: SocketAddr, hostname: &str) -> Result<Self, Error> {
        let stream =
            timeout(CONNECTED_WITHIN, TcpStream::connect(address)).await.map_err(|_| Error::Silent)??;
        stream.set_nodelay(true)?;
        let mut leg = Self(Framed::new(stream, ClientCodec::default()));
        let greeting = leg.reply(ANSWER_WITHIN).await?;
        let hello = leg.ask(Command::Lhlo(Bytes::copy_from_slice(hostname.as_bytes()))).await?;
        match [greeting, hello].iter().find(|reply| !reply.is_success()) {
            Some(refusal) => Err(Error::Refused(refusal.code())),
            None => Ok(leg),
        }
    }

    /// Sends a command and waits for its reply.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        self.send(Output::Command(command)).await?;
        self.reply(ANSWER_WITHIN).await
    }

    /// Sends a piece of the message.
    pub(super) async fn data(&mut self, piece: Bytes) -> Result<(), Error> {
        self.send(Output::Data(piece)).await
    }

    /// Ends the message: the store owes a reply for each accepted recipient.
    pub(super) async fn end_data(&mut self) -> Result<(), Error> {
        self.send(Output::EndOfData).await
    }

    /// Waits for the next of the replies that [`Self::end_data`] made due.
    pub(super) async fn stored(&mut self) -> Result<Reply, Error> {
        self.reply(STORED_WITHIN).await
    }

    async fn send(&mut self, output: Output) -> Result<(), Error> {
        Ok(timeout(ANSWER_WITHIN, self.0.send(output)).await.map_err(|_| Error::Silent)??)
    }

    async fn reply(&mut self, within: Duration) -> Result<Reply, Error> {
        match timeout(within, self.0.next()).await {
            Ok(Some(Ok(reply))) if reply.code() == 421 => Err(Error::Closed),
            Ok(Some(reply)) => Ok(reply?),
            Ok(None) => Err(Error::Closed),
            Err(_) => Err(Error::Silent),
        }
    }
}

//! A connection to Cyrus' IMAP service on the loopback, as administrator or as an owner.
//!
//! Commands go out pipelined, at most [`WINDOW`] of them unanswered; their outcomes come back in order. It must not
//! wait for ever: whatever makes no progress for [`PATIENCE`] is an error, and the connection is given up.

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use super::super::password::AdminPassword;
use crate::wire::imap::{Codec, Command, Condition, Error as WireError, Response};

/// Most commands that wait for their answers.
pub const WINDOW: usize = 100;
/// Longest wait for the next answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where and how to log in.
#[derive(Clone, Debug)]
pub struct Access {
    /// Cyrus' IMAP service.
    pub address: SocketAddr,
    /// The administrator's password.
    pub password: AdminPassword,
}

/// Why a connection was given up.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed, or what came over it is not IMAP.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// No answer came in time.
    #[error("imap: no answer for {} s", PATIENCE.as_secs())]
    Silent,
    /// The server closed the connection.
    #[error("imap: closed by the server: {0}")]
    Closed(String),
    /// The log-in was refused.
    #[error("imap: log-in refused: {0}")]
    Refused(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its condition: `OK`, `NO` or `BAD`.
    pub condition: Condition,
    /// The text with it.
    pub text: Bytes,
}

impl Outcome {
    /// Whether the command was done.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.condition == Condition::Ok
    }
}

/// A connection that is logged in.
pub struct Client {
    framed: Framed<TcpStream, Codec>,
    next_tag: usize,
}

impl Client {
    /// Connects as administrator, or acting as `owner` if there is one.
    ///
    /// # Errors
    /// Cyrus cannot be reached or refuses the log-in.
    pub async fn connect(access: &Access, owner: Option<&str>) -> Result<Self, Error> {
        let stream = patiently(TcpStream::connect(access.address)).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { framed: Framed::new(stream, Codec), next_tag: 0 };
        match client.next().await? {
            Response::Notice { condition: Condition::Ok, .. } => {}
            other => return Err(Error::Closed(format!("{other:?}"))),
        }
        let plain = access.password.sasl_plain(owner.unwrap_or_default());
        let login = Command::new("AUTHENTICATE PLAIN").raw(&BASE64_STANDARD.encode(plain));
        let outcomes = client.run(vec![login], |_| ()).await?;
        match outcomes.as_slice() {
            [outcome] if outcome.is_ok() => Ok(client),
            _ => Err(Error::Refused(format!("{outcomes:?}"))),
        }
    }

    /// Runs the commands; `untagged` sees what comes beside their outcomes.
    ///
    /// # Errors
    /// The connection is of no more use. Any of the commands may have been carried out.
    pub async fn run(
        &mut self,
        commands: Vec<Command>,
        mut untagged: impl FnMut(Response),
    ) -> Result<Vec<Outcome>, Error> {
        let (mut outcomes, count) = (Vec::with_capacity(commands.len()), commands.len());
        let mut commands = commands.into_iter();
        let (mut sent, first_tag) = (0, self.next_tag);
        while outcomes.len() < count {
            // Half a window at a time: one write for many commands, and Cyrus never runs dry.
            if sent - outcomes.len() <= WINDOW / 2 {
                for command in commands.by_ref().take(WINDOW / 2) {
                    self.framed.feed((self.next_tag, command)).await?;
                    self.next_tag += 1;
                    sent += 1;
                }
                patiently(self.framed.flush()).await?;
            }
            match self.next().await? {
                // Cyrus carries out one command after another; another tag is not an answer to ours.
                Response::Done { tag, condition, text } if tag == first_tag + outcomes.len() => {
                    outcomes.push(Outcome { condition, text });
                }
                Response::Done { .. } => return Err(WireError::Malformed.into()),
                Response::Notice { condition: Condition::Bye, text } => {
                    return Err(Error::Closed(String::from_utf8_lossy(&text).into_owned()));
                }
                other => untagged(other),
            }
        }
        Ok(outcomes)
    }

    /// Runs one command whose last argument is `message`, which is not copied.
    ///
    /// # Errors
    /// The connection is of no more use. The command may have been carried out.
    pub async fn send(&mut self, command: Command, message: &[u8]) -> Result<Outcome, Error> {
        let tag = self.next_tag;
        self.next_tag += 1;
        // The line end of the command is the one before a literal (RFC 7888).
        self.framed.feed((tag, command.raw(&format!("{{{}+}}", message.len())))).await?;
        patiently(self.framed.flush()).await?;
        for part in message.chunks(1 << 20).chain([&b"\r\n"[..]]) {
            patiently(self.framed.get_mut().write_all(part)).await?;
        }
        loop {
            match self.next().await? {
                Response::Done { tag: of, condition, text } if of == tag => {
                    return Ok(Outcome { condition, text });
                }
                Response::Done { .. } => return Err(WireError::Malformed.into()),
                Response::Notice { condition: Condition::Bye, text } => {
                    return Err(Error::Closed(String::from_utf8_lossy(&text).into_owned()));
                }
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Result<Response, Error> {
        match timeout(PATIENCE, self.framed.next()).await {
            Ok(Some(response)) => Ok(response?),
            Ok(None) => Err(Error::Closed("end of file".into())),
            Err(_) => Err(Error::Silent),
        }
    }
}

async fn patiently<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, Error>
where
    Error: From<E>,
{
    Ok(timeout(PATIENCE, work).await.map_err(|_| Error::Silent)??)
}

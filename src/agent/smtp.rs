//! A small SMTP client (RFC 5321): for the agents' own mail into Postfix, over ports that need no TLS.
//!
//! Commands go out, replies come in; whatever is not a good reply is an error with the reply's own words.

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// Longest wait for a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a reply; the last comes when the message is on the disk.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest line that Postfix writes.
const LONGEST: u64 = 4096;

/// Why Postfix has not taken a message.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// It did not answer.
    #[error("no answer in time")]
    Silent,
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// An address cannot be told.
    #[error("an address has a line break")]
    Address,
}

impl Error {
    /// Whether the same would be refused again (5xx).
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(reply) => reply.starts_with('5'),
            Self::Address => true,
            Self::Connection(_) | Self::Silent => false,
        }
    }
}

/// Whether these can be told.
///
/// # Errors
/// One of them would end its line.
pub fn check(sender: &[u8], recipients: &[String]) -> Result<(), Error> {
    let recipients = recipients.iter().map(String::as_bytes);
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    if recipients.chain([sender]).any(breaks) { Err(Error::Address) } else { Ok(()) }
}

/// A session.
pub struct Smtp {
    replies: BufReader<OwnedReadHalf>,
    commands: BufWriter<OwnedWriteHalf>,
}

impl Smtp {
    /// Connects and says that it is `name`.
    ///
    /// # Errors
    /// The peer is away or wants no session.
    pub async fn open(address: SocketAddr, name: &str) -> Result<Self, Error> {
        let stream = timeout(CONNECTED_WITHIN, TcpStream::connect(address)).await;
        let (read, write) = stream.map_err(|_| Error::Silent)??.into_split();
        let mut smtp = Self { replies: BufReader::new(read), commands: BufWriter::new(write) };
        smtp.reply().await?;
        smtp.say(format!("EHLO {name}").as_bytes()).await?;
        Ok(smtp)
    }

    /// Logs in (RFC 4616).
    ///
    /// # Errors
    /// The log-in is refused, or the connection fails.
    pub async fn log_in(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let proof = STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(format!("AUTH PLAIN {proof}").as_bytes()).await.map(drop)
    }

    /// Begins a message of `sender` (empty for none) with these `parameters` (RFC 5321, 4.1.2) for all of `recipients`, or for
    /// none.
    ///
    /// # Errors
    /// One of them is refused, or the connection fails.
    pub async fn envelope(
        &mut self,
        sender: &[u8],
        parameters: &str,
        recipients: &[String],
    ) -> Result<(), Error> {
        check(sender, recipients)?;
        self.say(&[b"MAIL FROM:<", sender, b"> ", parameters.as_bytes()].concat()).await?;
        for recipient in recipients {
            self.say(format!("RCPT TO:<{recipient}>").as_bytes()).await?;
        }
        Ok(())
    }

    /// Sends the message, which is `header` (whole lines) and `rest`; gives the reply.
    ///
    /// # Errors
    /// It is not taken, or the connection fails: then it may have been taken all the same.
    pub async fn message(&mut self, header: &[u8], rest: &[u8]) -> Result<String, Error> {
        self.say(b"DATA").await?;
        self.commands.write_all(header).await?;
        self.data(rest).await?;
        self.say(b".").await
    }

    /// Takes leave. Nothing depends on the answer.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn quit(mut self) -> Result<(), Error> {
        self.commands.write_all(b"QUIT\r\n").await?;
        Ok(self.commands.flush().await?)
    }

    async fn say(&mut self, command: &[u8]) -> Result<String, Error> {
        self.commands.write_all(command).await?;
        self.commands.write_all(b"\r\n").await?;
        timeout(PATIENCE, self.commands.flush()).await.map_err(|_| Error::Silent)??;
        self.reply().await
    }

    /// Lines that begin with a dot get another (RFC 5321, 4.5.2); a last line without its end gets one.
    async fn data(&mut self, message: &[u8]) -> Result<(), Error> {
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                self.commands.write_all(b".").await?;
            }
            self.commands.write_all(line).await?;
        }
        if !message.ends_with(b"\r\n") {
            self.commands.write_all(b"\r\n").await?;
        }
        Ok(())
    }

    /// The last line of the reply, if it is a good one.
    async fn reply(&mut self) -> Result<String, Error> {
        loop {
            let mut line = String::new();
            let mut limited = (&mut self.replies).take(LONGEST);
            let read = timeout(PATIENCE, limited.read_line(&mut line)).await.map_err(|_| Error::Silent)??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                let good = line.starts_with('2') || line.starts_with("354");
                return if good { Ok(line) } else { Err(Error::Refused(line.trim().to_owned())) };
            }
        }
    }
}

//! Whether the store can serve: Cyrus speaks LMTP and IMAP, and the directory is loaded.
//!
//! Nothing comes in but answers of Cyrus; readiness goes out. It asks the protocols, since a port that accepts tells
//! only that the master lives.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{agent::directory::Replica, http::Readiness};

/// The part of the agent that stands for Cyrus in [`Readiness`].
pub const CYRUS: &str = "cyrus";
/// The part of the agent that stands for the directory in [`Readiness`].
pub const DIRECTORY: &str = "directory";

const PERIOD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);

/// Where Cyrus answers.
#[derive(Clone, Copy, Debug)]
pub struct Services {
    /// LMTP.
    pub lmtp: SocketAddr,
    /// IMAP.
    pub imap: SocketAddr,
}

/// Looks every 2 seconds, until it is dropped.
pub async fn run(services: Services, replica: Replica, readiness: Readiness) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(PATIENCE, services.answer()).await {
            Ok(Ok(())) => readiness.ready(CYRUS),
            Ok(Err(error)) => readiness.blocked(CYRUS, error.to_string()),
            Err(_) => readiness.blocked(CYRUS, "no answer in time"),
        }
        if replica.loaded() {
            readiness.ready(DIRECTORY);
        } else {
            readiness.blocked(DIRECTORY, "not loaded yet");
        }
    }
}

impl Services {
    /// Asks Cyrus over both protocols.
    ///
    /// # Errors
    /// It does not answer, or not rightly.
    pub async fn answer(self) -> io::Result<()> {
        let mut lmtp = connect(self.lmtp).await?;
        expect(&mut lmtp, "220 ").await?;
        say(&mut lmtp, "LHLO localhost\r\n").await?;
        while !expect(&mut lmtp, "250").await?.starts_with("250 ") {}
        say(&mut lmtp, "QUIT\r\n").await?;
        let mut imap = connect(self.imap).await?;
        expect(&mut imap, "* OK ").await?;
        say(&mut imap, "q LOGOUT\r\n").await?;
        expect(&mut imap, "* BYE ").await?;
        Ok(())
    }
}

type Connection = BufReader<TcpStream>;

async fn connect(address: SocketAddr) -> io::Result<Connection> {
    TcpStream::connect(address).await.map(BufReader::new)
}

async fn say(connection: &mut Connection, line: &str) -> io::Result<()> {
    connection.get_mut().write_all(line.as_bytes()).await
}

async fn expect(connection: &mut Connection, start: &str) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    if line.starts_with(start) {
        return Ok(line);
    }
    Err(io::Error::other(format!("expected \"{start}\", got \"{}\"", line.trim_end())))
}

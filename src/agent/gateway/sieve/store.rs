//! The way to a store's `timsieved`, logged in.
//!
//! An address and a token come in; a connection goes out on which the client may go on.

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for the store.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most lines of an answer: capabilities.
const LINES: usize = 100;

/// Logs in as `user` (a mailbox's own address) with a token.
///
/// # Errors
/// The store is away, or takes the token for none.
pub(super) async fn open(address: SocketAddr, user: &str, token: &str) -> io::Result<TcpStream> {
    let opened = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        ok(&mut stream).await?;
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{token}"));
        stream.write_all(format!("AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n").as_bytes()).await?;
        stream.flush().await?;
        ok(&mut stream).await?;
        if stream.buffer().is_empty() {
            Ok(stream.into_inner())
        } else {
            Err(io::Error::other("the store speaks unasked"))
        }
    };
    timeout(PATIENCE, opened).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads up to the line that ends an answer.
async fn ok(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    for _ in 0..LINES {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with("OK") {
            return Ok(());
        }
        if line.starts_with("NO") || line.starts_with("BYE") {
            return Err(io::Error::other(line.trim_end().to_owned()));
        }
    }
    Err(io::Error::other("the store does not come to an end"))
}

//! Asking clamd. A message comes in, a [`Scan`] goes out; whatever is not clamd's word for clean is not clean.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::codec::Framed;

use super::decide::Scan;
use crate::{
    agent::resolver::Resolver,
    wire::clamd::{Codec, Command, Error as WireError, Reply},
};

/// A clamd that does not answer `PING` in this time is not asked: a frozen one would hold each message.
const PONG_WITHIN: Duration = Duration::from_secs(2);
/// Longest scan: above clamd's own `MaxScanTime` (30 s), so that its answer is heard.
const SCANNED_WITHIN: Duration = Duration::from_secs(45);
/// How many that answer `PING` are asked before the message is deferred.
const TRIES: usize = 2;

/// What clamd reports, with `AlertExceedsMax`, for a scan that it broke off at `MaxScanTime`: it was too busy, and nothing
/// was found. The other limits depend on the message alone, so trying again would not help.
const OUT_OF_TIME: &str = "Heuristics.Limits.Exceeded.MaxScanTime";

/// Why one clamd gave no verdict.
#[derive(thiserror::Error, Debug)]
enum Error {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0} did not answer in time")]
    Silent(&'static str),
    #[error("its scan took too long")]
    OutOfTime,
    #[error("it closed the connection")]
    Closed,
    #[error("it said {0:?}")]
    Unexpected(Reply),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// All clamds. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    host: Arc<str>,
    port: u16,
    resolver: Resolver,
    next: Arc<AtomicUsize>,
}

impl Scanner {
    /// The clamds that `host` resolves to.
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port, resolver: Resolver::default(), next: Arc::default() }
    }

    /// Asks one clamd after another, the first one in turn, until one has judged the message.
    pub(super) async fn scan(&self, message: &[Bytes]) -> Scan {
        let mut clamds: Vec<SocketAddr> = match self.resolver.lookup(&self.host).await {
            Ok(found) => found.iter().map(|address| (*address, self.port).into()).collect(),
            Err(error) => return Scan::Unavailable(format!("{}: {error}", self.host)),
        };
        let first = self.next.fetch_add(1, Ordering::Relaxed) % clamds.len().max(1);
        clamds.rotate_left(first);
        let (mut reasons, mut tries) = (Vec::new(), 0);
        for clamd in clamds {
            if tries == TRIES {
                break;
            }
            if let Err(error) = ping(clamd).await {
                reasons.push(format!("{clamd}: {error}"));
                continue;
            }
            tries += 1;
            match timeout(SCANNED_WITHIN, ask(clamd, message)).await {
                Ok(Ok(scan)) => return scan,
                Ok(Err(error)) => reasons.push(format!("{clamd}: {error}")),
                Err(_) => reasons.push(format!("{clamd}: {}", Error::Silent("the scan"))),
            }
        }
        Scan::Unavailable(reasons.join("; "))
    }
}

async fn ping(clamd: SocketAddr) -> Result<(), Error> {
    let answer = async {
        let mut stream = Framed::new(TcpStream::connect(clamd).await?, Codec);
        stream.send(Command::Ping).await?;
        Ok::<_, Error>(stream.next().await.ok_or(Error::Closed)??)
    };
    match timeout(PONG_WITHIN, answer).await.map_err(|_| Error::Silent("PING"))?? {
        Reply::Pong => Ok(()),
        other => Err(Error::Unexpected(other)),
    }
}

async fn ask(clamd: SocketAddr, message: &[Bytes]) -> Result<Scan, Error> {
    let stream = TcpStream::connect(clamd).await?;
    stream.set_nodelay(true)?;
    let mut stream = Framed::new(stream, Codec);
    stream.feed(Command::Instream).await?;
    for piece in message {
        stream.feed(Command::Chunk(piece.clone())).await?;
    }
    stream.send(Command::End).await?;
    match stream.next().await.ok_or(Error::Closed)?? {
        Reply::Clean => Ok(Scan::Clean),
        Reply::Infected(name) if name == OUT_OF_TIME => Err(Error::OutOfTime),
        Reply::Infected(name) => Ok(Scan::Infected(printable(&name))),
        other => Err(Error::Unexpected(other)),
    }
}

/// A signature's name as it may stand in an SMTP reply.
fn printable(name: &[u8]) -> String {
    name.iter().take(100).map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Something that answers like clamd, once for PING and once for the stream, with these words.
    async fn clamd(pong: &'static str, verdict: &'static str) -> Scanner {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scanner = Scanner::new("127.0.0.1", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut received = vec![0; 6];
                stream.read_exact(&mut received).await.unwrap();
                if received == b"zPING\0" {
                    stream.write_all(pong.as_bytes()).await.unwrap();
                    continue;
                }
                while !received.ends_with(&[0, 0, 0, 0]) {
                    received.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(verdict.as_bytes()).await.unwrap();
            }
        });
        scanner
    }

    #[tokio::test]
    async fn only_the_exact_words_are_clean() {
        for (verdict, expected) in [
            ("stream: OK\0", true),
            ("stream: OK \0", false),
            ("INSTREAM size limit exceeded. ERROR\0", false),
            ("", false),
        ] {
            let scan = clamd("PONG\0", verdict).await.scan(&[Bytes::from_static(b"x")]).await;
            assert_eq!(scan == Scan::Clean, expected, "{verdict}: {scan:?}");
        }
    }

    #[tokio::test]
    async fn a_signature_is_named_in_printable_letters() {
        let scan = clamd("PONG\0", "stream: Eicar Test FOUND\0").await.scan(&[]).await;
        assert_eq!(scan, Scan::Infected("Eicar?Test".into()));
    }

    #[tokio::test]
    async fn a_scan_that_ran_out_of_time_is_no_finding() {
        let answer = "stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0";
        let scan = clamd("PONG\0", answer).await.scan(&[Bytes::from_static(b"x")]).await;
        assert!(matches!(scan, Scan::Unavailable(_)), "{scan:?}");
    }

    #[tokio::test]
    async fn a_clamd_that_does_not_say_pong_is_not_asked() {
        let scan = clamd("NO\0", "stream: OK\0").await.scan(&[]).await;
        assert!(matches!(scan, Scan::Unavailable(_)), "{scan:?}");
    }

    #[tokio::test]
    async fn no_clamd_is_no_verdict() {
        let scan = Scanner::new("127.0.0.1", 1).scan(&[]).await;
        assert!(matches!(scan, Scan::Unavailable(_)), "{scan:?}");
    }
}

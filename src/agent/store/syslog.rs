//! Cyrus' log: it writes to `/dev/log` only, which leads here.
//!
//! Datagrams come in, one JSON line each goes out on standard output, trouble is counted. It must not lag: `syslog(3)`
//! waits for a full socket, and Cyrus with it.

use std::{fs, io, path::Path};

use bytes::{Bytes, BytesMut};
use tokio::{net::UnixDatagram, sync::mpsc};

use super::{
    metrics::{LogLine, Metrics},
    replication::{self, Trouble},
};
use crate::wire::syslog::{Record, Severity};

/// Longest datagram that is read; what is longer is cut.
const LONGEST: usize = 64 << 10;

/// Makes the socket, in place of one that an earlier process left.
///
/// # Errors
/// It cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixDatagram::bind(path),
    }
}

/// Prints what arrives, until it is dropped. What it says of the channel to a replica goes to `channel`, if there is one.
///
/// # Errors
/// The socket failed.
pub async fn run(
    socket: UnixDatagram,
    metrics: Metrics,
    channel: Option<mpsc::UnboundedSender<Trouble>>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(LONGEST);
    loop {
        buffer.reserve(LONGEST);
        socket.recv_buf(&mut buffer).await?;
        let record = Record::parse(&buffer.split().freeze());
        if let Some(kind) = trouble(&record.message) {
            metrics.log_lines.get_or_create(&LogLine { kind }).inc();
        }
        if let (Some(channel), Some(trouble)) = (&channel, replication::of(&record)) {
            // Nobody is left to whom it matters when the role has ended.
            let _ = channel.send(trouble);
        }
        print(&record);
    }
}

/// The kind of trouble that a message reports, by the word Cyrus marks it with.
fn trouble(message: &Bytes) -> Option<&'static str> {
    let has = |word: &[u8]| message.windows(word.len()).any(|window| window == word);
    [("IOERROR", "ioerror"), ("SYNCERROR", "syncerror"), ("DBERROR", "dberror")]
        .into_iter()
        .find_map(|(word, kind)| has(word.as_bytes()).then_some(kind))
}

/// A session that ended before anybody logged in: every two seconds our own probe does that.
fn is_probe(message: &[u8]) -> bool {
    message.starts_with(b"session ended: ") && message.windows(9).any(|window| window == b"userid=<>")
}

fn print(record: &Record) {
    let (tag, pid) = (String::from_utf8_lossy(&record.tag), record.pid);
    let message = String::from_utf8_lossy(&record.message);
    match record.severity {
        Severity::Emergency | Severity::Alert | Severity::Critical | Severity::Error => {
            tracing::error!(target: "cyrus", %tag, pid, "{message}");
        }
        _ if is_probe(&record.message) => tracing::debug!(target: "cyrus", %tag, pid, "{message}"),
        Severity::Warning => tracing::warn!(target: "cyrus", %tag, pid, "{message}"),
        Severity::Notice | Severity::Info => tracing::info!(target: "cyrus", %tag, pid, "{message}"),
        Severity::Debug => tracing::debug!(target: "cyrus", %tag, pid, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_sessions_without_a_user_are_taken_for_the_probe() {
        assert!(is_probe(b"session ended: sessionid=<cyrus-1-2-3> userid=<> id.name=<(null)> "));
        assert!(!is_probe(b"session ended: sessionid=<cyrus-1-2-3> userid=<an@x.vn> id.name=<(null)> "));
        assert!(!is_probe(b"session"));
    }

    #[tokio::test]
    async fn trouble_is_counted_and_a_socket_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        drop(bind(&path).unwrap());
        let (socket, metrics) = (bind(&path).unwrap(), Metrics::default());
        let (channel, mut heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(socket, metrics.clone(), Some(channel)));
        let cyrus = UnixDatagram::unbound().unwrap();
        for text in [
            "SYNCERROR sync_rightnow: no",
            "IOERROR: opening x",
            "all is well",
            "mailbox: SYNCERROR: no",
            "\u{fffd}\n",
        ] {
            let line = format!("<19>Nov  4 08:05:11 cyrus/imap[7]: {text}");
            cyrus.send_to(line.as_bytes(), &path).await.unwrap();
        }
        let count = |kind| metrics.log_lines.get_or_create(&LogLine { kind }).get();
        while count("syncerror") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((count("ioerror"), count("dberror")), (1, 0));
        assert_eq!(heard.recv().await, Some(Trouble::Unsent { pid: 7 }));
        task.abort();
    }
}

//! Postfix' queue as Postfix lists it: the container with Postfix is asked through a FIFO, and writes `postqueue -j` to a file.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::sleep};

use crate::agent::gateway::daemon;

/// Longest wait for a list. A queue of 100,000 messages takes some ten seconds.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(200);
/// The longest line that is read: a message has some hundred recipients at most, each with a reason.
const LONGEST: u64 = 4 << 20;

/// A message in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its queue: `active`, `deferred`, `hold`…
    pub queue_name: String,
    /// Postfix' name for it.
    pub queue_id: String,
    /// When it came: Unix time in seconds.
    #[serde(default)]
    pub arrival_time: i64,
    /// Who still waits for it.
    #[serde(default)]
    pub recipients: Vec<Waiting>,
}

/// A recipient that still waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The recipient, after aliases.
    pub address: String,
    /// Why it was not delivered yet, if that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_reason: Option<String>,
}

/// Why there is no list.
#[derive(thiserror::Error, Debug)]
pub(super) enum Error {
    #[error("Postfix cannot be asked for its queue: {0}")]
    Ask(io::Error),
    #[error("Postfix did not list its queue in time")]
    Silent,
    #[error("the list of the queue cannot be read: {0}")]
    Read(io::Error),
}

/// Asks for a list, with `token` that no other question had; gives the file.
pub(super) async fn ask(run_dir: &Path, token: u64) -> Result<PathBuf, Error> {
    daemon::write_line(&run_dir.join("queue-postfix"), &token.to_string()).map_err(Error::Ask)?;
    let list = run_dir.join("queue");
    let looked = async {
        loop {
            if ends_with(&list, token).await {
                return;
            }
            sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.map_err(|_| Error::Silent)?;
    Ok(list)
}

/// Whether the file is a whole answer to this question.
async fn ends_with(list: &Path, token: u64) -> bool {
    let list = list.to_owned();
    let read = spawn_blocking(move || {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(list)?;
        let end = format!("end {token}\n");
        let from = file.metadata()?.len().saturating_sub(end.len() as u64);
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok::<_, io::Error>(text == end)
    });
    read.await.is_ok_and(|read| read.unwrap_or(false))
}

/// The queue ids in a list.
pub(super) async fn ids(list: PathBuf) -> Result<HashSet<String>, Error> {
    blocking(move || {
        let mut ids = HashSet::new();
        each(&list, |message| {
            ids.insert(message.queue_id);
        })?;
        Ok(ids)
    })
    .await
}

/// The messages of these queue ids in a list.
pub(super) async fn find(list: PathBuf, wanted: HashSet<String>) -> Result<Vec<Queued>, Error> {
    blocking(move || {
        let mut found = Vec::new();
        each(&list, |message| {
            if wanted.contains(&message.queue_id) {
                found.push(message);
            }
        })?;
        Ok(found)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Error::Read)
}

fn each(list: &Path, mut see: impl FnMut(Queued)) -> io::Result<()> {
    let mut lines = BufReader::new(File::open(list)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with(b"end ") {
            return Ok(());
        }
        see(serde_json::from_slice(&line)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::gateway::daemon::tests::fifo;
    use tokio::io::{AsyncBufReadExt, BufReader as Lines};

    const LINE: &str = r#"{"queue_name": "deferred", "queue_id": "4jdjBv4JhdzmFd6", "arrival_time": 1796086599, "message_size": 302, "forced_expire": false, "sender": "dan@example.com", "recipients": [{"address": "later@x.vn", "delay_reason": "host said: 451 4.2.1 try later"}]}"#;

    #[tokio::test]
    async fn a_list_answers_its_own_question_alone() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("queue");
        std::fs::write(&list, format!("{LINE}\nend 1\n")).unwrap();
        let mut fifo = Lines::new(fifo(&folder.path().join("queue-postfix"))).lines();
        let asked = ask(folder.path(), 2);
        let answer = async {
            assert_eq!(fifo.next_line().await.unwrap().as_deref(), Some("2"));
            sleep(LOOK * 2).await;
            std::fs::write(&list, format!("{LINE}\nend 2\n")).unwrap();
        };
        let (asked, ()) = tokio::join!(asked, answer);
        let ids = ids(asked.unwrap()).await.unwrap();
        assert_eq!(ids, ["4jdjBv4JhdzmFd6".to_owned()].into());
        let found = find(list, ids).await.unwrap();
        assert_eq!(found[0].recipients[0].address, "later@x.vn");
    }

    #[tokio::test]
    async fn a_list_without_its_end_and_a_postfix_that_is_not_up_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("queue");
        std::fs::write(&list, format!("{LINE}\n")).unwrap();
        assert!(matches!(ids(list).await, Err(Error::Read(_))));
        assert!(matches!(ask(folder.path(), 1).await, Err(Error::Ask(_))));
    }
}

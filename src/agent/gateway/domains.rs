//! The domains for which Postfix accepts mail, as a file.
//!
//! The directory's domains come in; a table in the format `texthash` and a reload go out. A file and not a socket:
//! each smtpd keeps the answer for an address, failures and "not ours" too, until a reload.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use super::daemon::Daemon;
use crate::{agent::directory::Replica, http::Readiness};

/// The part of the readiness that stands for the file.
pub(super) const PART: &str = "domains";
/// Pause after the file could not be written.
const AGAIN: Duration = Duration::from_secs(2);

/// Keeps the file up to date, for ever. Nothing is written before the directory is loaded: Postfix waits for the file.
pub(super) async fn run(replica: Replica, run_dir: PathBuf, readiness: Readiness) {
    let mut changed = replica.changed();
    loop {
        changed.borrow_and_update();
        if replica.loaded() {
            match update(&run_dir, &replica.domains()) {
                Ok(changed) => {
                    if changed {
                        Daemon::Postfix.reload(&run_dir);
                    }
                    readiness.ready(PART);
                }
                Err(error) => {
                    tracing::error!(%error, "the list of domains cannot be written");
                    sleep(AGAIN).await;
                    continue;
                }
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Writes the file if its content changes; whether it did.
fn update(run_dir: &Path, domains: &[String]) -> io::Result<bool> {
    let (path, unfinished) = (run_dir.join("domains"), run_dir.join(".domains"));
    let table = table(domains);
    if fs::read(&path).is_ok_and(|held| held == table.as_bytes()) {
        return Ok(false);
    }
    fs::write(&unfinished, &table)?;
    fs::rename(unfinished, path)?;
    Ok(true)
}

fn table(domains: &[String]) -> String {
    let lines: Vec<_> = domains.iter().map(|domain| format!("{domain} OK\n")).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::directory::testing, directory::Index};
    use tokio::{io::AsyncReadExt, time::timeout};

    #[tokio::test]
    async fn postfix_reloads_when_a_domain_comes_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = super::super::daemon::tests::fifo(&folder.path().join("reload-postfix"));
        let readiness = Readiness::starting(&[PART]);
        let replica = testing::replica();
        let task = tokio::spawn(run(replica.clone(), folder.path().to_owned(), readiness.clone()));
        readiness.wait().await;
        let read = || fs::read_to_string(folder.path().join("domains")).unwrap();
        assert_eq!(read(), "x.vn OK\n");
        let mut line = [0; 7];
        fifo.read_exact(&mut line).await.unwrap();

        testing::offer(&replica, 2, b"other");
        let nothing = timeout(Duration::from_millis(300), fifo.read_exact(&mut line)).await;
        assert!(nothing.is_err(), "a changed mailbox is no reason for a reload");

        let domains = vec!["x.vn".into(), "y.vn".into()];
        let _ = replica.offer_index(2, Index { shards: 1, domains, ..Index::default() });
        timeout(Duration::from_secs(30), fifo.read_exact(&mut line)).await.unwrap().unwrap();
        assert_eq!(read(), "x.vn OK\ny.vn OK\n");
        task.abort();
    }

    #[tokio::test]
    async fn nothing_is_written_before_the_directory_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(testing::empty(), folder.path().to_owned(), Readiness::starting(&[PART]));
        assert!(timeout(Duration::from_millis(200), run).await.is_err());
        assert!(!folder.path().join("domains").exists());
    }
}

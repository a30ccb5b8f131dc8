//! Wishes to the daemons of the pod: a line in a daemon's FIFO makes it read its files anew.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use tokio::net::unix::pipe;

/// A daemon of the gateway pod.
#[derive(Clone, Copy, Debug)]
pub(super) enum Daemon {
    Postfix,
    Nginx,
}

impl Daemon {
    /// Asks the daemon to reload. One that is not up needs no reload: it reads its files when it starts.
    pub(super) fn reload(self, run_dir: &Path) {
        let fifo = match self {
            Self::Postfix => "reload-postfix",
            Self::Nginx => "reload-nginx",
        };
        match write_line(&run_dir.join(fifo), "reload") {
            Ok(()) => tracing::info!(daemon = ?self, "asked to reload"),
            Err(error) => tracing::info!(daemon = ?self, %error, "not asked to reload: it is not up"),
        }
    }
}

/// Without waiting for a reader, and without making a file where there is no FIFO.
pub(super) fn write_line(fifo: &Path, line: &str) -> io::Result<()> {
    let sender = pipe::OpenOptions::new().open_sender(fifo)?;
    // The runtime's own `try_write` would wait to hear that the pipe can be written to.
    File::from(sender.into_nonblocking_fd()?).write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// A FIFO as the daemon's container makes it: open for reading and writing.
    pub(in super::super) fn fifo(path: &Path) -> pipe::Receiver {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        pipe::OpenOptions::new().read_write(true).open_receiver(path).unwrap()
    }

    #[tokio::test]
    async fn a_line_arrives_and_nobody_waits_for_a_daemon_that_is_not_up() {
        let folder = tempfile::tempdir().unwrap();
        Daemon::Nginx.reload(folder.path());
        let mut fifo = fifo(&folder.path().join("reload-postfix"));
        Daemon::Postfix.reload(folder.path());
        let mut line = [0; 7];
        fifo.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"reload\n");
        assert!(!folder.path().join("reload-nginx").exists());
    }
}

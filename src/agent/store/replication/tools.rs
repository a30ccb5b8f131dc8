//! Cyrus's own tools, run as processes: they send, compare and mend.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::backlog::FOLDER;

const FOLDER_OF_TOOLS: &str = "/usr/lib/cyrus/bin";
/// Longest push of what a handover left over: it is what changed in the last moments.
const PUSHED_WITHIN: Duration = Duration::from_secs(20);
/// Longest mending of one user's mailboxes.
const MENDED_WITHIN: Duration = Duration::from_mins(10);

/// A tool that gets nothing of the agent's environment, and ends with whoever waits for it.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(Path::new(FOLDER_OF_TOOLS).join(name));
    command.env_clear().env("PATH", "/usr/lib/cyrus/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a tool that ended badly says.
///
/// # Errors
/// It ended badly.
pub fn checked(name: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name}: {}: {}", output.status, words.trim())))
}

/// The logs of a store that does not run, which nobody has sent yet.
#[must_use]
pub fn leftovers() -> Vec<PathBuf> {
    let files = ["log-run", "log"].map(|name| Path::new(FOLDER).join(name));
    files.into_iter().filter(|file| fs::metadata(file).is_ok_and(|it| it.len() > 0)).collect()
}

/// Sends what is left in the logs of a Cyrus that does not run any more, and removes them.
///
/// # Errors
/// Not everything was sent; what was not is still in the logs.
pub async fn push_leftovers() -> io::Result<()> {
    for file in leftovers() {
        let mut command = tool("sync_client");
        command.args(["-o", "-r", "-f"]).arg(&file);
        let output =
            timeout(PUSHED_WITHIN, command.output()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        checked("sync_client", &output)?;
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// Compares all mailboxes with the replica's and sends what differs. `progress` is called for each mailbox that is done.
///
/// # Errors
/// Not everything could be sent.
pub async fn compare_all(mut progress: impl FnMut()) -> io::Result<()> {
    let mut command = tool("sync_client");
    command.args(["-A", "-v"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let words = async {
        let mut words = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(64 << 10).read_to_end(&mut words).await?;
            // A tool that nobody listens to would hang.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        Ok::<_, io::Error>(String::from_utf8_lossy(&words).into_owned())
    };
    let lines = async {
        let Some(stdout) = stdout else { return Ok(()) };
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("USER ") {
                progress();
            }
        }
        Ok::<_, io::Error>(())
    };
    let (words, lines) = tokio::join!(words, lines);
    lines?;
    let words = words?;
    let status = child.wait().await?;
    // Whoever is sent at this moment by another is skipped, and the tool says that all is well.
    for user in words.lines().filter_map(|line| line.strip_prefix("Skipping locked user ")) {
        compare(user.trim()).await?;
    }
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("sync_client: {status}: {}", words.trim())))
    }
}

/// Compares a user's mailboxes with the replica's and sends what differs.
async fn compare(user: &str) -> io::Result<()> {
    let output = tool("sync_client").args(["-u", user]).output().await?;
    checked("sync_client", &output)
}

/// Makes what Cyrus knows of a mailbox agree with its files.
///
/// # Errors
/// It cannot be done.
pub async fn reconstruct(mailbox: &str) -> io::Result<()> {
    let mut command = tool("reconstruct");
    command.arg(mailbox);
    let output = timeout(MENDED_WITHIN, command.output()).await.map_err(|_| io::ErrorKind::TimedOut)??;
    checked("reconstruct", &output)
}

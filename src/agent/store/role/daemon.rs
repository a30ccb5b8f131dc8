//! Cyrus in a role: started with the files of that role, and killed whole before it gets another.
//!
//! A role is never changed in a running Cyrus: busy processes outlive a reload and go on writing. What Cyrus serves is in
//! the operator's `cyrus*.conf`; where the replica is, and how it is logged in to, is written here.

use std::{fs, io, sync::Arc};

use tokio::sync::Mutex;

use super::{clock, shared::Shared};
use crate::{
    agent::store::{
        auth::REPLICATOR,
        cyrus::{Cyrus, command},
        metrics::Metrics,
    },
    names::ports,
};

/// What `imapd.conf` includes.
const ROLE_FILE: &str = "/run/cyrus/role.conf";
/// Of a Cyrus that sends nothing.
const SILENT: &str = "sync_log: no\n";

/// What Cyrus does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It serves, and sends everything to the replica.
    Primary,
    /// It takes what the primary sends.
    Replica,
}

impl Mode {
    const fn file(self) -> &'static str {
        match self {
            Self::Primary => "/config/cyrus-replicated.conf",
            Self::Replica => "/config/cyrus-replica.conf",
        }
    }
}

/// Cyrus, if it runs. Clones share it.
#[derive(Clone)]
pub struct Daemon {
    shared: Shared,
    password: Arc<str>,
    metrics: Metrics,
    running: Arc<Mutex<Option<(Mode, Cyrus)>>>,
}

impl Daemon {
    /// None runs yet. `password` is that by which stores log in to each other.
    #[must_use]
    pub fn new(shared: Shared, password: &str, metrics: Metrics) -> Self {
        Self { shared, password: password.into(), metrics, running: Arc::default() }
    }

    /// Starts it, after whatever ran is gone. As primary it is guarded by the watchdog from its first moment.
    ///
    /// # Errors
    /// It does not run.
    pub async fn start(&self, mode: Mode) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if let Some((_, cyrus)) = running.take() {
            cyrus.kill().await;
        }
        fs::write(ROLE_FILE, self.role_file(mode))?;
        let cyrus = Cyrus::start(command(mode.file()))?;
        if mode == Mode::Primary {
            let deadline = self.shared.memory().contact + self.shared.timings().fencing;
            if let Err(error) = self.shared.watchdog().guard(cyrus.group(), deadline) {
                cyrus.kill().await;
                return Err(error);
            }
        }
        self.metrics.cyrus_starts.inc();
        tracing::info!(?mode, since_boot = clock::now().as_secs(), "Cyrus is started");
        *running = Some((mode, cyrus));
        Ok(())
    }

    /// Kills all of it. When this returns none of its processes runs.
    pub async fn kill(&self) {
        if let Some((_, cyrus)) = self.running.lock().await.take() {
            cyrus.kill().await;
        }
        self.shared.watchdog().rest();
    }

    /// Ends it gently, for at most `grace`.
    pub async fn terminate(&self, grace: std::time::Duration) {
        if let Some((_, cyrus)) = self.running.lock().await.take() {
            cyrus.terminate(grace).await;
        }
        self.shared.watchdog().rest();
    }

    /// What runs, unless it has ended by itself; what is left of that is killed.
    pub async fn mode(&self) -> Option<Mode> {
        let mut running = self.running.lock().await;
        let ended = running.as_mut().and_then(|(mode, cyrus)| Some((*mode, cyrus.has_ended()?)));
        if let (Some((mode, status)), Some((_, cyrus))) = (ended, ended.and_then(|_| running.take())) {
            tracing::error!(?mode, %status, "Cyrus ended");
            cyrus.kill().await;
        }
        running.as_ref().map(|(mode, _)| *mode)
    }

    /// Has idle processes replaced by new ones, whose connections to the replica are new.
    pub async fn reload(&self) {
        if let Some((_, cyrus)) = self.running.lock().await.as_ref() {
            cyrus.reload();
        }
    }

    /// How many mailboxes it has, as far as is known.
    #[must_use]
    pub fn mailboxes(&self) -> u64 {
        self.metrics.mailboxes.get().try_into().unwrap_or_default()
    }

    fn role_file(&self, mode: Mode) -> String {
        match mode {
            Mode::Primary => channel(self.shared.peer().host(), &self.password, true),
            Mode::Replica => SILENT.to_owned(),
        }
    }

    /// Writes the file by which Cyrus's tools reach the other store while Cyrus does not run here.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn point_tools_at_peer(&self) -> io::Result<()> {
        fs::write(ROLE_FILE, channel(self.shared.peer().host(), &self.password, false))
    }

    /// Writes the file by which Cyrus's tools reach nobody, and log nothing to be sent, while Cyrus does not run here.
    ///
    /// # Errors
    /// It cannot be written.
    #[expect(clippy::unused_self, reason = "only who has a Cyrus may say what its tools do")]
    pub fn silence_tools(&self) -> io::Result<()> {
        fs::write(ROLE_FILE, SILENT)
    }
}

/// Writes the file for a store without another, before its Cyrus starts.
///
/// # Errors
/// It cannot be written.
pub fn without_a_replica() -> io::Result<()> {
    fs::write(ROLE_FILE, SILENT)
}

/// `rightnow`: processes that serve clients send what they change themselves, before they answer. Only in a primary: a
/// replica's `sync_server` would dial back.
fn channel(host: &str, password: &str, rightnow: bool) -> String {
    let rightnow = if rightnow { "sync_rightnow_channel: \"\"\n" } else { "" };
    format!(
        "sync_log: yes\nsync_host: {host}\nsync_port: {}\nsync_try_imap: no\nsync_authname: {REPLICATOR}\n\
         sync_password: {password}\nsync_repeat_interval: 0\nsync_timeout: 5s\nsync_reconnect_maxwait: 5s\n{rightnow}",
        ports::CYRUS_SYNC
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_primary_sends_before_it_answers_and_no_option_stands_twice() {
        let file = channel("s-store-0-1.s-store-0.n.svc", "secret", true);
        assert!(file.contains("sync_rightnow_channel: \"\"\n") && file.contains("sync_port: 2005\n"));
        assert!(!channel("h", "secret", false).contains("rightnow"));
        let mut options: Vec<_> = file.lines().filter_map(|line| line.split(':').next()).collect();
        options.sort_unstable();
        let all = options.len();
        options.dedup();
        assert_eq!(options.len(), all);
    }
}

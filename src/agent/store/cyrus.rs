//! Cyrus as a child of the agent.
//!
//! [`Cyrus`] is one run of it: started, awaited, terminated gently, or killed with everything it has started. A kill is
//! complete when it returns: a change of role rests on that. [`supervise`] keeps one running. Nothing here knows what
//! Cyrus serves; that is in its configuration files.

use std::{
    io,
    process::ExitStatus,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, kill_process, kill_process_group, test_kill_process_group, waitpgid,
    },
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// How long Cyrus may take to end by itself: sessions are told, deliveries are finished.
pub const GRACE: Duration = Duration::from_secs(20);
/// First and longest pause before a restart.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// After a run of this length the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_mins(1);

/// The command that runs Cyrus in the foreground, with the services of this `cyrus.conf`. It gets nothing of the agent's
/// environment.
#[must_use]
pub fn command(services: &str) -> Command {
    let mut command = Command::new("/usr/sbin/cyrmaster");
    command.args(["-D", "-p", "/run/cyrus/master.pid", "-M", services]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// A running Cyrus: its master and all that the master has started, in a process group of their own.
pub struct Cyrus {
    master: Child,
    group: Pid,
}

impl Cyrus {
    /// Starts it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut master = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = master.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        match group {
            Some(group) => Ok(Self { master, group }),
            None => Err(master.try_wait()?.map_or_else(|| io::Error::other("no process id"), ended_at_once)),
        }
    }

    /// The group of its processes.
    #[must_use]
    pub const fn group(&self) -> Pid {
        self.group
    }

    /// How the master ended, if it has. What it started may outlive it: call [`Self::kill`] then.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.master.try_wait().ok().flatten()
    }

    /// Asks the master to read its configuration again: idle processes are replaced.
    pub fn reload(&self) {
        // A master that has ended is noticed elsewhere.
        let _ = kill_process(self.group, Signal::HUP);
    }

    /// Waits until the master ends. What it started may outlive it: call [`Self::kill`] then.
    ///
    /// # Errors
    /// The system cannot tell.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.master.wait().await
    }

    /// Asks the master to end, waits for at most `grace`, then kills what is left.
    pub async fn terminate(mut self, grace: Duration) {
        // A master that has ended already needs no signal.
        let _ = kill_process(self.group, Signal::TERM);
        if timeout(grace, self.ended()).await.is_err() {
            tracing::warn!(seconds = grace.as_secs(), "Cyrus has not ended in time and is killed");
        }
        self.kill().await;
    }

    /// Kills all of it. When this returns, none of its processes runs any more.
    pub async fn kill(mut self) {
        let mut pause = Duration::from_millis(1);
        loop {
            // Each round, for a process may have been forked while the last signal was on its way.
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.master.try_wait();
            self.reap();
            if test_kill_process_group(self.group) == Err(Errno::SRCH) {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Orphans of the master become children of a container's first process, which is the agent: until it has waited
    /// for them they look alive.
    fn reap(&mut self) {
        if self.master.id().is_none() {
            while let Ok(Some(_)) = waitpgid(self.group, WaitOptions::NOHANG) {}
        }
    }
}

fn ended_at_once(status: ExitStatus) -> io::Error {
    io::Error::other(format!("ended at once: {status}"))
}

/// Keeps Cyrus running until `stop`, then ends it gently. `starts` counts its starts.
pub async fn supervise(
    make: impl Fn() -> Command,
    metrics: Metrics,
    starts: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let pauses = || {
        ExponentialBuilder::new()
            .with_min_delay(PAUSES.0)
            .with_max_delay(PAUSES.1)
            .without_max_times()
            .with_jitter()
            .build()
    };
    let mut pause = pauses();
    while !stop.is_cancelled() {
        let started = Instant::now();
        match Cyrus::start(make()) {
            Ok(mut cyrus) => {
                metrics.cyrus_starts.inc();
                starts.send_modify(|starts| *starts += 1);
                tokio::select! {
                    () = stop.cancelled() => return cyrus.terminate(GRACE).await,
                    status = cyrus.ended() => tracing::error!(?status, "Cyrus ended, will be started again"),
                }
                cyrus.kill().await;
            }
            Err(error) => tracing::error!(%error, "Cyrus cannot be started, will try again"),
        }
        if started.elapsed() > GOOD_RUN {
            pause = pauses();
        }
        let pause = pause.next().unwrap_or(PAUSES.1);
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    async fn appears(path: &Path) {
        while !path.exists() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_kill_takes_what_was_started_and_what_ignores_signals() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script =
            format!("trap '' TERM; (trap '' TERM; touch {}; sleep 600) & wait; sleep 600", ready.display());
        let cyrus = Cyrus::start(shell(&script)).unwrap();
        let group = cyrus.group;
        appears(&ready).await;
        cyrus.terminate(Duration::from_millis(50)).await;
        assert_eq!(test_kill_process_group(group), Err(Errno::SRCH));
    }

    #[tokio::test]
    async fn what_outlives_the_master_is_killed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let mut cyrus = Cyrus::start(shell(&format!("sleep 600 & touch {}", ready.display()))).unwrap();
        let group = cyrus.group();
        appears(&ready).await;
        cyrus.ended().await.unwrap();
        assert!(cyrus.has_ended().is_some() && test_kill_process_group(group).is_ok());
        cyrus.kill().await;
        assert_eq!(test_kill_process_group(group), Err(Errno::SRCH));
    }

    #[tokio::test]
    async fn what_outlives_the_master_is_killed_before_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (orphan, second) = (folder.path().join("orphan"), folder.path().join("second"));
        let (first, next) = (orphan.display().to_string(), second.display().to_string());
        let script = format!(
            "if [ -e {first} ]; then kill -0 $(cat {first}) || touch {next}; exec sleep 600; fi; sleep 600 & echo $! > {first}.new; mv {first}.new {first}"
        );
        let (starts, metrics, stop) = (watch::Sender::new(0), Metrics::default(), CancellationToken::new());
        let task =
            tokio::spawn(supervise(move || shell(&script), metrics.clone(), starts.clone(), stop.clone()));
        appears(&second).await;
        assert_eq!((*starts.borrow(), metrics.cyrus_starts.get()), (2, 2));
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_tried_again() {
        let stop = CancellationToken::new();
        let make = || Command::new("/nonexistent/cyrmaster");
        let task = tokio::spawn(supervise(make, Metrics::default(), watch::Sender::new(0), stop.clone()));
        sleep(Duration::from_millis(20)).await;
        assert!(!task.is_finished());
        stop.cancel();
        task.await.unwrap();
    }
}

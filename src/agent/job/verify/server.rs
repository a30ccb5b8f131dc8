//! The Cyrus that serves what was restored: started, awaited until it lets us in, and ended with all that it has started.
//!
//! It asks our socket who may log in: the administrator with the password of this start, and nobody else. Its log has nowhere
//! to go, since leading `/dev/log` elsewhere needs root: what it says on standard error when it dies has to do, and what it
//! answers when it is asked.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt};
use rustix::process::{Signal, kill_process_group};
use tokio::{
    net::{UnixListener, UnixStream},
    process::Command,
    time::{sleep, timeout},
};
use tokio_util::{codec::Framed, task::AbortOnDropHandle};

use super::{config, scratch::Scratch, session::Session};
use crate::{
    agent::{
        sockets::listener::accept,
        store::{
            cyrus::Cyrus,
            password::{ADMIN, AdminPassword},
        },
    },
    names::ports,
    wire::saslauthd::{Codec, Reply},
};

/// The program.
const MASTER: &str = "/usr/sbin/cyrmaster";
/// A store with much mail may have to check its databases first.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is tried whether it serves: the restore time is as exact as this.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for a question: Cyrus writes it in one go.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// So many letters of what it said last are told.
const LONGEST: usize = 300;

/// A Cyrus that serves.
pub struct Server {
    /// None once it was killed.
    cyrus: Option<Cyrus>,
    password: AdminPassword,
    _auth: AbortOnDropHandle<()>,
}

impl Server {
    /// Starts it, and waits until it lets us in. What it has started is gone if it does not.
    ///
    /// # Errors
    /// Why it does not serve, in words.
    pub async fn start(scratch: &Scratch) -> Result<Self, String> {
        let password = AdminPassword::random().map_err(|_| "the system has no randomness".to_owned())?;
        let made = || -> io::Result<(UnixListener, File)> {
            scratch.prepare_for_cyrus()?;
            fs::write(scratch.imapd_conf(), config::imapd(scratch))?;
            fs::write(scratch.cyrus_conf(), config::services(scratch))?;
            Ok((UnixListener::bind(scratch.auth())?, File::create(scratch.said())?))
        };
        let (listener, said) = made().map_err(|error| format!("what it needs cannot be made: {error}"))?;
        let auth = AbortOnDropHandle::new(tokio::spawn(answer(listener, password.clone())));
        let cyrus = Cyrus::start(command(scratch, said)).map_err(|error| format!("{MASTER}: {error}"))?;
        let mut server = Self { cyrus: Some(cyrus), password, _auth: auth };
        match server.serves().await {
            Ok(()) => Ok(server),
            Err(why) => {
                server.stop().await;
                Err(format!("{why}{}", last_words(scratch)))
            }
        }
    }

    async fn serves(&mut self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let error = match self.session("").await {
                Ok(session) => {
                    session.close().await;
                    return Ok(());
                }
                Err(error) => error,
            };
            if let Some(status) = self.cyrus.as_mut().and_then(Cyrus::has_ended) {
                return Err(format!("it ended: {status}"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("it did not serve within {} minutes: {error}", PATIENCE.as_secs() / 60));
            }
            sleep(PAUSE).await;
        }
    }

    /// Connects to it as the owner of `address`.
    ///
    /// # Errors
    /// It does not let us in.
    pub async fn session(&self, address: &str) -> io::Result<Session> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::CYRUS_IMAP));
        Session::open(at, &self.password, address).await
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<String> {
        self.cyrus.as_mut()?.has_ended().map(|status| status.to_string())
    }

    /// Kills it, and all that it has started. When this returns, none of it runs any more.
    pub async fn stop(mut self) {
        if let Some(cyrus) = self.cyrus.take() {
            cyrus.kill().await;
        }
    }
}

impl Drop for Server {
    /// For who gives up in the middle.
    fn drop(&mut self) {
        if let Some(cyrus) = &self.cyrus {
            // One that has ended needs no signal.
            let _ = kill_process_group(cyrus.group(), Signal::KILL);
        }
    }
}

/// What it said last, for who reads why it does not serve; what it said before is in our log.
fn last_words(scratch: &Scratch) -> String {
    let said = fs::read(scratch.said()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for line in &lines {
        tracing::warn!(target: "cyrus", "{line}");
    }
    let last = lines.last().map(|line| line.chars().take(LONGEST).collect::<String>());
    last.map_or_else(String::new, |line| format!(": {line}"))
}

fn command(scratch: &Scratch, said: File) -> Command {
    let path = |path: &Path| path.as_os_str().to_owned();
    let mut command = Command::new(MASTER);
    command.arg("-D").arg("-p").arg(scratch.run.join("master.pid"));
    command.arg("-C").arg(path(&scratch.imapd_conf())).arg("-M").arg(path(&scratch.cyrus_conf()));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    // Standard output is for what the Job says.
    command.stdout(Stdio::null()).stderr(said);
    command
}

/// Answers who may log in, until it is dropped.
async fn answer(listener: UnixListener, password: AdminPassword) {
    loop {
        let (stream, _) = accept(|| listener.accept()).await;
        let password = password.clone();
        tokio::spawn(async move { judge(stream, &password).await });
    }
}

async fn judge(stream: UnixStream, password: &AdminPassword) {
    let mut framed = Framed::new(stream, Codec);
    let Ok(Some(Ok(request))) = timeout(READ_WITHIN, framed.next()).await else { return };
    let right = request.address() == ADMIN && password.is(request.password.expose());
    // Cyrus may be gone by now.
    drop(framed.send(if right { Reply::Ok } else { Reply::No }).await);
}

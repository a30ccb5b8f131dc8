//! Becoming a primary's replica: what stands in the way is cleared, then Cyrus takes what the primary sends.
//!
//! 1. On a volume without a role, mail of unknown age is moved aside, so that nothing of it is taken for the shard's.
//! 2. What a former primary has alone is carried over ([`back`]).
//! 3. Cyrus starts as replica, and the primary is told that it may send.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    clock,
    daemon::{Daemon, Mode},
    shared::Shared,
};
use crate::{
    agent::store::{back, make_folders},
    failover::Epoch,
    names::ports,
};

/// Between tries.
const AGAIN: Duration = Duration::from_secs(2);
/// Cyrus answers within this time of its start, but for a volume whose databases have to be checked.
const ANSWERS_WITHIN: Duration = Duration::from_mins(5);

/// The work, or its result. Dropping it ends the work; Cyrus has to be killed then.
pub struct Following {
    /// Of the primary that is followed.
    pub epoch: Epoch,
    shared: Shared,
    _work: AbortOnDropHandle<()>,
}

impl Following {
    /// Cyrus takes what the primary sends.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.memory().ready == Some(self.epoch)
    }
}

/// Starts to become the replica of the primary of `epoch`.
#[must_use]
pub fn start(shared: Shared, daemon: Daemon, epoch: Epoch) -> Following {
    let work = become_replica(shared.clone(), daemon, epoch);
    Following { epoch, shared, _work: AbortOnDropHandle::new(tokio::spawn(work)) }
}

async fn become_replica(shared: Shared, daemon: Daemon, epoch: Epoch) {
    while let Err(error) = prepare(&shared, &daemon, epoch).await {
        tracing::warn!(%error, "this store cannot follow yet");
        shared.say(format!("it cannot follow the primary yet: {error}"));
        sleep(AGAIN).await;
    }
    shared.words().returning = false;
    shared.memory().ready = Some(epoch);
    shared.say("it gets what the primary has");
    shared.wake();
}

async fn prepare(shared: &Shared, daemon: &Daemon, epoch: Epoch) -> io::Result<()> {
    let disk = shared.memory().record.disk;
    make_folders().map_err(io::Error::other)?;
    if back::is_due(&disk, epoch)? {
        shared.words().returning = true;
        back::run(shared, daemon, epoch).await?;
    } else if !disk.seeded && shared.volume().holds_mail() {
        let volume = shared.volume().clone();
        let aside =
            spawn_blocking(move || volume.set_aside(clock::unix())).await.map_err(io::Error::other)??;
        tracing::warn!(folder = %aside.display(), "mail on a volume without a role is moved aside; look at it, then delete it");
        shared.memory().holds_mail = false;
        make_folders().map_err(io::Error::other)?;
    }
    daemon.start(Mode::Replica).await?;
    timeout(ANSWERS_WITHIN, answers(daemon)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn answers(daemon: &Daemon) -> io::Result<()> {
    while TcpStream::connect(("127.0.0.1", ports::CYRUS_SYNC)).await.is_err() {
        if daemon.mode().await.is_none() {
            return Err(io::Error::other("Cyrus ended at once: see its log"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

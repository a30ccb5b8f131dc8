//! Whether this store could serve, or follow: the disk takes a write, and Cyrus speaks its protocols.
//!
//! A primary whose gate fails for too long stops, so that the other can take over; a replica whose gate fails never does.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Service, clock, shared::Shared};
use crate::{agent::store::probe::Services, names::ports};

const PERIOD: Duration = Duration::from_secs(1);
/// Longest wait for the disk and for Cyrus.
const PATIENCE: Duration = Duration::from_secs(3);
/// A Cyrus that has just been started checks its databases first.
const STARTING: Duration = Duration::from_secs(20);

/// Looks each second, until it is dropped.
pub async fn run(shared: Shared, services: Services, service: watch::Receiver<Service>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut disk = None;
    // The epoch, since when it is open, and whether Cyrus has answered in it.
    let mut opened = (None, clock::now(), false);
    loop {
        ticks.tick().await;
        let epoch = service.borrow().epoch();
        if opened.0 != epoch {
            opened = (epoch, clock::now(), false);
        }
        let trouble = match look(&shared, services, epoch.is_some(), &mut disk).await {
            Ok(()) => {
                opened.2 = true;
                None
            }
            Err(_) if epoch.is_some() && !opened.2 && clock::now().saturating_sub(opened.1) < STARTING => {
                None
            }
            Err(words) => Some(words),
        };
        note(&shared, trouble);
    }
}

fn note(shared: &Shared, trouble: Option<String>) {
    let mut memory = shared.memory();
    memory.gate = trouble.map(|words| {
        let since = memory.gate.as_ref().map_or_else(clock::now, |(since, _)| *since);
        (since, words)
    });
    drop(memory);
    shared.wake();
}

async fn look(
    shared: &Shared,
    services: Services,
    serves: bool,
    disk: &mut Option<JoinHandle<std::io::Result<()>>>,
) -> Result<(), String> {
    // A write that hangs is waited for, not joined by others.
    let volume = shared.volume().clone();
    let write = disk.get_or_insert_with(|| spawn_blocking(move || volume.prove()));
    let written = timeout(PATIENCE, &mut *write).await.map_err(|_| "the disk does not answer".to_owned())?;
    *disk = None;
    let written = written.map_err(|error| error.to_string())?;
    written.map_err(|error| format!("the disk takes no write: {error}"))?;
    let answer = async {
        if serves {
            services.answer().await
        } else if shared.memory().ready.is_some() {
            greets().await
        } else {
            Ok(())
        }
    };
    let answered = timeout(PATIENCE, answer).await.map_err(|_| "Cyrus does not answer in time".to_owned())?;
    answered.map_err(|error| format!("Cyrus does not answer rightly: {error}"))
}

/// The replica's service greets.
async fn greets() -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", ports::CYRUS_SYNC)).await?;
    let mut first = [0];
    stream.read_exact(&mut first).await?;
    Ok(())
}

//! A store without another: nobody could serve in its place, so it needs no vote but its own disk's.
//!
//! It counts epochs all the same, and writes them to the Lease when it can, so that a second store can be added later and
//! follows. A volume that was a replica's does not serve alone: what it lacks nobody could tell.

use std::{io, time::Duration};

use kube::Client;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Service, clock,
    daemon::{Daemon, Mode},
    keeper::GRACE,
    lease::Leases,
    shared::Shared,
    volume::Record,
};
use crate::failover::{Activity, Epoch, Lease, Pod};

/// First and longest pause before Cyrus is started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// After a run of this length the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_mins(1);
/// Between two looks at Cyrus.
const PERIOD: Duration = Duration::from_millis(200);
/// Between two writes of the Lease that did not succeed.
const WRITTEN_AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for deliveries to end.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`.
pub async fn run(
    shared: Shared,
    daemon: Daemon,
    service: watch::Sender<Service>,
    mut drained: watch::Receiver<bool>,
    (client, lease): (impl Future<Output = Client> + Send + 'static, (String, String)),
    shutdown: CancellationToken,
) {
    let noted = watch::Sender::new(Epoch::NONE);
    let _notes = AbortOnDropHandle::new(tokio::spawn(note(shared.clone(), client, lease, noted.subscribe())));
    let mut pause = PAUSES.0;
    while !shutdown.is_cancelled() {
        let started = clock::now();
        match serve(&shared, &daemon, &service).await {
            Ok(epoch) => {
                noted.send_replace(epoch);
                let ended = async {
                    while daemon.mode().await.is_some() {
                        sleep(PERIOD).await;
                    }
                };
                if shutdown.run_until_cancelled(ended).await.is_none() {
                    break;
                }
            }
            Err(error) => {
                tracing::error!(%error, "this store cannot serve, will try again");
                shared.say(error.to_string());
            }
        }
        service.send_replace(Service::Closed);
        shared.memory().stopped(clock::now());
        pause = if clock::now().saturating_sub(started) > GOOD_RUN { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
        shutdown.run_until_cancelled(sleep(pause)).await;
    }
    service.send_replace(Service::Draining);
    let _ = timeout(DRAINED_WITHIN, drained.wait_for(|drained| *drained)).await;
    daemon.terminate(GRACE).await;
    service.send_replace(Service::Closed);
}

async fn serve(shared: &Shared, daemon: &Daemon, service: &watch::Sender<Service>) -> io::Result<Epoch> {
    let record = shared.memory().record;
    let disk = record.disk;
    if shared.memory().pod != Pod::Even {
        return Err(io::Error::other("a shard with one store is served by its pod 0"));
    }
    if disk.seeded && !disk.primary {
        return Err(io::Error::other(
            "this volume was a replica's, and may lack mail that the other has: set spec.store.replicas to 2 again, and switch over first",
        ));
    }
    let epoch = Epoch::next(Pod::Even, [disk.seen()]);
    let change = |record: Record| Record { disk: record.disk.founded(epoch), stale: None, ..record };
    shared.change(change).await?;
    shared.memory().activity = Activity::Serving;
    shared.memory().gate = None;
    daemon.start(Mode::Alone).await?;
    service.send_replace(Service::Open(epoch));
    shared.say("");
    tracing::info!(epoch = epoch.number(), "this store serves");
    Ok(epoch)
}

/// Writes each epoch to the Lease, until it is there.
async fn note(
    shared: Shared,
    client: impl Future<Output = Client>,
    (namespace, name): (String, String),
    mut epochs: watch::Receiver<Epoch>,
) {
    let leases = Leases::new(client.await, &namespace, name);
    loop {
        let epoch = *epochs.borrow_and_update();
        let write = async {
            let read = leases.read().await?;
            if read.lease.epoch < epoch {
                leases.swap(&read, Lease { epoch, ..Lease::NONE }, shared.pods()).await?;
            }
            Ok::<_, super::lease::Error>(())
        };
        let pause = match write.await {
            Ok(()) => None,
            Err(error) => {
                tracing::debug!(%error, "the Lease cannot be written");
                Some(WRITTEN_AGAIN)
            }
        };
        let changed = async {
            let _ = epochs.changed().await;
        };
        match pause {
            Some(pause) => drop(timeout(pause, changed).await),
            None => changed.await,
        }
    }
}

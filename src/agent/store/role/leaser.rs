//! Keeps in touch: beats to the other store, reads and renewals of the Lease.
//!
//! What they bring goes into memory; decisions are made elsewhere, but for what a renewal says, which is decided when it is
//! sent.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use kube::Client;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    beat::Beat,
    clock,
    lease::{Error, Leases},
    shared::Shared,
};
use crate::failover::{Activity, Decision, decide};

/// Longest wait for the answer to a beat.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1500);

/// The Lease, once there is a client of the cluster.
pub type Slot = Arc<OnceLock<Leases>>;

/// Beats until it is dropped.
pub async fn beat(shared: Shared) {
    let peer = shared.peer().clone();
    let mut ticks = interval(shared.timings().beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sent = clock::now();
        match peer.ask::<Beat>("/beat", &shared.beat(), ANSWERED_WITHIN).await {
            Ok(answer) => answered(&shared, answer, sent),
            Err(error) => tracing::debug!(%error, "the other store does not answer"),
        }
    }
}

fn answered(shared: &Shared, answer: Beat, sent: Duration) {
    let mut memory = shared.memory();
    let news = memory.heard(answer, clock::now(), true);
    let epoch = memory.record.disk.epoch;
    drop(memory);
    // An answer with a higher promise is a refusal, and no contact.
    let refusal = answer.standing().map_or(true, |standing| standing.disk.promise > epoch);
    if news && !refusal {
        shared.in_contact(sent);
    }
    shared.wake();
}

/// Reads the Lease `name` and, while this store serves, renews it; until it is dropped.
pub async fn renew(
    shared: Shared,
    client: impl Future<Output = Client>,
    (namespace, name): (String, String),
    slot: Slot,
) {
    let leases = Leases::new(client.await, &namespace, name);
    let leases = slot.get_or_init(|| leases);
    // As often as beats: what a store that waits has not seen, it cannot act on.
    let mut ticks = interval(shared.timings().beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut renewed = Duration::ZERO;
    loop {
        ticks.tick().await;
        let due = clock::now().saturating_sub(renewed) >= shared.timings().renewal;
        match touch(&shared, leases, due).await {
            Ok(Touch::Renewed) => renewed = clock::now(),
            Ok(Touch::Read) => {}
            Err(error) => tracing::debug!(%error, "the Lease"),
        }
        shared.wake();
    }
}

enum Touch {
    Read,
    Renewed,
}

async fn touch(shared: &Shared, leases: &Leases, due: bool) -> Result<Touch, Error> {
    let serving = shared.memory().activity == Activity::Serving;
    let known = shared.memory().fresh_lease(clock::now(), shared.timings()).map(|known| known.read.clone());
    let (true, Some(read)) = (serving, known) else {
        let read = leases.read().await?;
        shared.memory().saw_lease(read, clock::now());
        return Ok(Touch::Read);
    };
    let Decision::Serve { lease: Some(wanted), .. } = decide(&shared.view(), shared.timings()) else {
        return Ok(Touch::Read);
    };
    if !due && wanted == read.lease {
        // Orders that people write to it come with a read.
        let read = leases.read().await?;
        shared.memory().saw_lease(read, clock::now());
        return Ok(Touch::Read);
    }
    let sent = clock::now();
    match leases.swap(&read, wanted, shared.pods()).await {
        Ok(read) => {
            shared.memory().saw_lease(read, clock::now());
            shared.in_contact(sent);
            Ok(Touch::Renewed)
        }
        Err(error) => {
            // Whatever happened to it, it has to be read before anything is decided on it.
            let read = leases.read().await?;
            shared.memory().saw_lease(read, clock::now());
            Err(error)
        }
    }
}

//! The rules of a store that serves: when it stops, when it makes way, and what it registers while it goes on.

use super::{
    Decision, Stop,
    epoch::Epoch,
    timings::Timings,
    view::{Activity, Asked, Lease, Standing, View},
};

pub(super) fn decide(view: &View, timings: &Timings) -> Decision {
    let me = &view.me;
    if !me.disk.seeded || !me.disk.primary {
        return Decision::Stop(Stop::NotMyDisk); // The role is bound to the disk and not to the pod.
    }
    if seen_elsewhere(view).max(me.disk.promise) > me.disk.epoch {
        return Decision::Stop(Stop::Superseded); // Another has, or will have, two votes.
    }
    if me.gate_failing >= timings.gate {
        return Decision::Stop(Stop::GateFailed); // Renewing for a store that cannot serve would keep the other from it.
    }
    if view.contact >= timings.fencing {
        return Decision::Stop(Stop::Isolated); // From now on the other may take the epoch.
    }
    if should_make_way(view, timings) {
        // With the replica at hand everything is handed over; without it, what it lacks was never called in sync.
        return if can_drain(view) { Decision::HandOver } else { Decision::Stop(Stop::Unreached) };
    }
    if view.asked == Some(Asked::ByOrder) && can_drain(view) {
        return Decision::HandOver;
    }
    let in_sync = view.replicated;
    let lease = Lease { epoch: me.disk.epoch, in_sync, released: false, handover_to: None };
    Decision::Serve { in_sync, lease: view.lease.map(|_| lease) }
}

/// The highest epoch or promise that the other store or the Lease shows. (A Lease that is *lower* is overwritten: the API
/// server was restored from a backup.)
fn seen_elsewhere(view: &View) -> Epoch {
    let lease = view.lease.map_or(Epoch::NONE, |seen| seen.lease.epoch);
    let peer = view.peer.heard.map_or(Epoch::NONE, |peer| peer.disk.epoch.max(peer.disk.promise));
    lease.max(peer)
}

/// Asked to, unreached by gateways itself, and not twice in a short time.
fn should_make_way(view: &View, timings: &Timings) -> bool {
    let me = &view.me;
    let by_lease = view.lease.is_some_and(|seen| {
        seen.lease.epoch == me.disk.epoch && seen.lease.handover_to == Some(me.pod.other())
    });
    (by_lease || (view.asked == Some(Asked::ByPeer) && can_drain(view)))
        && !me.probed(timings)
        && view.since_handover >= timings.handover_pause
}

/// The replica has everything, is at hand, and could serve.
fn can_drain(view: &View) -> bool {
    view.replicated
        && view.talking().is_some_and(|peer| {
            peer.disk.seeded
                && peer.gate_failing.is_zero()
                && peer.activity != Activity::Serving
                && peer.disk.epoch == view.me.disk.epoch
        })
}

/// What a store that stopped writes to the Lease, once Cyrus is gone: released, with its *own* epoch, also over an older
/// Lease; nothing over a newer one. "In sync" stays as it was registered for this epoch.
#[must_use]
pub fn release(me: &Standing, lease: &Lease) -> Option<Lease> {
    let epoch = me.disk.epoch;
    let in_sync = lease.in_sync && lease.epoch == epoch;
    (me.disk.primary && lease.epoch <= epoch).then_some(Lease {
        epoch,
        in_sync,
        released: true,
        handover_to: None,
    })
}

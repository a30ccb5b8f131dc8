//! The table of a store that does not serve. The first row that matches decides.
//!
//! | # | what is seen | what it does |
//! |---|---|---|
//! | 1 | its volume is unseeded, or its gate fails | be seeded, or repaired; never serve |
//! | 2 | talks with a primary | follow it |
//! | 3 | ... that no gateway reaches, while they reach this store and it is in sync | ask it to make way |
//! | 4 | talks with a seeded store that does not serve | whichever is best takes the epoch at once, with the other's vote |
//! | 5 | no API server | wait: there is no second vote |
//! | 6 | no gateway reaches this store | wait: it would serve nobody |
//! | 7 | the Lease is older than an epoch voted for or followed | its `released` is void; after a vote, unfit until it followed |
//! | 8 | the other certainly stopped, and this store is fit | take the epoch at once, with the Lease |
//! | 9 | the Lease is fresh, but gateways do not reach its holder, which cannot be talked to | ask it through the Lease |
//! | 10 | the Lease is fresh, or a serving beat came not long ago | wait: the other may serve |
//! | 11 | Lease expired *and* peer silent, and this store is fit | take the epoch with the Lease |
//! | 12 | as 4, 8 or 11, but nobody is fit | only after `staleAfter`, or when the other disk is declared gone |

use super::{
    Decision, SecondVote, Wait,
    pair::best,
    timings::Timings,
    view::{Activity, Lease, Seen, Standing, View},
};

pub(super) fn decide(view: &View, timings: &Timings) -> Decision {
    let me = &view.me;
    if !me.disk.seeded {
        return Decision::Seed; // 1
    }
    if !me.gate_failing.is_zero() {
        return Decision::Repair; // 1
    }
    match view.talking() {
        Some(peer) if peer.activity == Activity::Serving => beside_primary(view, peer, timings),
        Some(peer) if peer.disk.seeded => together(view, peer, timings),
        _ => match view.lease {
            None => Decision::Wait(Wait::ApiAway),                             // 5
            Some(_) if !me.probed(timings) => Decision::Wait(Wait::Unreached), // 6
            Some(seen) => alone(view, seen, timings),
        },
    }
}

fn beside_primary(view: &View, primary: &Standing, timings: &Timings) -> Decision {
    let me = &view.me;
    if primary.disk.epoch < me.disk.promise {
        return Decision::Wait(Wait::Outdated); // Its next beat is refused, and then it stops.
    }
    if me.in_sync() && me.probed(timings) && !primary.probed(timings) {
        Decision::AskHandover // 3
    } else {
        Decision::Follow // 2
    }
}

fn together(view: &View, peer: &Standing, timings: &Timings) -> Decision {
    let me = &view.me;
    if let Some(pod) = best(me, peer, false, timings) {
        return if pod == me.pod {
            take(view, SecondVote::Peer, false)
        } else {
            Decision::Wait(Wait::PeerIsBetter)
        }; // 4
    }
    if best(me, peer, true, timings) == Some(me.pod) {
        stale(view, SecondVote::Peer) // 12
    } else {
        Decision::Wait(Wait::PeerIsBetter)
    }
}

fn alone(view: &View, seen: Seen, timings: &Timings) -> Decision {
    let fresh = seen.unchanged < timings.lease;
    let heard = view.peer.silence < timings.silence;
    if stopped(view, seen) {
        return finish(view, &seen.lease); // 8
    }
    if fresh && should_ask(view, &seen.lease, timings) {
        return Decision::AskThroughLease; // 9
    }
    if fresh || heard {
        return Decision::Wait(if fresh { Wait::LeaseFresh } else { Wait::PeerHeard }); // 10
    }
    finish(view, &seen.lease) // 11
}

/// Nothing stands against taking the epoch but, perhaps, that changes are missing here.
fn finish(view: &View, lease: &Lease) -> Decision {
    if fit(view, lease) { take(view, SecondVote::Lease, false) } else { stale(view, SecondVote::Lease) }
}

/// Certain to have every change that was acknowledged as safe.
fn fit(view: &View, lease: &Lease) -> bool {
    let (me, disk) = (&view.me, &view.me.disk);
    if disk.vote > disk.epoch {
        return false; // 7: the other may have served what it was voted for.
    }
    match lease.epoch.cmp(&disk.epoch) {
        std::cmp::Ordering::Equal => disk.primary || (lease.in_sync && me.in_sync()),
        // The API server was restored from a backup: nobody lowers an epoch on a disk.
        std::cmp::Ordering::Less => disk.primary,
        std::cmp::Ordering::Greater => false,
    }
}

/// The other store certainly does not serve, whatever its Lease says.
fn stopped(view: &View, seen: Seen) -> bool {
    let released = seen.lease.released && view.me.disk.nothing_after(seen.lease.epoch); // 7
    // A Lease that changed after the beat may be the other's newest, or an old one from a backup that hides the newest.
    let after_lease = view.peer.since_heard <= seen.unchanged;
    released || (after_lease && view.peer.heard.is_some_and(|peer| stopped_since(view, &peer, &seen.lease)))
}

/// It said that it stopped, and said so after its last promise: a beat that was sent before the Lease's epoch, or before a
/// vote for it, says nothing of that epoch. An unseeded store cannot serve before it followed somebody, and then the Lease
/// would be above what this store followed.
fn stopped_since(view: &View, peer: &Standing, lease: &Lease) -> bool {
    let (mine, theirs) = (&view.me.disk, &peer.disk);
    let of = if theirs.seeded { theirs.promise } else { theirs.promise.max(mine.epoch) };
    peer.activity == Activity::Stopped && lease.epoch <= of && mine.vote <= of
}

fn should_ask(view: &View, lease: &Lease, timings: &Timings) -> bool {
    let me = view.me.pod;
    !view.peer.talks
        && view.peer.unprobed >= timings.silence
        && lease.holder() != me
        && !lease.released
        && lease.handover_to != Some(me)
}

fn take(view: &View, by: SecondVote, stale: bool) -> Decision {
    Decision::Take { epoch: view.next_epoch(), by, stale }
}

fn stale(view: &View, by: SecondVote) -> Decision {
    let rule = &view.stale;
    if rule.behind > rule.retention && !rule.declared {
        return Decision::Wait(Wait::TooOld);
    }
    if rule.declared || rule.after.is_some_and(|after| rule.waited >= after) {
        take(view, by, true) // 12
    } else {
        Decision::Wait(Wait::NotInSync)
    }
}

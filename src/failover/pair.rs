//! Two agents that talk, of which neither serves: which of them should, and whether one gives the other its vote.
//!
//! Both run [`best`] on the same two standings, so they agree without a third; that is why together one need not wait.

use super::{
    disk::Disk,
    epoch::{Epoch, Pod},
    timings::Timings,
    view::{Activity, Standing, View},
};

/// A request for a vote. It is sent after the promise is on the candidate's disk, and names what the candidate is now.
/// The candidate counts its contact from the sending: an answer that comes later than the fencing time is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ballot {
    /// Who asks.
    pub candidate: Standing,
    /// For which epoch.
    pub epoch: Epoch,
    /// It may lack acknowledged changes and asks all the same.
    pub stale: bool,
}

/// Why a vote is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// An empty volume knows nothing: its vote would be worth nothing.
    #[error("this volume holds no mail of the shard, so it has no vote")]
    Unseeded,
    /// This store serves.
    #[error("this store serves")]
    Serving,
    /// The number was overtaken, or belongs to another pod.
    #[error("the epoch is not above all that this store has promised and seen")]
    Outdated,
    /// The other should not serve, as things are now.
    #[error("the candidate is not the one that should serve")]
    NotBest,
}

/// Answers a request for a vote: the disk to write and fsync *before* the answer goes out.
///
/// Whoever votes starts its silence timer anew: the other may serve from now on. Its own attempt, if there is one, ends
/// with the promise ([`Disk::still_attempts`]).
///
/// # Errors
/// The vote is not given, for this reason.
pub fn vote(view: &View, ballot: &Ballot, timings: &Timings) -> Result<Disk, Refusal> {
    let (me, candidate) = (&view.me, &ballot.candidate);
    if !me.disk.seeded {
        return Err(Refusal::Unseeded);
    }
    if me.activity == Activity::Serving {
        return Err(Refusal::Serving);
    }
    if ballot.epoch <= me.disk.seen() || ballot.epoch.pod() != candidate.pod || candidate.pod == me.pod {
        return Err(Refusal::Outdated);
    }
    let best = match best(me, candidate, false, timings) {
        None if ballot.stale => best(me, candidate, true, timings),
        best => best,
    };
    if best == Some(candidate.pod) { Ok(me.disk.voted(ballot.epoch)) } else { Err(Refusal::NotBest) }
}

/// Which of two talking stores should serve; nobody, if neither is certain to have every acknowledged change (`stale`
/// leaves that out of account).
#[must_use]
pub fn best(one: &Standing, two: &Standing, stale: bool, timings: &Timings) -> Option<Pod> {
    let top = one.disk.epoch.max(two.disk.epoch);
    let complete = |x: &Standing, other: &Standing| {
        x.disk.epoch == top && (x.disk.primary || (x.in_sync() && !other.disk.alone))
    };
    let fit = |x: &Standing, other: &Standing| able(x, other, timings) && (stale || complete(x, other));
    // Who made way stays behind, unless the one it made way for cannot serve after all.
    let fits = |x: &Standing, other: &Standing| fit(x, other) && !(x.yields() && fit(other, x));
    match (fits(one, two), fits(two, one)) {
        (false, false) => None,
        (true, false) => Some(one.pod),
        (false, true) => Some(two.pod),
        // The one with the highest epoch, and of two with the same the one that served it: nothing need be carried over.
        (true, true) => Some(if rank(two) > rank(one) { two.pod } else { one.pod }),
    }
}

/// It can serve, and gateways reach it, or reach neither.
fn able(x: &Standing, other: &Standing, timings: &Timings) -> bool {
    x.disk.seeded && x.gate_failing.is_zero() && (x.probed(timings) || !other.probed(timings))
}

/// Alike on both sides whoever asks, so ends with the pod.
fn rank(x: &Standing) -> (Epoch, bool, std::cmp::Reverse<Pod>) {
    (x.disk.epoch, x.disk.primary, std::cmp::Reverse(x.pod))
}

//! Rules taken away, one at a time. Some are taken from the decision, by showing it something else than there is or by
//! changing what it says; the others from the agent around it.

use crate::{
    failover::{Activity, Decision, Epoch, SecondVote, Stop, View, Wait},
    state::{TICK, TICKS},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    // Taken from the decision
    /// An empty volume counts as seeded.
    EmptyServes,
    /// A store whose disk hangs goes on.
    NoGate,
    /// The Lease counts as expired at once.
    NoLeaseExpiry,
    /// The peer counts as silent at once.
    NoSilence,
    /// Lease and silence last no longer than fencing.
    NoMargin,
    /// A primary without contact goes on.
    NoFencing,
    /// A primary goes on although a higher epoch or promise is seen.
    NotSuperseded,
    /// Two that talk wait for the Lease all the same.
    NoPair,
    /// An old "stopped" counts for a later epoch.
    OldStopCounts,
    /// A beat from before the Lease's last change counts.
    OldBeatCounts,
    /// A store that attempts counts as one that stopped.
    AttemptIsStop,
    /// A `released` older than what was voted for or followed counts.
    OldReleaseCounts,
    /// Whoever may lack changes takes over at once.
    NotInSyncTakes,
    /// The Lease's "in sync" is not asked for.
    LeaseNotAsked,
    /// The peer's `alone` is not asked for.
    AloneNotAsked,
    /// Having voted for the other counts for nothing.
    VoteForgotten,
    /// A Lease older than one's own epoch is obeyed.
    OldLeaseObeyed,
    /// Nobody asks an unreached primary to make way.
    NoHandover,
    // Taken from the agent
    /// "In sync" is kept across a restart.
    ToldOutlivesRestart,
    /// A later promise of one's own overwrites the vote.
    PromiseHidesVote,
    /// A vote does not restart the silence.
    VoteKeepsSilence,
    /// A vote does not end one's own attempt.
    VoteKeepsAttempt,
    /// The Lease is written whatever it has become.
    BlindSwap,
    /// A restarted primary goes on in its old epoch.
    ResumeEpoch,
    /// Nothing kills Cyrus when its agent hangs.
    NoWatchdog,
    /// A beat does not say whether its sender serves.
    BeatsSayNothing,
}

impl Mutant {
    /// Shows the decision something else than there is.
    pub fn bend(mutant: Option<Self>, view: &mut View) {
        let Some(mutant) = mutant else { return };
        let long = u32::from(TICKS) * TICK;
        match mutant {
            Self::EmptyServes => view.me.disk.seeded = true,
            Self::NoGate => view.me.gate_failing = std::time::Duration::ZERO,
            Self::OldBeatCounts => view.peer.since_heard = std::time::Duration::ZERO,
            Self::NoSilence => view.peer.silence = long,
            Self::NoFencing => view.contact = std::time::Duration::ZERO,
            Self::NoPair => view.peer.talks &= view.me.activity == Activity::Serving,
            Self::VoteForgotten => view.me.disk.vote = Epoch::NONE,
            Self::NoMargin => view.peer.silence += TICK,
            Self::AloneNotAsked => view.me.disk.alone = false,
            _ => {}
        }
        if let Some(seen) = &mut view.lease {
            match mutant {
                Self::NoLeaseExpiry => seen.unchanged = long,
                Self::NoMargin => seen.unchanged += TICK,
                Self::LeaseNotAsked => seen.lease.in_sync = true,
                Self::NotSuperseded if view.me.activity == Activity::Serving => {
                    seen.lease.epoch = seen.lease.epoch.min(view.me.disk.epoch);
                }
                _ => {}
            }
        }
        let lease = view.lease.map_or(Epoch::NONE, |seen| seen.lease.epoch);
        let Some(peer) = &mut view.peer.heard else { return };
        match mutant {
            Self::OldStopCounts => peer.disk.promise = peer.disk.promise.max(lease).max(view.me.disk.vote),
            Self::AttemptIsStop if peer.activity == Activity::Attempting => peer.activity = Activity::Stopped,
            Self::AloneNotAsked => peer.disk.alone = false,
            Self::BeatsSayNothing => peer.activity = Activity::Serving,
            Self::NotSuperseded if view.me.activity == Activity::Serving => {
                peer.disk.epoch = peer.disk.epoch.min(view.me.disk.epoch);
                peer.disk.promise = peer.disk.promise.min(view.me.disk.epoch);
            }
            _ => {}
        }
    }

    /// Changes what the decision says.
    pub fn twist(mutant: Option<Self>, view: &View, decision: Decision) -> Decision {
        let lease = view.lease.map(|seen| seen.lease);
        let take = Decision::Take { epoch: view.next_epoch(), by: SecondVote::Lease, stale: false };
        match (mutant, decision) {
            (Some(Self::NotInSyncTakes), Decision::Wait(Wait::NotInSync)) => take,
            (Some(Self::OldReleaseCounts), Decision::Wait(_))
                if lease.is_some_and(|lease| lease.released) =>
            {
                take
            }
            (Some(Self::OldLeaseObeyed), Decision::Serve { .. })
                if lease.is_some_and(|lease| lease.epoch < view.me.disk.epoch) =>
            {
                Decision::Stop(Stop::Superseded)
            }
            (Some(Self::NoHandover), Decision::AskHandover | Decision::AskThroughLease) => Decision::Follow,
            (_, decision) => decision,
        }
    }
}

//! Who is primary: the types and the one decision function.
//!
//! A shard has two store pods with a volume each, and one Lease. These are its three *votes*. An epoch is taken with two of
//! them and kept with one besides one's own disk; its number has its pod's parity, is above every number its taker has seen,
//! and is never resumed: every start of service is a new epoch. *Together one need not wait, alone one must.*
//!
//! ```text
//!  disk, gate, beats, Lease, gateways' probes ──▶ View ──▶ decide ──▶ Decision ──▶ (the agent carries it out)
//! ```
//!
//! Nothing here reads a clock, a socket or a file. The agent's order for [`Decision::Take`] is: write the promise
//! ([`Disk::promised`]) and fsync; kill every `sync_server`, for beats of the old primary are refused from now on
//! ([`refuses`]); get the second vote, by a compare-and-swap of the Lease on the version that the decision read, or by a
//! [`Ballot`]; write the epoch ([`Disk::taken`]) and fsync; start Cyrus as primary. A vote whose outcome is unknown, a crash
//! in between, or a promise since ([`Disk::still_attempts`]) end the attempt: the next one has a higher number.
//!
//! On [`Decision::Stop`] and [`Decision::HandOver`] Cyrus's whole process group is killed, then [`release`] is written. A
//! watchdog process kills it when `contact` reaches the fencing time, whether or not the agent still runs.
//!
//! A shard begins once ([`founds`]): both volumes are new, and the Lease was never taken.
//!
//! The same function is enumerated by the tests beside it, and explored by the model under `tests/model`, with messages
//! lost, pods killed and paused, links cut, disks lost and the API server restored from a backup.

mod disk;
mod epoch;
mod found;
mod pair;
mod serving;
mod standby;
#[cfg(test)]
mod table_tests;
mod timings;
mod view;

pub use disk::Disk;
pub use epoch::{Epoch, EpochError, Pod};
pub use found::{Holdings, founds};
pub use pair::{Ballot, Refusal, best, vote};
pub use serving::release;
pub use timings::{Periods, Timings, TimingsError};
pub use view::{Activity, Asked, Lease, Peer, Seen, Stale, Standing, View};

/// What a store does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Serving: go on.
    Serve {
        /// What to register. Leaving "in sync" is first written to the disk as `alone`, then to the Lease or told to the
        /// peer, whichever answers; entering it is told to both, and then `alone` is cleared.
        in_sync: bool,
        /// The Lease to write, when a renewal is due or it differs; nothing while the API server is away.
        lease: Option<Lease>,
    },
    /// Serving: stop at once.
    Stop(Stop),
    /// Serving: stop accepting, wait until the replica has everything, stop, and remember to have yielded.
    HandOver,
    /// Get the shard's mail from the primary, if there is one.
    Seed,
    /// The disk or Cyrus does not work.
    Repair,
    /// Be the peer's replica.
    Follow,
    /// Ask the peer to make way.
    AskHandover,
    /// Write `handover_to` to the Lease.
    AskThroughLease,
    /// Take this epoch.
    Take {
        /// The number to promise.
        epoch: Epoch,
        /// Who must agree.
        by: SecondVote,
        /// Acknowledged changes may be missing here: to be said in status, with the time they may be of.
        stale: bool,
    },
    /// Nothing can be done now.
    Wait(Wait),
}

/// The vote besides the store's own disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondVote {
    /// The other store, by a [`Ballot`].
    Peer,
    /// The Lease, by a compare-and-swap.
    Lease,
}

/// Why a store stops serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The volume is not the one that carries this epoch.
    NotMyDisk,
    /// A higher epoch or promise exists.
    Superseded,
    /// The protocol probe or the fsync failed too long.
    GateFailed,
    /// Neither the peer nor the Lease answered for the fencing time.
    Isolated,
    /// No gateway reaches it, and the other store asked for its place.
    Unreached,
}

/// Why a store waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// The primary it sees is outdated and about to stop.
    Outdated,
    /// The other should serve.
    PeerIsBetter,
    /// Neither the API server nor the other store gives a second vote.
    ApiAway,
    /// No gateway reaches this store.
    Unreached,
    /// The Lease was renewed not long ago.
    LeaseFresh,
    /// The other was heard serving not long ago.
    PeerHeard,
    /// Acknowledged changes may be missing here.
    NotInSync,
    /// More is missing here than the journal still has.
    TooOld,
}

/// Decides what a store does next. See `serving` and `standby` for the rules.
#[must_use]
pub fn decide(view: &View, timings: &Timings) -> Decision {
    match view.me.activity {
        Activity::Serving => serving::decide(view, timings),
        Activity::Attempting | Activity::Stopped => standby::decide(view, timings),
    }
}

/// A store with this disk refuses beats of this epoch: it promised a higher one. A refusal is no contact, and silence goes
/// on for whoever refuses.
#[must_use]
pub fn refuses(disk: &Disk, epoch: Epoch) -> bool {
    epoch < disk.promise
}

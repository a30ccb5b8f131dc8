//! How a shard begins: an unseeded volume never serves, but at first there is no other.
//!
//! Only two agents that talk, both on volumes without a role, found a shard, and only while its Lease was never taken. So
//! neither a lost volume nor an API server restored from a backup can make an empty store serve while the other disk has
//! the mail.

use super::{
    epoch::{Epoch, Pod},
    view::{Activity, View},
};

/// Which of the two volumes hold mail although no role is written on them: those of a system that had one store for each
/// shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// This one.
    pub mine: bool,
    /// The other.
    pub theirs: bool,
}

/// The epoch with which this store founds the shard, by a compare-and-swap of the Lease; `None`: it does not.
///
/// The store that holds mail does, else the even one. If both hold mail nobody does: whose is right, only a person knows.
#[must_use]
pub fn founds(view: &View, holdings: Holdings) -> Option<Epoch> {
    let (peer, seen) = (view.talking()?, view.lease?);
    let new = !view.me.disk.seeded && !peer.disk.seeded && seen.lease.epoch == Epoch::NONE;
    let idle = peer.activity == Activity::Stopped && view.me.gate_failing.is_zero();
    let founder = match (holdings.mine, holdings.theirs) {
        (true, true) => None,
        (true, false) => Some(view.me.pod),
        (false, true) => Some(view.me.pod.other()),
        (false, false) => Some(Pod::Even),
    };
    (new && idle && founder == Some(view.me.pod)).then(|| view.next_epoch())
}

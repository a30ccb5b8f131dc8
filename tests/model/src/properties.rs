//! What must hold in every state.

use crate::{
    Mutant,
    failover::Epoch,
    state::{Run, World},
    user::Change,
};

/// A property, by the name under which a violation is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// At most one store serves.
    OnePrimary,
    /// An unseeded volume neither serves nor votes.
    EmptyIsNothing,
    /// A change on both disks is on every store that serves.
    SafeStays,
    /// So is one acknowledged by a primary that had registered to be alone, unless a stale takeover was declared.
    AloneStays,
    /// Any acknowledged change is there in the end, if its disk survives and nothing was declared lost.
    ReturnsInTheEnd,
    /// After repair a primary serves, and the other follows it.
    Recovers,
    /// Without repair one serves, if a healthy store that gateways reach has a second vote.
    ServesIfItCan,
}

impl Promise {
    pub const ALL: [Self; 7] = [
        Self::OnePrimary,
        Self::EmptyIsNothing,
        Self::SafeStays,
        Self::AloneStays,
        Self::ReturnsInTheEnd,
        Self::Recovers,
        Self::ServesIfItCan,
    ];

    pub fn holds(self, world: &World, mutant: Option<Mutant>) -> bool {
        match self {
            Self::OnePrimary => !(world.serves(0) && world.serves(1)),
            Self::EmptyIsNothing => {
                world.stores.iter().all(|s| s.disk.seeded || (!s.serving && s.disk.vote == Epoch::NONE))
            }
            Self::SafeStays => world.change != Change::Strong || shows(world, 0) && shows(world, 1),
            Self::AloneStays => !matches!(world.change, Change::Solo(at) if !shows(world, 1 - at)),
            Self::ReturnsInTheEnd => returns(world, mutant),
            Self::Recovers => {
                let end = world.repaired(mutant);
                end.primary().is_some_and(|i| end.follows(1 - i))
            }
            Self::ServesIfItCan => {
                !(can_serve(world, 0) || can_serve(world, 1)) || world.settled(mutant).primary().is_some()
            }
        }
    }
}

fn shows(world: &World, i: usize) -> bool {
    !world.serves(i) || world.stores[i].change
}

fn returns(world: &World, mutant: Option<Mutant>) -> bool {
    if matches!(world.change, Change::None | Change::Void) {
        return true;
    }
    let end = world.repaired(mutant);
    end.change == Change::Void || end.primary().is_none_or(|i| end.stores[i].change)
}

/// Healthy, seeded, reached by gateways, and the Lease or a seeded peer would give the second vote.
fn can_serve(world: &World, i: usize) -> bool {
    let (me, peer) = (&world.stores[i], &world.stores[1 - i]);
    let runs = |run| matches!(run, Run::Up | Run::Down);
    let lease = world.api && world.api_link[i];
    let vote = runs(peer.run) && peer.disk.seeded && world.link == [true; 2];
    runs(me.run) && !me.hung && me.disk.seeded && world.gateways[i] && (lease || vote)
}

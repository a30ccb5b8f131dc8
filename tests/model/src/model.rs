//! The search.

use std::{collections::BTreeMap, fmt, time::Duration};

use stateright::{Checker, Model, Property};

use crate::{
    Action, Mutant, Promise,
    state::{Backup, Run, World},
};

/// What may go wrong; each costs one of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    Crash(usize),
    CrashBoth,
    NodeLost(usize),
    DiskLost(usize),
    DiskHung(usize),
    /// The agent is stopped, Cyrus is not.
    Paused(usize),
    /// The fencing timer loses a tick, once: the margin covers it.
    SlowClock(usize),
    ApiCut(usize),
    GatewaysCut(usize),
    PeersCut,
    /// What this store sends to the other is lost.
    OneWayCut(usize),
    /// From the API server and from the peer.
    Isolated(usize),
    ApiDown,
    ApiRestored(Backup),
    /// The last beat that this store got was long on its way, and comes only after the Lease has changed.
    LateBeat(usize),
    /// No fault, but it comes at any moment.
    Switchover(usize),
}

impl Fault {
    /// Every one.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let each = [
            Self::Crash,
            Self::NodeLost,
            Self::DiskLost,
            Self::DiskHung,
            Self::Paused,
            Self::SlowClock,
            Self::ApiCut,
            Self::GatewaysCut,
            Self::OneWayCut,
            Self::Isolated,
            Self::LateBeat,
            Self::Switchover,
        ];
        let mut all: Vec<_> = each.iter().flat_map(|fault| [fault(0), fault(1)]).collect();
        all.extend([Self::CrashBoth, Self::PeersCut, Self::ApiDown]);
        all.extend([Backup::Now, Backup::Old, Backup::OldReleased].map(Self::ApiRestored));
        all
    }

    fn possible(self, world: &World) -> bool {
        let store = |i: usize| &world.stores[i];
        match self {
            Self::Crash(i) | Self::DiskHung(i) | Self::Paused(i) => world.up(i) && !store(i).hung,
            Self::CrashBoth => world.up(0) && world.up(1),
            Self::NodeLost(i) => store(i).run != Run::Gone,
            // Both lost is restored from a backup of the mail.
            Self::DiskLost(_) => store(0).disk.seeded && store(1).disk.seeded,
            Self::SlowClock(i) => store(i).contact > 0 && !store(i).slowed,
            Self::ApiCut(i) => world.api_link[i],
            Self::GatewaysCut(i) => world.gateways[i],
            Self::PeersCut => world.link != [false; 2],
            Self::OneWayCut(i) => world.link[i],
            Self::Isolated(i) => world.api_link[i] && world.link != [false; 2],
            Self::ApiDown => world.api,
            Self::ApiRestored(backup) => world.lease != World::backup(backup),
            Self::LateBeat(i) => store(i).heard.is_some() && !store(i).heard_since_lease,
            Self::Switchover(i) => world.up(i) && world.serves(i),
        }
    }
}

/// One shard, what may go wrong with it, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Shard {
    pub faults: Vec<Fault>,
    /// How many of them.
    pub budget: u8,
    pub promises: Vec<Promise>,
    pub mutant: Option<Mutant>,
}

impl Shard {
    /// The rules as they are.
    #[must_use]
    pub fn new(faults: Vec<Fault>, budget: u8, promises: &[Promise]) -> Self {
        Self { faults, budget, promises: promises.to_vec(), mutant: None }
    }
}

impl Model for Shard {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::healthy(self.budget)]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        out.push(Action::Tick);
        world.protocol(self.mutant, out);
        world.user(out);
        world.repairs(out);
        if world.faults_left > 0 {
            out.extend(self.faults.iter().filter(|fault| fault.possible(world)).copied().map(Action::Fault));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(world.after(action, self.mutant).renumbered()).filter(|next| next != world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Promise::ALL.into_iter().filter(|promise| self.promises.contains(promise)).map(property).collect()
    }
}

fn property(promise: Promise) -> Property<Shard> {
    macro_rules! always {
        ($($name:ident)*) => {
            match promise {
                $(Promise::$name => Property::always(stringify!($name), |shard: &Shard, world: &World| {
                    Promise::$name.holds(world, shard.mutant)
                }),)*
            }
        };
    }
    always!(OnePrimary EmptyIsNothing SafeStays AloneStays ReturnsInTheEnd Recovers ServesIfItCan)
}

/// What a search found.
#[derive(Debug)]
pub struct Report {
    pub states: usize,
    /// The steps to a violation, by promise.
    pub violated: BTreeMap<&'static str, Vec<Action>>,
    /// Every state within the budget was seen.
    pub exhaustive: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.states)?;
        if !self.exhaustive {
            write!(f, ", not all")?;
        }
        self.violated.iter().try_for_each(|(name, path)| write!(f, "\n{name} is violated by {path:?}"))
    }
}

/// Searches breadth first, so that a violation's steps are few, until all is seen or the time is over.
#[must_use]
pub fn check(shard: Shard, at_most: Duration) -> Report {
    let checker = shard
        .checker()
        .threads(1)
        .timeout(at_most)
        .finish_when(stateright::HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    Report {
        states: checker.unique_state_count(),
        exhaustive: checker.is_done() && found.is_empty(),
        violated: found.into_iter().map(|(name, path)| (name, path.into_actions())).collect(),
    }
}

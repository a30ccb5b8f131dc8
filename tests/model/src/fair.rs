//! What becomes of a state if nothing more fails: one deterministic, fair run.

use crate::{
    Action, Mutant,
    state::{Run, World},
};

/// Rounds in which nobody is let take over without being in sync, as `staleAfter` is long.
const PATIENT: usize = 12;
const ROUNDS: usize = 40;

impl World {
    /// Everything is repaired, then time passes.
    #[must_use]
    pub fn repaired(&self, mutant: Option<Mutant>) -> Self {
        let mut world = self.clone();
        world.api = true;
        world.api_link = [true; 2];
        world.link = [true; 2];
        world.gateways = [true; 2];
        for store in &mut world.stores {
            store.hung = false;
            store.run = if store.run == Run::Down { Run::Down } else { Run::Up };
        }
        world.settled(mutant)
    }

    /// Time passes; pods restart, nothing else is repaired.
    #[must_use]
    pub fn settled(&self, mutant: Option<Mutant>) -> Self {
        let mut world = self.clone();
        let mut actions = Vec::new();
        for round in 0..ROUNDS {
            let before = world.clone();
            let mut last = None;
            for _ in 0..12 {
                actions.clear();
                world.protocol(mutant, &mut actions);
                let fair = |action: &Action| match action {
                    Action::PromiseStale(_) => round >= PATIENT,
                    Action::Vote { answered, .. } | Action::Swap { answered, .. } => *answered,
                    _ => true,
                };
                let Some(action) = actions.iter().copied().find(|a| fair(a) && Some(*a) != last) else {
                    break;
                };
                world = world.after(action, mutant);
                last = Some(action);
            }
            world.tick(mutant);
            if world == before && round > PATIENT {
                break;
            }
        }
        world
    }

    /// The store that serves and that gateways reach.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        (0..2).find(|i| self.serves(*i) && self.gateways[*i] && !self.stores[*i].hung)
    }
}

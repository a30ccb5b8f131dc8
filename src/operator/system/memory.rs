//! What was applied last for each system, so that a look at one whose counts changed, or none of whose objects did, writes
//! nothing. It is told of every change that the watches see, our own changes too. Without IO.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{names::SystemName, operator::desired::Desired};

/// After this long everything is applied again: a watch that was away does not tell what was deleted meanwhile.
const TRUSTED: Duration = Duration::from_mins(9);

/// See the module.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<SystemName, Last>>);

#[derive(Debug, Default)]
struct Last {
    /// What stands, and since when; `None` if that is not known.
    applied: Option<(Box<Desired>, Instant)>,
    /// Whether an object changed since the apply began.
    touched: bool,
}

impl Memory {
    /// One of the system's objects was made, changed or deleted, by whomever.
    pub fn touch(&self, system: &SystemName) {
        if let Some(last) = self.systems().get_mut(system) {
            last.touched = true;
        }
    }

    /// Whether all of `desired` stands. If not, an apply begins.
    #[must_use]
    pub fn stands(&self, system: &SystemName, desired: &Desired, now: Instant) -> bool {
        let mut systems = self.systems();
        let last = systems.entry(system.clone()).or_default();
        let known = last.applied.take_if(|(applied, at)| {
            last.touched || **applied != *desired || now.duration_since(*at) >= TRUSTED
        });
        last.touched = false;
        known.is_none() && last.applied.is_some()
    }

    /// The apply that began has ended, and nothing was refused.
    pub fn applied(&self, system: &SystemName, desired: Desired, now: Instant) {
        self.systems().entry(system.clone()).or_default().applied = Some((Box::new(desired), now));
    }

    /// The system is gone.
    pub fn forget(&self, system: &SystemName) {
        self.systems().remove(system);
    }

    fn systems(&self) -> MutexGuard<'_, HashMap<SystemName, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{
        desired::desired,
        system::testing::{fetched, validate},
    };

    fn wanted(spec: &str) -> Desired {
        desired(&validate(&fetched(spec)).unwrap().validated)
    }

    #[test]
    fn what_was_applied_stands_until_it_or_what_is_wanted_changes_or_it_is_old() {
        let (memory, name, now) = (Memory::default(), SystemName::new("n", "s"), Instant::now());
        let mut one = wanted("{hostname: mail.x.vn}");
        assert!(!memory.stands(&name, &one, now), "nothing was applied");
        memory.applied(&name, one.clone(), now);
        assert!(memory.stands(&name, &one, now) && memory.stands(&name, &one, now));
        assert!(!memory.stands(&name, &one, now + TRUSTED), "it is old");
        memory.applied(&name, one.clone(), now);
        memory.touch(&name);
        assert!(!memory.stands(&name, &one, now), "somebody changed an object");
        assert!(!memory.stands(&name, &one, now), "the apply failed");
        memory.touch(&name);
        memory.applied(&name, one.clone(), now);
        assert!(!memory.stands(&name, &one, now), "something changed during the apply");
        memory.applied(&name, one.clone(), now);
        one.accounts.pop();
        assert!(!memory.stands(&name, &one, now), "other objects are wanted");
    }
}

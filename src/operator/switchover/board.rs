//! What was seen last of each system, and what its status is made of. Without IO; the time comes in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Shard;
use crate::names::SystemName;

/// Between two writes of figures alone.
pub const FIGURES: Duration = Duration::from_secs(15);

/// The shards of a system.
pub type Shards = Arc<Vec<Shard>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<SystemName, Entry>>);

#[derive(Debug)]
struct Entry {
    seen: Shards,
    told: Shards,
    /// When that was taken.
    at: Instant,
}

impl Board {
    /// Takes what was seen at `now`. Whether status is to say something else than before.
    pub fn put(&self, system: &SystemName, shards: Vec<Shard>, now: Instant) -> bool {
        let seen = Arc::new(shards);
        let mut systems = self.systems();
        let Some(entry) = systems.get_mut(system) else {
            systems.insert(system.clone(), Entry { seen: seen.clone(), told: seen, at: now });
            return true;
        };
        let roles = differ(&seen, &entry.told, Shard::differs);
        let figures = || differ(&seen, &entry.told, Shard::figures_differ);
        let news = roles || (now.duration_since(entry.at) >= FIGURES && figures());
        if news {
            (entry.told, entry.at) = (seen.clone(), now);
        }
        entry.seen = seen;
        news
    }

    /// What status is made of.
    #[must_use]
    pub fn told(&self, system: &SystemName) -> Option<Shards> {
        self.systems().get(system).map(|entry| entry.told.clone())
    }

    /// What was seen last.
    #[must_use]
    pub fn seen(&self, system: &SystemName) -> Option<Shards> {
        self.systems().get(system).map(|entry| entry.seen.clone())
    }

    /// What was seen last, of all systems.
    #[must_use]
    pub fn all(&self) -> Vec<(SystemName, Shards)> {
        self.systems().iter().map(|(system, entry)| (system.clone(), entry.seen.clone())).collect()
    }

    /// Forgets all other systems.
    pub fn keep(&self, wanted: impl Fn(&SystemName) -> bool) {
        self.systems().retain(|system, _| wanted(system));
    }

    fn systems(&self) -> MutexGuard<'_, HashMap<SystemName, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn differ(new: &[Shard], old: &[Shard], one: impl Fn(&Shard, &Shard) -> bool) -> bool {
    new.len() != old.len() || new.iter().zip(old).any(|(new, old)| one(new, old))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operator::switchover::observe::tests::{report, shard},
        role::{Lag, Phase},
    };

    #[test]
    fn a_role_is_told_at_once_and_a_figure_after_a_while() {
        let (board, system, start) = (Board::default(), SystemName::new("n", "s"), Instant::now());
        let with = |seconds: u64, phase| {
            let mut primary = report(0, 4, Phase::Primary);
            primary.lag = Some(Lag { seconds, changes: 1 });
            vec![shard([Some(primary), Some(report(1, 4, phase))])]
        };
        let second = Duration::from_secs(1);
        assert!(board.put(&system, with(0, Phase::CatchingUp), start), "nothing was known");
        for n in 1..15 {
            assert!(!board.put(&system, with(10 + n, Phase::CatchingUp), start + second * 2), "{n}");
        }
        assert_eq!(*board.told(&system).unwrap(), with(0, Phase::CatchingUp), "status stays as it is");
        assert_eq!(*board.seen(&system).unwrap(), with(24, Phase::CatchingUp));
        assert!(board.put(&system, with(30, Phase::CatchingUp), start + FIGURES));
        assert!(!board.put(&system, with(30, Phase::CatchingUp), start + FIGURES * 3), "the same");
        assert!(board.put(&system, with(30, Phase::InSync), start + FIGURES * 3));
        assert!(board.put(&system, Vec::new(), start + FIGURES * 3), "a shard less");
        board.keep(|_| false);
        assert!(board.told(&system).is_none() && board.all().is_empty());
    }
}

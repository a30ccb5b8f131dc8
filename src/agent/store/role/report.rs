//! What is said of the role, to gateways and to the operator.

use super::{clock, shared::Shared};
use crate::{
    failover::{Activity, Epoch},
    role::{Phase, Report},
};

impl Shared {
    /// What this store says of its role now.
    #[must_use]
    pub fn report(&self) -> Report {
        let memory = self.memory().clone();
        let words = self.words().clone();
        let standing = memory.standing(clock::now());
        let serving = standing.activity == Activity::Serving;
        let follows = memory.told == Some(memory.record.disk.epoch) && memory.ready == memory.told;
        let phase = match standing.activity {
            Activity::Serving if standing.gate_failing.is_zero() => Phase::Primary,
            Activity::Attempting => Phase::Electing,
            _ if memory.gate.is_some() => Phase::Failing,
            _ if words.returning => Phase::Returning,
            _ if follows => Phase::InSync,
            _ => idle(&memory),
        };
        let failing = memory.gate.as_ref().map(|(_, words)| words.clone());
        Report {
            pod: self.name(memory.pod).to_owned(),
            epoch: memory.record.disk.epoch.number(),
            serving,
            phase,
            in_sync: if serving { memory.replicated && !memory.record.disk.alone } else { follows },
            message: failing.unwrap_or(words.message),
            lag: words.lag.filter(|_| serving),
            progress: words.progress,
            stale_takeover: memory.record.stale.filter(|_| serving),
        }
    }
}

/// It does not serve, does not fail, and has not everything.
fn idle(memory: &super::memory::Memory) -> Phase {
    let seeded = memory.record.disk.seeded;
    let follows: Option<Epoch> = memory.ready;
    match (seeded, follows) {
        (true, Some(_)) => Phase::CatchingUp,
        (false, Some(_)) => Phase::Seeding,
        (true, None) => Phase::Waiting,
        (false, None) => Phase::Unseeded,
    }
}

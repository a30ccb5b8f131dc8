//! How far a replica is, and what is done next about it. Values only: what is known comes in, a [`Step`] goes out.
//!
//! ```text
//!  Away ─▶ Comparing ─▶ Draining ─told─▶ InSync
//!    └────no need─────────▲   ◀──trouble──┘
//! ```

use std::time::Duration;

/// The channel is this far behind: the replica does not have everything any more.
const BEHIND: Duration = Duration::from_secs(5);
/// Whatever does not drain in this time is looked for by a comparison.
const DRAINS_WITHIN: Duration = Duration::from_mins(1);
/// A replica that does not say this long that it was told is told again.
const TELL_AGAIN: Duration = Duration::from_secs(2);

/// How far the replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// None takes what is sent.
    Away,
    /// All mailboxes are compared.
    Comparing,
    /// What was logged up to a moment is being sent.
    Draining,
    /// It has everything.
    InSync,
}

/// What becomes of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// None was made with this run of the replica.
    None,
    /// It goes on.
    Running,
    /// It failed.
    Failed,
    /// Everything that differed was sent.
    Done,
}

/// What is known of the replica that takes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// It is the run that the stage is about.
    pub same: bool,
    /// It does not know what it lacks.
    pub compare: bool,
}

/// What a step depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The replica, if there is one.
    pub replica: Option<Replica>,
    /// With this run of it.
    pub comparison: Comparison,
    /// Something could not be sent, or stopped the channel, since the last step.
    pub trouble: bool,
    /// How far the channel is behind.
    pub lag: Duration,
    /// All that was logged when the channel was armed is sent.
    pub passed: bool,
    /// For how long it has been draining without being compared.
    pub draining: Duration,
    /// In sync, for how long the replica has not said so.
    pub untold: Duration,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Stay,
    /// The replica is gone.
    Leave,
    /// Compare all mailboxes.
    Compare,
    /// Have the processes connect anew, and wait for what is logged up to now.
    Arm,
    /// Wait for what is logged up to now.
    Drain,
    /// Tell the replica that it has everything.
    Tell,
}

/// What is done next.
#[must_use]
pub fn next(stage: Stage, facts: &Facts) -> Step {
    let Some(replica) = facts.replica else {
        return if stage == Stage::Away { Step::Stay } else { Step::Leave };
    };
    let fresh = || if replica.compare { Step::Compare } else { Step::Arm };
    if !replica.same {
        return fresh();
    }
    match stage {
        Stage::Away => fresh(),
        Stage::Comparing => match facts.comparison {
            Comparison::Running => Step::Stay,
            Comparison::Done => Step::Arm,
            Comparison::None | Comparison::Failed => Step::Compare,
        },
        Stage::Draining if facts.passed && !facts.trouble => Step::Tell,
        Stage::Draining if facts.draining > DRAINS_WITHIN => Step::Compare,
        Stage::Draining if facts.trouble => Step::Drain,
        Stage::InSync if facts.trouble || facts.lag > BEHIND => Step::Drain,
        Stage::InSync if facts.untold > TELL_AGAIN => Step::Tell,
        Stage::Draining | Stage::InSync => Step::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Facts = Facts {
        replica: Some(Replica { same: true, compare: false }),
        comparison: Comparison::None,
        trouble: false,
        lag: Duration::ZERO,
        passed: false,
        draining: Duration::ZERO,
        untold: Duration::ZERO,
    };
    const ALL: [Stage; 4] = [Stage::Away, Stage::Comparing, Stage::Draining, Stage::InSync];

    #[test]
    fn whatever_was_known_of_a_replica_that_is_gone_is_forgotten() {
        for stage in ALL {
            let gone = Facts { replica: None, passed: true, comparison: Comparison::Done, ..CALM };
            let step = if stage == Stage::Away { Step::Stay } else { Step::Leave };
            assert_eq!(next(stage, &gone), step, "{stage:?}");
        }
    }

    #[test]
    fn another_run_of_the_replica_begins_anew_whatever_the_former_had() {
        for stage in ALL {
            for (compare, step) in [(true, Step::Compare), (false, Step::Arm)] {
                let replica = Some(Replica { same: false, compare });
                let facts = Facts { replica, passed: true, comparison: Comparison::Done, ..CALM };
                assert_eq!(next(stage, &facts), step, "{stage:?}");
            }
        }
    }

    #[test]
    fn a_comparison_is_made_once_and_again_only_if_it_failed() {
        let compare = Facts { replica: Some(Replica { same: true, compare: true }), ..CALM };
        assert_eq!(next(Stage::Away, &compare), Step::Compare);
        for (comparison, step) in [
            (Comparison::Running, Step::Stay),
            (Comparison::Done, Step::Arm),
            (Comparison::Failed, Step::Compare),
        ] {
            assert_eq!(next(Stage::Comparing, &Facts { comparison, ..compare }), step);
        }
        // It goes on asking for one until it was told, and there was one.
        let draining = Facts { comparison: Comparison::Done, ..compare };
        assert_eq!(next(Stage::Draining, &draining), Step::Stay);
    }

    #[test]
    fn it_is_told_only_when_the_mark_is_passed_and_nothing_happened_since() {
        for passed in [false, true] {
            for trouble in [false, true] {
                let step = match (trouble, passed) {
                    (true, _) => Step::Drain,
                    (false, true) => Step::Tell,
                    (false, false) => Step::Stay,
                };
                assert_eq!(next(Stage::Draining, &Facts { trouble, passed, ..CALM }), step);
            }
        }
    }

    #[test]
    fn what_does_not_drain_is_compared() {
        let facts = |draining| Facts { draining, ..CALM };
        assert_eq!(next(Stage::Draining, &facts(DRAINS_WITHIN)), Step::Stay);
        assert_eq!(next(Stage::Draining, &facts(DRAINS_WITHIN + Duration::from_secs(1))), Step::Compare);
    }

    #[test]
    fn it_is_in_sync_until_trouble_or_five_seconds_of_lag() {
        let late = Duration::from_secs(1);
        for (facts, step) in [
            (CALM, Step::Stay),
            (Facts { lag: BEHIND, ..CALM }, Step::Stay),
            (Facts { lag: BEHIND + late, ..CALM }, Step::Drain),
            (Facts { trouble: true, ..CALM }, Step::Drain),
            (Facts { untold: TELL_AGAIN, ..CALM }, Step::Stay),
            (Facts { untold: TELL_AGAIN + late, ..CALM }, Step::Tell),
            (Facts { untold: TELL_AGAIN + late, trouble: true, ..CALM }, Step::Drain),
        ] {
            assert_eq!(next(Stage::InSync, &facts), step, "{facts:?}");
        }
    }
}

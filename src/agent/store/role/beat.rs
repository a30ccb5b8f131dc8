//! What two agents tell each other, in JSON. Values only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::{Activity, Disk, Epoch, EpochError, Pod, Standing};

/// A beat, or the answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "it says what the disk says, field by field")]
pub struct Beat {
    /// Which run of the agent: random, made at its start.
    pub run: u64,
    /// Counts the beats and answers of this run.
    pub number: u64,
    odd: bool,
    seeded: bool,
    epoch: u64,
    primary: bool,
    alone: bool,
    promise: u64,
    vote: u64,
    activity: Doing,
    gate_failing_ms: u64,
    unprobed_ms: u64,
    told: Option<u64>,
    yielded: Option<u64>,
    /// What concerns the channel between the two.
    pub channel: Channel,
}

/// What concerns the channel between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// As primary: the replica has everything, as far as is known now.
    pub in_sync: bool,
    /// As replica: Cyrus takes what the primary of this epoch sends.
    pub ready: Option<u64>,
    /// As replica: nothing is known of what this volume lacks, so that everything must be compared.
    pub compare: bool,
    /// On a volume without a role: there is mail on it.
    pub holds_mail: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Doing {
    Serving,
    Attempting,
    Stopped,
}

impl Beat {
    /// Says what `standing` says.
    #[must_use]
    pub fn of(standing: &Standing, channel: Channel, (run, number): (u64, u64)) -> Self {
        let Disk { seeded, epoch, primary, alone, promise, vote } = standing.disk;
        Self {
            run,
            number,
            odd: standing.pod == Pod::Odd,
            seeded,
            epoch: epoch.number(),
            primary,
            alone,
            promise: promise.number(),
            vote: vote.number(),
            activity: match standing.activity {
                Activity::Serving => Doing::Serving,
                Activity::Attempting => Doing::Attempting,
                Activity::Stopped => Doing::Stopped,
            },
            gate_failing_ms: millis(standing.gate_failing),
            unprobed_ms: millis(standing.unprobed),
            told: standing.told_in_sync.map(Epoch::number),
            yielded: standing.yielded.map(Epoch::number),
            channel,
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// A number is no epoch.
    pub fn standing(&self) -> Result<Standing, EpochError> {
        let number = Epoch::from_number;
        Ok(Standing {
            pod: if self.odd { Pod::Odd } else { Pod::Even },
            disk: Disk {
                seeded: self.seeded,
                epoch: number(self.epoch)?,
                primary: self.primary,
                alone: self.alone,
                promise: number(self.promise)?,
                vote: number(self.vote)?,
            },
            activity: match self.activity {
                Doing::Serving => Activity::Serving,
                Doing::Attempting => Activity::Attempting,
                Doing::Stopped => Activity::Stopped,
            },
            gate_failing: Duration::from_millis(self.gate_failing_ms),
            unprobed: Duration::from_millis(self.unprobed_ms),
            told_in_sync: self.told.map(number).transpose()?,
            yielded: self.yielded.map(number).transpose()?,
        })
    }
}

/// Rounded up, so that what began a moment ago is not taken for nothing.
fn millis(duration: Duration) -> u64 {
    let up = duration.saturating_add(Duration::from_nanos(999_999));
    up.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Asks for a vote: see [`Ballot`](crate::failover::Ballot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRequest {
    /// Who asks, as it is now.
    pub candidate: Beat,
    /// For which epoch.
    pub epoch: u64,
    /// It may lack acknowledged changes and asks all the same.
    pub stale: bool,
}

/// The answer to a request for a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteAnswer {
    /// The vote is on the voter's disk.
    pub granted: bool,
    /// Why not.
    pub why: String,
}

/// The primary tells the replica that it has everything of this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The primary's epoch.
    pub epoch: u64,
    /// The run of the replica's agent in which it followed so far: another one may have lost something.
    pub run: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_said_is_understood(
            odd: bool, seeded: bool, primary: bool, alone: bool, numbers in prop::array::uniform5(0_u64..1 << 53),
            doing in 0_usize..3, failing in 0_u64..100_000, unprobed in 0_u64..100_000, told: bool,
        ) {
            let epoch = |i: usize| Epoch::from_number(numbers[i]).unwrap();
            let standing = Standing {
                pod: if odd { Pod::Odd } else { Pod::Even },
                disk: Disk { seeded, epoch: epoch(0), primary, alone, promise: epoch(1), vote: epoch(2) },
                activity: [Activity::Serving, Activity::Attempting, Activity::Stopped][doing],
                gate_failing: Duration::from_millis(failing),
                unprobed: Duration::from_millis(unprobed),
                told_in_sync: told.then(|| epoch(3)),
                yielded: (!told).then(|| epoch(4)),
            };
            let beat = Beat::of(&standing, Channel::default(), (3, 4));
            let text = serde_json::to_string(&beat).unwrap();
            let read: Beat = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.standing().unwrap(), standing);
        }
    }

    #[test]
    fn a_gate_that_has_just_failed_is_not_said_to_work() {
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}

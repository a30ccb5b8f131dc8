//! Pods and epochs: two small values that carry the rule that no number ever belongs to two pods.

/// One of a shard's two store pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pod {
    /// The pod of even epochs.
    Even,
    /// The pod of odd epochs.
    Odd,
}

impl Pod {
    /// Both, the even one first.
    pub const BOTH: [Self; 2] = [Self::Even, Self::Odd];

    /// The other pod of the shard.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    /// Its ordinal in the StatefulSet.
    #[must_use]
    pub const fn ordinal(self) -> usize {
        match self {
            Self::Even => 0,
            Self::Odd => 1,
        }
    }
}

/// A period of service by one pod. The number says by which, so two pods that choose at once cannot choose the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// The number is not an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {0} is above 2^53: somebody wrote it by hand, no shard gets that far")]
pub struct EpochError(pub u64);

impl Epoch {
    /// Before every epoch: what a new volume and a missing Lease have seen.
    pub const NONE: Self = Self(0);
    /// JSON readers keep integers exactly up to here; far enough from the type's end for any number of successors.
    const LIMIT: u64 = 1 << 53;

    /// An epoch read from a disk, a Lease or the peer.
    ///
    /// # Errors
    /// The number is above 2^53.
    pub const fn from_number(number: u64) -> Result<Self, EpochError> {
        if number > Self::LIMIT { Err(EpochError(number)) } else { Ok(Self(number)) }
    }

    /// The number, as it is written.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whose it is.
    #[must_use]
    pub const fn pod(self) -> Pod {
        if self.0.is_multiple_of(2) { Pod::Even } else { Pod::Odd }
    }

    /// The next epoch of `pod`: above everything `seen`, for an epoch is never resumed.
    #[must_use]
    pub fn next(pod: Pod, seen: impl IntoIterator<Item = Self>) -> Self {
        let above = Self(seen.into_iter().max().unwrap_or(Self::NONE).0 + 1);
        if above.pod() == pod { above } else { Self(above.0 + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_epoch_is_above_all_seen_and_of_its_pods_parity() {
        for pod in Pod::BOTH {
            for high in 0..20 {
                let seen = [Epoch(high / 2), Epoch(high), Epoch::NONE];
                let next = Epoch::next(pod, seen);
                assert!(seen.iter().all(|s| *s < next) && next.0 <= high + 2);
                assert_eq!(next.pod(), pod);
            }
            assert_eq!(Epoch::next(pod, []).pod(), pod);
        }
    }

    #[test]
    fn a_number_that_leaves_no_room_is_no_epoch() {
        assert_eq!(Epoch::from_number(u64::MAX), Err(EpochError(u64::MAX)));
        let last = Epoch::from_number(Epoch::LIMIT).unwrap();
        assert!(Epoch::next(Pod::Odd, [last]) > last);
    }
}

//! The periods that safety rests on. Nothing but [`Timings::new`] makes them, and it refuses those under which two
//! stores could serve at once.

use std::{ops::Deref, time::Duration};

/// The periods as somebody wishes them. The defaults are the tested ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Between two beats to the peer.
    pub beat: Duration,
    /// Between two renewals of the Lease.
    pub renewal: Duration,
    /// A primary that neither peer nor Lease answers stops so long after it *sent* what was answered last.
    pub fencing: Duration,
    /// From the decision to stop until Cyrus's whole process group is gone.
    pub kill: Duration,
    /// For errors of clocks and of scheduling.
    pub margin: Duration,
    /// A Lease seen unchanged for so long is expired. Counted from the *receipt* of what was read.
    pub lease: Duration,
    /// A peer of which no serving beat came for so long is silent; a store that no gateway probed, out of reach.
    pub silence: Duration,
    /// A primary whose probe or fsync fails for so long stops.
    pub gate: Duration,
    /// Between two handovers that nobody ordered, lest two stores hand over to each other without end.
    pub handover_pause: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(1),
            renewal: Duration::from_secs(2),
            fencing: Duration::from_secs(6),
            kill: Duration::from_secs(1),
            margin: Duration::from_secs(2),
            lease: Duration::from_secs(9),
            silence: Duration::from_secs(9),
            gate: Duration::from_secs(5),
            handover_pause: Duration::from_mins(5),
        }
    }
}

/// Periods under which at most one store serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings(Periods);

/// The periods are not safe, or not workable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingsError {
    /// The replica could take over while the old primary still serves.
    #[error(
        "{name} is {is:?}: it must be at least fencing + kill + margin, {least:?}, or two stores could serve"
    )]
    Overlap {
        /// `lease` or `silence`.
        name: &'static str,
        /// What it is.
        is: Duration,
        /// What it must be at least.
        least: Duration,
    },
    /// One lost packet would stop a healthy primary.
    #[error("{name} is {is:?}: it must be above zero and fit three times into fencing, {fencing:?}")]
    TooSlow {
        /// `beat` or `renewal`.
        name: &'static str,
        /// What it is.
        is: Duration,
        /// The fencing time.
        fencing: Duration,
    },
    /// Without them a clock that is a little wrong breaks the promise.
    #[error("kill and margin must be above zero")]
    NoMargin,
}

impl Timings {
    /// Checks the periods.
    ///
    /// # Errors
    /// Under these periods two stores could serve, or a healthy one would stop without need.
    pub fn new(periods: Periods) -> Result<Self, TimingsError> {
        let Periods { beat, renewal, fencing, kill, margin, lease, silence, .. } = periods;
        if kill.is_zero() || margin.is_zero() {
            return Err(TimingsError::NoMargin);
        }
        for (name, is) in [("beat", beat), ("renewal", renewal)] {
            if is.is_zero() || is.saturating_mul(3) > fencing {
                return Err(TimingsError::TooSlow { name, is, fencing });
            }
        }
        let least = fencing.saturating_add(kill).saturating_add(margin);
        for (name, is) in [("lease", lease), ("silence", silence)] {
            if is < least {
                return Err(TimingsError::Overlap { name, is, least });
            }
        }
        Ok(Self(periods))
    }
}

impl Deref for Timings {
    type Target = Periods;

    fn deref(&self) -> &Periods {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_are_safe() {
        assert!(Timings::new(Periods::default()).is_ok());
    }

    #[test]
    fn a_lease_or_silence_shorter_than_fencing_kill_and_margin_is_refused() {
        let d = Periods::default();
        let least = d.fencing + d.kill + d.margin;
        for (name, periods) in [
            ("lease", Periods { lease: least.saturating_sub(Duration::from_nanos(1)), ..d }),
            ("silence", Periods { silence: SECOND, ..d }),
        ] {
            let error = Timings::new(periods).unwrap_err();
            assert!(
                matches!(error, TimingsError::Overlap { name: n, least: l, .. } if n == name && l == least)
            );
        }
        assert!(Timings::new(Periods { fencing: Duration::MAX, ..d }).is_err());
    }

    #[test]
    fn beats_and_renewals_that_one_lost_packet_would_turn_into_a_stop_are_refused() {
        let d = Periods::default();
        for periods in [
            Periods { beat: 3 * SECOND, ..d },
            Periods { renewal: 3 * SECOND, ..d },
            Periods { renewal: Duration::ZERO, ..d },
        ] {
            assert!(matches!(Timings::new(periods), Err(TimingsError::TooSlow { .. })));
        }
        for periods in [Periods { kill: Duration::ZERO, ..d }, Periods { margin: Duration::ZERO, ..d }] {
            assert_eq!(Timings::new(periods), Err(TimingsError::NoMargin));
        }
    }
}

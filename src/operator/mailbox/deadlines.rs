//! When the time of retired mail is over. A clock that jumps must not have anything purged: its word counts only if it stays
//! the same for an hour of time that is measured otherwise. Pure but for the times that are passed in.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// How long a deadline must be seen to have passed.
const BRAKE: Duration = Duration::from_hours(1);

/// Since when each deadline is seen to have passed.
#[derive(Debug, Default)]
pub struct Deadlines(HashMap<Box<str>, Instant>);

impl Deadlines {
    /// Whether the time of this uid is over; `over` is what the clock says, `now` is of no clock.
    pub fn passed(&mut self, uid: &str, over: bool, now: Instant) -> bool {
        if !over {
            self.0.remove(uid);
            return false;
        }
        now.duration_since(*self.0.entry(uid.into()).or_insert(now)) >= BRAKE
    }

    /// Forgets those of no interest any more.
    pub fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_known(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_passed_when_the_clock_says_so_for_an_hour_without_a_break() {
        let (mut deadlines, start) = (Deadlines::default(), Instant::now());
        let minutes = |n| start + Duration::from_mins(n);
        assert!(!deadlines.passed("u", true, start) && !deadlines.passed("u", true, minutes(59)));
        assert!(!deadlines.passed("u", false, minutes(60)), "the clock was set right");
        assert!(!deadlines.passed("u", true, minutes(61)) && !deadlines.passed("u", true, minutes(120)));
        assert!(deadlines.passed("u", true, minutes(121)) && !deadlines.passed("v", true, minutes(121)));
        deadlines.keep(|uid| uid == "v");
        assert!(!deadlines.passed("u", true, minutes(122)) && deadlines.passed("v", true, minutes(181)));
    }
}

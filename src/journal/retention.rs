//! What may be deleted of a journal: only what is settled, and older than the retention. Pure.
//!
//! Until stores have replicas and backups are verified, *settled* means: every message in it came to its end, every answer is
//! recorded in object storage, and the gateway that accepted it has known all of that from the beginning. One open message
//! keeps everything that was written after it was accepted.

/// The clocks of a gateway and of object storage differ by less, in milliseconds.
const CLOCKS: u64 = 10 * 60 * 1000;
/// Completions outlive the messages that they speak of by so long: a segment may be uploaded later than they are.
const COMPLETIONS: u64 = 24 * 60 * 60 * 1000;

/// What is known when it is decided. Times are Unix time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Now.
    pub now: u64,
    /// How long everything is kept at least, in milliseconds.
    pub retention: u64,
    /// Since when the gateway's ledger has every message.
    pub since: u64,
    /// When the oldest message was accepted that has not come to its end, or whose end is not recorded yet.
    pub oldest_open: Option<u64>,
}

impl Known {
    /// Whether a segment that was written at `written` may be deleted.
    #[must_use]
    pub fn segment(&self, written: u64) -> bool {
        let latest = written.saturating_add(CLOCKS);
        let settled = self.oldest_open.is_none_or(|open| latest < open);
        settled
            && written > self.since.saturating_add(CLOCKS)
            && latest.saturating_add(self.retention) < self.now
    }

    /// Whether completions that were written at `written` may be deleted.
    #[must_use]
    pub fn completions(&self, written: u64) -> bool {
        self.segment(written.saturating_add(COMPLETIONS))
    }

    /// Whether the oldest open message is so old that its end has to be seen to before the retention ends.
    #[must_use]
    pub fn alarms(&self) -> bool {
        self.oldest_open.is_some_and(|open| self.now.saturating_sub(open) > self.retention / 5 * 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400_000;

    fn known(oldest_open: Option<u64>) -> Known {
        Known { now: 100 * DAY, retention: 30 * DAY, since: 10 * DAY, oldest_open }
    }

    #[test]
    fn what_is_settled_and_old_goes_and_nothing_else() {
        assert!(known(None).segment(60 * DAY));
        assert!(!known(None).segment(71 * DAY), "it is not old");
        assert!(!known(None).segment(9 * DAY), "the ledger did not know it from the beginning");
        assert!(known(Some(61 * DAY)).segment(60 * DAY));
        assert!(!known(Some(60 * DAY)).segment(60 * DAY), "an open message may be in it");
        assert!(known(None).completions(60 * DAY) && !known(None).completions(69 * DAY + DAY / 2));
    }

    #[test]
    fn an_open_message_near_the_end_of_the_retention_is_an_alarm() {
        assert!(known(Some(75 * DAY)).alarms());
        assert!(!known(Some(77 * DAY)).alarms() && !known(None).alarms());
    }

    proptest! {
        #[test]
        fn nothing_goes_that_may_have_an_open_message_or_is_young(
            now in 0..1_u64 << 45, retention in DAY..40 * DAY, since in 0..1_u64 << 45,
            open in proptest::option::of(0..1_u64 << 45), accepted in 0..1_u64 << 45, late in 0..3 * DAY,
        ) {
            let known = Known { now, retention, since, oldest_open: open };
            // A message is accepted before the segment with it is written.
            let written = accepted + late;
            if known.segment(written) {
                prop_assert!(open.is_none_or(|open| open > accepted));
                prop_assert!(now - written > retention);
            }
            // Completions of what stays stay.
            if known.completions(written) {
                prop_assert!(known.segment(written));
            }
        }
    }
}

//! How many mailboxes may vanish before it is taken for an accident. Records in, a verdict out. Pure.

use crate::directory::Retired;

/// What vanishes within this time, in seconds, is counted together.
const WINDOW: i64 = 60 * 60;
/// So many may vanish in any system.
const ALWAYS: usize = 5;
/// In a large one, one in so many.
const SHARE: usize = 20;

/// Whether the record counts as one of those that vanished lately without a word.
#[must_use]
pub const fn is_sudden(record: &Retired, now: i64) -> bool {
    !record.confirmed && !record.purge && record.since > now - WINDOW
}

/// Whether so many mailboxes vanished suddenly that it may have been an accident; `left` are still there.
#[must_use]
pub const fn is_accident(sudden: usize, left: usize) -> bool {
    let share = (sudden + left) / SHARE;
    sudden > if share > ALWAYS { share } else { ALWAYS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_may_go_and_five_in_a_hundred_of_many() {
        for (sudden, left, accident) in
            [(1, 0, false), (5, 0, false), (6, 0, true), (5, 1000, false), (50, 950, false), (51, 949, true)]
        {
            assert_eq!(is_accident(sudden, left), accident, "{sudden} of {}", sudden + left);
        }
    }
}

//! How many mailboxes may vanish before it is taken for an accident, and how such a set is named. Records in, a verdict out.
//! Pure.

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

/// The word by which exactly these mailboxes are confirmed to be gone on purpose: their number, and a digest of their
/// uids, so that it says nothing of a later accident of the same number. `uids` are sorted.
#[must_use]
pub fn confirmation(uids: &[Box<str>]) -> String {
    let bytes = uids.iter().flat_map(|uid| uid.bytes().chain([b'\n']));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{}-{:08x}", uids.len(), (hash ^ (hash >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_for_a_set_of_mailboxes_is_no_word_for_another_of_the_same_size() {
        let word = |uids: &[&str]| confirmation(&uids.iter().map(|uid| Box::from(*uid)).collect::<Vec<_>>());
        assert_eq!(word(&["a", "b"]), word(&["a", "b"]));
        assert!(word(&["a", "b"]).starts_with("2-") && word(&["a", "b"]) != word(&["a", "c"]));
        assert_ne!(word(&["a", "b"]), word(&["ab", ""]));
    }

    #[test]
    fn a_few_may_go_and_five_in_a_hundred_of_many() {
        for (sudden, left, accident) in
            [(1, 0, false), (5, 0, false), (6, 0, true), (5, 1000, false), (50, 950, false), (51, 949, true)]
        {
            assert_eq!(is_accident(sudden, left), accident, "{sudden} of {}", sudden + left);
        }
    }
}

//! How far a proof is. Pure.

use crate::job::{Counted, Progress};

/// The parts of a proof, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Files come from the repository.
    Restoring,
    /// Cyrus is started on them.
    Starting,
    /// They are compared with the manifest.
    Comparing,
    /// What Cyrus serves is read.
    Reading,
    /// The scratch volume is emptied.
    Emptying,
}

impl Part {
    /// What it is called, and of what to what it counts in a proof: hundredths.
    const fn span(self) -> (&'static str, u32, u32) {
        match self {
            Self::Restoring => ("Restoring", 0, 50),
            Self::Starting => ("Starting", 50, 52),
            Self::Comparing => ("Comparing", 52, 80),
            Self::Reading => ("Reading", 80, 99),
            Self::Emptying => ("Emptying", 99, 100),
        }
    }

    /// So much is done when `done` of `all` of this part is, with these numbers.
    #[must_use]
    pub fn progress(self, done: u64, all: u64, counted: &Counted) -> Progress {
        let (phase, from, until) = self.span();
        let share = (done.min(all) * 100).checked_div(all).and_then(|share| u32::try_from(share).ok());
        Progress {
            phase: phase.to_owned(),
            percent: from + (until - from) * share.unwrap_or_default() / 100,
            mailboxes: counted.mailboxes,
            messages: counted.messages,
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_up_from_part_to_part() {
        let parts = [Part::Restoring, Part::Starting, Part::Comparing, Part::Reading, Part::Emptying];
        let of = |part: Part, done| part.progress(done, 200, &Counted::default()).percent;
        for pair in parts.windows(2) {
            assert_eq!(of(pair[0], 200), of(pair[1], 0), "{pair:?}");
        }
        assert_eq!((of(Part::Restoring, 0), of(Part::Comparing, 100), of(Part::Emptying, 999)), (0, 66, 100));
        assert_eq!(Part::Reading.progress(0, 0, &Counted::default()).percent, 80);
    }
}

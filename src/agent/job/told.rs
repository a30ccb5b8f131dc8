//! Lines on standard output. Progress is told when it changed, and at most once a second; a new phase at once.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::job::{Progress, Said};

/// Progress is told no more often.
const OFTEN: Duration = Duration::from_secs(1);

/// Whom a work tells how far it is. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Option<(Instant, Progress)>>>);

impl Told {
    /// It is so far.
    pub fn progress(&self, progress: Progress) {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(last.as_ref(), now, &progress) {
            // Who cannot hear it misses nothing that matters.
            let _ = self.say(&Said::<()>::Progress(progress.clone()));
            *last = Some((now, progress));
        }
    }

    /// Says this, now.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn say(&self, said: &Said<impl Serialize>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", said.line())?;
        out.flush()
    }
}

fn is_due(last: Option<&(Instant, Progress)>, now: Instant, next: &Progress) -> bool {
    let Some((at, last)) = last else { return true };
    last.phase != next.phase || (last != next && now.duration_since(*at) >= OFTEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_on_a_change_and_at_most_once_a_second() {
        let begin = Instant::now();
        let at = |phase: &str, percent| Progress { phase: phase.into(), percent, ..Progress::default() };
        let last = (begin, at("Storing", 3));
        assert!(is_due(None, begin, &last.1));
        let later = begin + OFTEN;
        assert!(!is_due(Some(&last), later, &at("Storing", 3)), "nothing changed");
        assert!(!is_due(Some(&last), begin + OFTEN / 2, &at("Storing", 4)), "too soon");
        assert!(is_due(Some(&last), later, &at("Storing", 4)));
        assert!(is_due(Some(&last), begin, &at("Checking", 4)), "another phase");
    }
}

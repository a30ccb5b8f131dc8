//! When a run makes no progress any more. It does while its own figures move, or its process reads and writes; but not by
//! trying the same thing over and over, which writes too.

use std::time::{Duration, Instant};

use super::message::Progress;

/// Reading and writing less than this is no progress.
const LITTLE: u64 = 64 << 10;

/// Watches a run.
#[derive(Clone, Debug)]
pub struct Watch {
    moved: Instant,
    files: u64,
    bytes: u64,
    /// What the process had read and written when it last moved.
    base: u64,
    trying_again: bool,
}

impl Watch {
    /// Begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { moved: now, files: 0, bytes: 0, base: 0, trying_again: false }
    }

    /// Restic told how far it is.
    pub fn figures(&mut self, now: Instant, progress: &Progress) {
        if progress.files > self.files || progress.bytes > self.bytes {
            self.files = self.files.max(progress.files);
            self.bytes = self.bytes.max(progress.bytes);
            self.trying_again = false;
            self.moved = now;
        }
    }

    /// It tries something again.
    pub fn tries_again(&mut self) {
        self.trying_again = true;
    }

    /// Its process has read and written so many bytes since it began, its words not counted.
    pub fn transferred(&mut self, now: Instant, bytes: u64) {
        if bytes.saturating_sub(self.base) < LITTLE {
            return;
        }
        self.base = bytes;
        if self.trying_again {
            // It counts again once nothing was tried again in between.
            self.trying_again = false;
        } else {
            self.moved = now;
        }
    }

    /// Whether nothing moved for `limit`.
    #[must_use]
    pub fn stalled(&self, now: Instant, limit: Duration) -> bool {
        now.duration_since(self.moved) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(2);

    fn progress(files: u64, bytes: u64) -> Progress {
        Progress { files, bytes, ..Progress::default() }
    }

    #[test]
    fn figures_that_move_are_progress_and_the_same_ones_again_are_not() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut watch = Watch::new(begin);
        assert!(!watch.stalled(at(119), LIMIT) && watch.stalled(at(120), LIMIT));
        watch.figures(at(100), &progress(1, 0));
        assert!(!watch.stalled(at(219), LIMIT));
        watch.figures(at(200), &progress(1, 0));
        assert!(watch.stalled(at(220), LIMIT));
        watch.figures(at(219), &progress(1, 7));
        assert!(!watch.stalled(at(338), LIMIT));
    }

    #[test]
    fn reading_and_writing_is_progress_unless_it_is_the_same_again() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut watch = Watch::new(begin);
        watch.transferred(at(60), LITTLE - 1);
        assert!(watch.stalled(at(120), LIMIT));
        watch.transferred(at(60), LITTLE);
        assert!(!watch.stalled(at(179), LIMIT));
        // A pack of 16 MiB each time, refused each time.
        for n in 1..4 {
            watch.tries_again();
            watch.transferred(at(60 + n * 20), LITTLE + n * (16 << 20));
        }
        assert!(watch.stalled(at(180), LIMIT));
        watch.transferred(at(150), 100 << 20);
        assert!(!watch.stalled(at(269), LIMIT), "it went through at last");
    }
}

//! What `sync_client` has yet to send: the files that Cyrus logs changes to.
//!
//! `log` is written, renamed to `log-run`, worked through and removed. Under load it is never empty, so emptiness says
//! nothing: a [`Mark`] holds the files that are there at a moment, and is passed when both have been removed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::role::Lag;

/// Where Cyrus logs changes.
pub const FOLDER: &str = "/data/conf/sync";
const FILES: [&str; 2] = ["log-run", "log"];
/// Lines are counted up to here.
const MOST_LINES: u64 = 100_000;

/// All that was logged before a moment.
#[derive(Debug)]
pub struct Mark {
    at: Duration,
    files: Vec<File>,
}

impl Mark {
    /// All that is logged now, which is the time `at`.
    #[must_use]
    pub fn new(folder: &Path, at: Duration) -> Self {
        // The renamed file is opened first: what is renamed in between is opened twice, not missed.
        Self { at, files: FILES.iter().filter_map(|name| File::open(folder.join(name)).ok()).collect() }
    }

    /// Whether all of it was sent. An open file keeps its number, so a new one is not taken for it.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.files
            .iter()
            .all(|file| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0 || metadata.len() == 0))
    }
}

/// Follows how far the channel is behind.
#[derive(Debug)]
pub struct Backlog {
    folder: PathBuf,
    mark: Mark,
}

impl Backlog {
    /// Of the log in `folder`.
    #[must_use]
    pub fn new(folder: &Path, now: Duration) -> Self {
        Self { folder: folder.to_owned(), mark: Mark::new(folder, now) }
    }

    /// How far it is behind at `now`.
    pub fn lag(&mut self, now: Duration) -> Lag {
        if self.mark.is_passed() {
            self.mark = Mark::new(&self.folder, now);
        }
        if self.mark.is_passed() {
            return Lag::default();
        }
        let changes = FILES.iter().filter_map(|name| lines(&self.folder.join(name)).ok()).sum();
        Lag { seconds: now.saturating_sub(self.mark.at).as_secs(), changes }
    }
}

fn lines(path: &Path) -> io::Result<u64> {
    let mut count = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        line?;
        count += 1;
        if count == MOST_LINES {
            break;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_mark_is_passed_when_what_was_there_is_gone_although_more_was_logged() {
        let folder = tempfile::tempdir().unwrap();
        let (log, run) = (folder.path().join("log"), folder.path().join("log-run"));
        assert!(Mark::new(folder.path(), Duration::ZERO).is_passed());
        fs::write(&log, "APPEND x\n").unwrap();
        let mark = Mark::new(folder.path(), Duration::ZERO);
        assert!(!mark.is_passed());
        fs::rename(&log, &run).unwrap();
        fs::write(&log, "APPEND y\nAPPEND z\n").unwrap();
        assert!(!mark.is_passed());
        fs::remove_file(&run).unwrap();
        assert!(mark.is_passed());
    }

    #[test]
    fn lag_grows_until_the_first_change_is_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = Duration::from_secs;
        let mut backlog = Backlog::new(folder.path(), at(0));
        assert_eq!(backlog.lag(at(1)), Lag::default());
        fs::write(folder.path().join("log"), "APPEND x\nAPPEND y\n").unwrap();
        assert_eq!(backlog.lag(at(2)), Lag { seconds: 0, changes: 2 });
        assert_eq!(backlog.lag(at(7)), Lag { seconds: 5, changes: 2 });
        fs::remove_file(folder.path().join("log")).unwrap();
        assert_eq!(backlog.lag(at(8)), Lag::default());
    }
}

//! Postfix' log as a file on the queue's volume: read line by line, and put aside before it grows large.
//!
//! Postfix appends, the agent reads and rotates: so no line is lost while either is away. The file that is put aside is
//! read to its end before the new one. Blocking.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// The log, and what it is called once it was put aside.
const NAMES: [&str; 2] = ["mail.log", "mail.log.1"];
/// From this size on it is put aside.
const LARGE: u64 = 32 << 20;
/// Read at once.
const PIECE: usize = 1 << 20;
/// Postfix has opened the new file by then.
const OPENED_WITHIN: Duration = Duration::from_secs(30);

/// Up to where the log was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The file, whatever it is called by now.
    inode: u64,
    offset: u64,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Whole lines.
    pub(super) lines: Vec<u8>,
    /// There is more already.
    pub(super) more: bool,
    /// Everything was read that there was.
    pub(super) at_end: bool,
}

/// The log.
#[derive(Debug)]
pub(super) struct Tail {
    folder: PathBuf,
    position: Position,
    /// Since when the file that was put aside has had nothing new, and the log something.
    quiet: Option<Instant>,
    synced: u64,
}

impl Tail {
    /// The log in `folder`, which is made if it is not there, from `position` on; from its beginning if that is of another
    /// file.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub(super) fn open(folder: &Path, position: Position) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        make(&folder.join(NAMES[0]))?;
        let mut tail = Self { folder: folder.to_owned(), position, quiet: None, synced: 0 };
        let known = NAMES.iter().any(|name| inode(&tail.path(name)) == Some(position.inode));
        if !known {
            // The older of the two that are there.
            let first = NAMES.iter().rev().find_map(|name| inode(&tail.path(name)));
            tail.position = Position { inode: first.unwrap_or_default(), offset: 0 };
        }
        Ok(tail)
    }

    /// Up to where it was read.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// What was not read yet, in bytes.
    pub(super) fn behind(&self) -> u64 {
        let sizes = NAMES.iter().filter_map(|name| fs::metadata(self.path(name)).ok());
        let (mut total, mut own) = (0, 0);
        for file in sizes {
            total += file.len();
            own += if file.ino() == self.position.inode { self.position.offset } else { 0 };
        }
        total.saturating_sub(own)
    }

    /// The next whole lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&mut self) -> io::Result<Piece> {
        let aside = inode(&self.path(NAMES[1])) == Some(self.position.inode);
        let path = self.path(NAMES[usize::from(aside)]);
        let (lines, more) = self.lines(&path)?;
        if lines.is_empty() && aside {
            self.go_on()?;
        } else {
            self.quiet = None;
        }
        Ok(Piece { lines, more, at_end: !more && !aside })
    }

    /// Whole lines, and whether there is more.
    fn lines(&mut self, path: &Path) -> io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        if size < self.position.offset {
            // Somebody else has cut it.
            self.position.offset = 0;
        }
        file.seek(SeekFrom::Start(self.position.offset))?;
        let mut bytes = Vec::new();
        (&mut file).take(PIECE as u64).read_to_end(&mut bytes)?;
        let more = bytes.len() == PIECE;
        if !more && size != self.synced {
            // After a power cut the log must not know less than the queue does; Postfix itself does not sync it. Once for
            // all that came since: the queue's own syncs are on the same disk.
            file.sync_data()?;
            self.synced = size;
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        // A line as long as a piece is none of Postfix'.
        let taken = if end == 0 && more { PIECE } else { end };
        bytes.truncate(end);
        self.position.offset += taken as u64;
        Ok((bytes, more))
    }

    /// From the file that was put aside to the new one, once Postfix writes to that and no longer to the old.
    fn go_on(&mut self) -> io::Result<()> {
        let log = fs::metadata(self.path(NAMES[0]))?;
        if log.len() == 0 {
            self.quiet = None;
        } else if self.quiet.get_or_insert_with(Instant::now).elapsed() >= OPENED_WITHIN {
            fs::remove_file(self.path(NAMES[1]))?;
            self.position = Position { inode: log.ino(), offset: 0 };
            self.quiet = None;
        }
        Ok(())
    }

    /// Puts the log aside if it is large and was read to its end; whether it did: Postfix is to be told then.
    ///
    /// # Errors
    /// The files cannot be renamed or made.
    pub(super) fn rotate(&mut self) -> io::Result<bool> {
        let [log, aside] = NAMES.map(|name| self.path(name));
        let at = fs::metadata(&log)?;
        if at.len() < LARGE
            || at.ino() != self.position.inode
            || self.position.offset < at.len()
            || aside.exists()
        {
            return Ok(false);
        }
        fs::rename(&log, &aside)?;
        make(&log)?;
        Ok(true)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Postfix appends to a file that is there as it is; one that it makes itself is for root alone.
fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn whole_lines_come_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::open(folder.path(), Position::default()).unwrap();
        let log = folder.path().join(NAMES[0]);
        append(&log, "one\ntw");
        assert_eq!(tail.read().unwrap(), Piece { lines: b"one\n".to_vec(), more: false, at_end: true });
        assert_eq!((tail.read().unwrap().lines, tail.behind()), (vec![], 2));
        let mut tail = Tail::open(folder.path(), tail.position()).unwrap();
        append(&log, "o\n");
        assert_eq!(tail.read().unwrap().lines, b"two\n");
        // Without what it was told it begins anew, and loses nothing.
        let mut tail = Tail::open(folder.path(), Position::default()).unwrap();
        assert_eq!(tail.read().unwrap().lines, b"one\ntwo\n");
    }

    #[test]
    fn a_log_that_is_put_aside_is_read_to_its_end_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::open(folder.path(), Position::default()).unwrap();
        let [log, aside] = NAMES.map(|name| folder.path().join(name));
        append(&log, &"x".repeat(1 << 20));
        assert!(!tail.rotate().unwrap(), "it is not large");
        fs::write(&log, "x\n".repeat(17 << 20)).unwrap();
        assert!(!tail.rotate().unwrap(), "it was not read");
        while tail.read().unwrap().more {}
        let postfix = OpenOptions::new().append(true).open(&log).unwrap();
        assert!(tail.rotate().unwrap() && !tail.rotate().unwrap());
        (&postfix).write_all(b"late\n").unwrap();
        append(&log, "new\n");
        let mut tail = Tail::open(folder.path(), tail.position()).unwrap();
        let late = tail.read().unwrap();
        assert_eq!((&*late.lines, late.at_end), (&b"late\n"[..], false), "the new one was not read");
        assert_eq!(tail.read().unwrap().lines, b"", "Postfix may write to it still");
        tail.quiet = Instant::now().checked_sub(OPENED_WITHIN);
        assert_eq!(tail.read().unwrap().lines, b"");
        assert_eq!(tail.read().unwrap().lines, b"new\n");
        assert!(!aside.exists());
    }
}

//! The figures of one folder, from the files that Cyrus keeps of it. They are read beside Cyrus, without a lock; what is
//! torn is read again at the next round.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use crate::wire::cyrus::{Error as FileError, HEADER, Header, Place, RECORD, Record};

/// So many of the latest records are looked at for the time of the last delivery: mail that was moved into a folder stands
/// at its end, with the time at which it came.
const LATEST: u64 = 16;
/// Records read at a time.
const BLOCK: usize = 512;
/// A file may change again within the same tick of the clock of the file system: one that changed so lately, in seconds, is
/// read again.
const TICK: i64 = 2;

/// Names a version of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

/// What a folder holds. Times are seconds of Unix time; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Bytes.
    pub used: u64,
    /// Messages.
    pub messages: u32,
    /// Messages that the owner has not read.
    pub unseen: u32,
    /// When the oldest of these came.
    pub oldest_unseen: u32,
    /// When the latest message came, as far as the folder tells.
    pub latest: u32,
}

/// Why a folder has no figures now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file is not understood, or half written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The version of the folder's index, or nothing if it has none; at `now`, in seconds of Unix time.
pub(super) fn mark(folder: &Path, now: i64) -> io::Result<Option<Mark>> {
    let about = match fs::metadata(folder.join("cyrus.index")) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if about.mtime() >= now - TICK {
        return Ok(Some(Mark::default()));
    }
    let changed = (about.mtime(), about.mtime_nsec());
    Ok(Some(Mark { changed, size: about.size(), inode: about.ino() }))
}

/// Where the folder belongs.
pub(super) fn place(folder: &Path) -> Result<Option<Place>, Error> {
    Ok(Place::parse(&fs::read(folder.join("cyrus.header"))?)?)
}

/// What the folder holds; of times later than `now` none is believed.
pub(super) fn figures(folder: &Path, now: u32) -> Result<Figures, Error> {
    let mut index = File::open(folder.join("cyrus.index"))?;
    let mut header = [0; HEADER];
    index.read_exact(&mut header).map_err(torn)?;
    let header = Header::parse(&header)?;
    let Header { used, messages, unseen, records, .. } = header;
    let oldest_unseen = if unseen > 0 { oldest_unseen(&mut index, records)?.min(now) } else { 0 };
    let latest = latest(&index, records)?.min(now);
    Ok(Figures { used, messages, unseen, oldest_unseen, latest })
}

/// The first message that is there and was not read: later ones came later, but for some that were moved.
fn oldest_unseen(index: &mut File, records: u32) -> Result<u32, Error> {
    let (mut left, mut block) = (records as usize, vec![0; BLOCK * RECORD]);
    while left > 0 {
        let count = left.min(BLOCK);
        let block = &mut block[..count * RECORD];
        index.read_exact(block).map_err(torn)?;
        for record in block.chunks_exact(RECORD) {
            let record = Record::parse(record)?;
            if !record.expunged && !record.seen {
                return Ok(record.internal_date);
            }
        }
        left -= count;
    }
    Ok(0)
}

fn latest(index: &File, records: u32) -> Result<u32, Error> {
    let count = u64::from(records).min(LATEST);
    let mut block = vec![0; usize::try_from(count).unwrap_or_default() * RECORD];
    let begin = HEADER as u64 + (u64::from(records) - count) * RECORD as u64;
    index.read_exact_at(&mut block, begin).map_err(torn)?;
    let mut latest = 0;
    for record in block.chunks_exact(RECORD) {
        latest = latest.max(Record::parse(record)?.internal_date);
    }
    Ok(latest)
}

/// A file that ends early is being written.
fn torn(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::File(FileError::Torn),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cyrus::testing::{Told, index};

    fn folder(messages: &[Told]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cyrus.index"), index(messages)).unwrap();
        folder
    }

    #[test]
    fn figures_are_those_of_the_header_and_the_oldest_unread_message_is_one_that_is_there() {
        let read = Told { date: 10, size: 100, seen: true, expunged: false };
        let expunged = Told { date: 20, size: 200, seen: false, expunged: true };
        let unread = |date| Told { date, size: 300, seen: false, expunged: false };
        let folder = folder(&[read, expunged, unread(30), unread(40)]);
        let expected = Figures { used: 700, messages: 3, unseen: 2, oldest_unseen: 30, latest: 40 };
        assert_eq!(figures(folder.path(), 1000).unwrap(), expected);
        assert_eq!(figures(folder.path(), 35).unwrap().latest, 35, "nothing came in the future");
    }

    #[test]
    fn many_messages_are_read_in_blocks() {
        let told = |n| Told { date: n, size: 1, seen: n < 1200, expunged: false };
        let folder = folder(&(1..=1300).map(told).collect::<Vec<_>>());
        let figures = figures(folder.path(), 5000).unwrap();
        assert_eq!((figures.unseen, figures.oldest_unseen, figures.latest), (101, 1200, 1300));
    }

    #[test]
    fn a_file_that_ends_early_is_torn_and_an_empty_folder_is_not() {
        let folder = folder(&[Told { date: 10, size: 1, seen: false, expunged: false }]);
        let path = folder.path().join("cyrus.index");
        let whole = fs::read(&path).unwrap();
        for end in [0, 100, 200] {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(matches!(figures(folder.path(), 99), Err(Error::File(FileError::Torn))), "{end}");
        }
        fs::write(&path, index(&[])).unwrap();
        assert_eq!(figures(folder.path(), 99).unwrap(), Figures::default());
    }

    #[test]
    fn a_file_that_changed_just_now_is_read_again() {
        let folder = folder(&[]);
        let changed = fs::metadata(folder.path().join("cyrus.index")).unwrap().mtime();
        assert_eq!(mark(folder.path(), changed).unwrap(), Some(Mark::default()));
        let later = mark(folder.path(), changed + 10).unwrap();
        assert!(
            later.is_some_and(|it| it != Mark::default())
                && later == mark(folder.path(), changed + 20).unwrap()
        );
        assert_eq!(mark(&folder.path().join("x"), changed).unwrap(), None);
    }
}

//! Copies one file while Cyrus runs, so that the copy is what the file was at one moment.
//!
//! Cyrus takes a lock on a database and on an index before it writes. A copy is made under the same lock, shared, which lasts
//! as long as the copy and no longer than this process; and it counts only if the file was the same before and after.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::Path,
    thread::sleep,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};

use super::{Error, Frozen, at};

/// A file that changes is copied again so often, after such a pause.
const TRIES: (usize, Duration) = (50, Duration::from_millis(20));
/// Where no lock was to be had, a file that changed so lately may be changing still: clocks of file systems tick slowly.
const TICK: Duration = Duration::from_millis(20);
/// So many restless files are named.
const MOST: usize = 100;

/// What is there, or nothing if it is gone.
pub(super) fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Copies a file; one that is gone is not copied. Tells whether it is there.
pub(super) fn settled(from: &Path, to: &Path, frozen: &mut Frozen) -> Result<bool, Error> {
    settled_if(from, to, frozen, || true)
}

/// The same with a condition on the copy: until it holds, it is made again.
pub(super) fn settled_if(
    from: &Path,
    to: &Path,
    frozen: &mut Frozen,
    good: impl Fn() -> bool,
) -> Result<bool, Error> {
    for _ in 0..TRIES.0 {
        match once(from, to).map_err(at(from))? {
            None => {
                there(fs::remove_file(to)).map_err(at(to))?;
                return Ok(false);
            }
            Some(true) if good() => return Ok(true),
            Some(_) => sleep(TRIES.1),
        }
    }
    if frozen.restless.len() < MOST {
        frozen.restless.push(from.to_owned());
    }
    // As it is, for a torn copy is better than none.
    Ok(there(fs::copy(from, to)).map_err(at(from))?.is_some())
}

/// Copies it once. Tells whether the file stayed the same; none if it is gone.
fn once(from: &Path, to: &Path) -> io::Result<Option<bool>> {
    let Some(file) = there(File::open(from))? else { return Ok(None) };
    let locked = match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => true,
        // Somebody is writing.
        Err(Errno::ACCESS | Errno::AGAIN) => return Ok(Some(false)),
        // A file system without locks.
        Err(_) => false,
    };
    let before = file.metadata()?;
    let quiet = before.modified()?.elapsed().is_ok_and(|since| since > TICK) || is_future(&before)?;
    // By its path: this way the kernel shares the blocks where the file system can.
    if there(fs::copy(from, to))?.is_none() {
        return Ok(None);
    }
    let after = file.metadata()?;
    let now = there(fs::metadata(from))?;
    let same = mark(&before) == mark(&after) && now.is_some_and(|now| mark(&now) == mark(&after));
    Ok(Some(same && (locked || quiet)))
}

/// A time that lies ahead does not get old by waiting.
fn is_future(about: &Metadata) -> io::Result<bool> {
    Ok(about.modified()? > SystemTime::now() + TICK)
}

fn mark(about: &Metadata) -> (u64, u64, i64, i64) {
    (about.ino(), about.size(), about.mtime(), about.mtime_nsec())
}

//! Freezes a volume: a copy of what Cyrus changes, and links to the messages, which it never does. Cyrus runs on.
//!
//! The order makes the copy one that Cyrus could have left: first its databases (a mailbox that they name has its folder
//! still), then the metadata of all folders, then the messages that the copied indexes name. What is delivered meanwhile is in
//! no index and is left out; what is expunged meanwhile is in its place, since Cyrus deletes files days later. Only its nightly
//! cleaning may take a file first, of a message that was expunged.
//!
//! A message has the same inode in the copy, so a copy takes no room and no time; a volume without links gets copies. The
//! folder of a run has the suffix `.partial` until it is whole.

mod copy;
mod folder;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{FROZEN, local::folders};

/// What of `configdirectory` is frozen first.
const FIRST: &str = "mailboxes.db";
/// What of it is of no use elsewhere: what is being done, and what is made anew.
const LEFT_OUT: [&str; 14] = [
    "socket",
    "proc",
    "lock",
    "log",
    "sync",
    "msg",
    "ptclient",
    "stats",
    "db.backup1",
    "db.backup2",
    "deliver.db",
    "tls_sessions.db",
    "statuscache.db",
    FIRST,
];

/// A frozen copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    /// Where it is.
    pub path: PathBuf,
    /// Folders.
    pub folders: u64,
    /// Messages that are links.
    pub linked: u64,
    /// Messages that had to be copied.
    pub copied: u64,
    /// Messages that indexes name and whose file was gone.
    pub gone: u64,
    /// Files that Cyrus kept changing, so that their copy may be torn; of the first some.
    pub restless: Vec<PathBuf>,
}

/// Why it was not frozen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was asked to end.
    #[error("it was asked to end")]
    Cancelled,
    /// Something could not be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Says which file it was.
fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Io(path, error)
}

/// Freezes `volume` for the run of this name, whose folder it makes, and removes those of all other runs.
///
/// # Errors
/// Something cannot be read or written, or it was asked to end; what is there of the copy is removed by the next run.
pub fn freeze(volume: &Path, run: &str, cancel: &CancellationToken) -> Result<Frozen, Error> {
    thaw(volume)?;
    let parent = volume.join(FROZEN);
    let path = parent.join(format!("{run}.partial"));
    fs::create_dir_all(&path).map_err(at(&path))?;
    let mut frozen = Frozen::default();
    databases(volume, &path, &mut frozen, cancel)?;
    let spool = volume.join("spool");
    let all = folders(&spool).map_err(at(&spool))?;
    let mut copies = Vec::with_capacity(all.len());
    for folder in all {
        going(cancel)?;
        let to = path.join("spool").join(folder.strip_prefix(&spool).unwrap_or(&folder));
        if folder::metadata(&folder, &to, &mut frozen)? {
            copies.push((folder, to));
        }
    }
    for (folder, to) in &copies {
        going(cancel)?;
        folder::messages(folder, to, &mut frozen)?;
    }
    frozen.folders = copies.len() as u64;
    frozen.path = parent.join(run);
    fs::rename(&path, &frozen.path).map_err(at(&path))?;
    Ok(frozen)
}

/// The copy of a run, if it was made whole.
#[must_use]
pub fn whole(volume: &Path, run: &str) -> Option<PathBuf> {
    let path = volume.join(FROZEN).join(run);
    path.is_dir().then_some(path)
}

/// Removes all frozen copies, and what is left of some.
///
/// # Errors
/// Something cannot be removed.
pub fn thaw(volume: &Path) -> Result<(), Error> {
    let path = volume.join(FROZEN);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Io(path, error)),
        _ => Ok(()),
    }
}

fn databases(volume: &Path, to: &Path, frozen: &mut Frozen, cancel: &CancellationToken) -> Result<(), Error> {
    let conf = volume.join("conf");
    fs::create_dir_all(to.join("conf")).map_err(at(to))?;
    copy::settled(&conf.join(FIRST), &to.join("conf").join(FIRST), frozen)?;
    tree(&conf, &to.join("conf"), &LEFT_OUT, frozen, cancel)?;
    tree(&volume.join("sieve"), &to.join("sieve"), &[], frozen, cancel)
}

/// Copies the files under a folder, but for those of these names right in it.
fn tree(
    from: &Path,
    to: &Path,
    left_out: &[&str],
    frozen: &mut Frozen,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let Some(entries) = copy::there(fs::read_dir(from)).map_err(at(from))? else { return Ok(()) };
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in entries {
        going(cancel)?;
        let entry = entry.map_err(at(from))?;
        let name = entry.file_name();
        let (path, to) = (entry.path(), to.join(&name));
        let Some(kind) = copy::there(entry.file_type()).map_err(at(&path))? else { continue };
        if left_out.iter().any(|left_out| name == *left_out) || name.as_encoded_bytes().ends_with(b".NEW") {
            continue;
        }
        if kind.is_dir() {
            tree(&path, &to, &[], frozen, cancel)?;
        } else if kind.is_symlink() {
            // The active script is a link to its name.
            if let Some(target) = copy::there(fs::read_link(&path)).map_err(at(&path))? {
                std::os::unix::fs::symlink(target, &to).map_err(at(&to))?;
            }
        } else if kind.is_file() {
            copy::settled(&path, &to, frozen)?;
        }
    }
    Ok(())
}

fn going(cancel: &CancellationToken) -> Result<(), Error> {
    if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

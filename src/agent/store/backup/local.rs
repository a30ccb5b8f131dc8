//! What is done on the volume itself, and how its errors are told.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use super::freeze;
use crate::backup::restic::{Failure, Reason};

/// Files under a folder, links to others not counted.
pub(super) fn files(folder: &Path) -> io::Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            count += files(&entry.path())?;
        } else {
            count += u64::from(kind.is_file());
        }
    }
    Ok(count)
}

/// The directories of folders under a spool, in order; none under one that has no mailbox yet.
pub(in crate::agent) fn folders(spool: &Path) -> io::Result<Vec<PathBuf>> {
    let root = spool.join("uuid");
    let mut found = Vec::new();
    if !root.try_exists()? {
        return Ok(found);
    }
    for first in fs::read_dir(root)? {
        for second in fs::read_dir(first?.path())? {
            for folder in fs::read_dir(second?.path())? {
                found.push(folder?.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn io_failure(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
        io::ErrorKind::Interrupted => Reason::Cancelled,
        _ => Reason::Failed,
    };
    Failure::new(reason, error.to_string())
}

/// What went wrong on the volume.
pub(super) fn local(error: &(dyn std::error::Error + 'static)) -> Failure {
    match error.downcast_ref::<freeze::Error>() {
        Some(freeze::Error::Cancelled) => Failure::new(Reason::Cancelled, error.to_string()),
        Some(freeze::Error::Io(_, cause)) => Failure::new(io_failure(cause).reason, error.to_string()),
        None => Failure::new(Reason::Failed, error.to_string()),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(Reason::Failed, error.to_string())))
}

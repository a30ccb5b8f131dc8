//! One at a time freezes a volume: its frozen copies are all in one folder, which is emptied by whoever begins. Backups into
//! several repositories, each with a Job of its own, wait for each other.

use std::{fs::File, path::Path, time::Duration};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio_util::sync::CancellationToken;

use crate::backup::restic::{Failure, Reason};

/// How often it is tried.
const OFTEN: Duration = Duration::from_secs(1);

/// A volume that is held until this is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Hold {
    /// Nothing on a file system without such locks.
    _folder: Option<File>,
}

/// Holds the volume, unless somebody else does.
pub(super) fn try_hold(volume: &Path) -> Result<Option<Hold>, Failure> {
    let path = volume.display();
    let folder =
        File::open(volume).map_err(|error| Failure::new(Reason::Failed, format!("{path}: {error}")))?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Hold { _folder: Some(folder) })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => {
            tracing::debug!(%error, "the volume has no locks");
            Ok(Some(Hold { _folder: None }))
        }
    }
}

/// Holds the volume; waits for it, which is told, until it is free.
pub(super) async fn hold(
    volume: &Path,
    cancel: &CancellationToken,
    waiting: impl Fn(),
) -> Result<Hold, Failure> {
    loop {
        if let Some(hold) = try_hold(volume)? {
            return Ok(hold);
        }
        waiting();
        tokio::select! {
            () = tokio::time::sleep(OFTEN) => {}
            () = cancel.cancelled() => {
                return Err(Failure::new(Reason::Cancelled, "it was asked to end"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_holds_a_volume() {
        let volume = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let first = hold(volume.path(), &cancel, || ()).await.unwrap();
        assert!(try_hold(volume.path()).unwrap().is_none());
        let (asked, first) = (Cell::new(0), Cell::new(Some(first)));
        hold(volume.path(), &cancel, || {
            asked.set(asked.get() + 1);
            first.take();
        })
        .await
        .unwrap();
        assert_eq!(asked.get(), 1);
        let _held = try_hold(volume.path()).unwrap().unwrap();
        cancel.cancel();
        let ended = hold(volume.path(), &cancel, || ()).await.unwrap_err();
        assert_eq!(ended.reason, Reason::Cancelled);
        assert!(hold(&volume.path().join("none"), &cancel, || ()).await.is_err());
    }
}

//! Whether a backup succeeded. Everything that is known of a run comes in; success, or the first reason against it, comes
//! out. What is not known counts against it.

use std::fmt;

use super::{
    manifest::Counts,
    restic::{BackupRun, CheckReport, Failure, Reason as EngineReason, Snapshot, SnapshotId},
};

/// What was frozen, as counted before restic began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frozen {
    /// Mailboxes in the manifest.
    pub mailboxes: u64,
    /// What the manifest lists.
    pub counts: Counts,
    /// Files of messages that were found, live or expunged.
    pub found: u64,
    /// Messages that the manifest lists and whose file is not there, or is another.
    pub wrong: u64,
    /// Messages that were expunged, and whose file went before it was frozen: Cyrus cleans them up when it likes.
    pub cleaned: u64,
    /// Folders that could not be read, and are not in the manifest.
    pub unread: u64,
    /// All files of the frozen copy, with the manifest's.
    pub files: u64,
}

/// All that is known of a run.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was frozen.
    pub frozen: &'a Frozen,
    /// What restic said.
    pub run: &'a BackupRun,
    /// The snapshots, listed afterwards without a cache.
    pub listed: Result<&'a [Snapshot], &'a Failure>,
    /// The repository, checked afterwards.
    pub check: Result<&'a CheckReport, &'a Failure>,
    /// Snapshots that were made before, and not forgotten by us.
    pub expected: &'a [SnapshotId],
}

/// Why a backup is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Restic says so.
    Engine(EngineReason),
    /// There was nothing to back up: no mailbox.
    Empty,
    /// None of the mailboxes is one of those that are to be backed up.
    SelectorMatchesNothing,
    /// Folders could not be read, or messages have no file: the manifest does not hold all.
    Incomplete,
    /// The snapshot has fewer files than were frozen.
    FewerFiles,
    /// The repository does not list the snapshot.
    NotListed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(reason) => reason.fmt(f),
            own => fmt::Debug::fmt(own, f),
        }
    }
}

/// What is said of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot, if the backup succeeded; else why not, in one word and in a sentence.
    pub outcome: Result<SnapshotId, (Reason, String)>,
    /// Snapshots that were expected and are gone; known only where the listing is.
    pub vanished: Vec<SnapshotId>,
}

/// Judges a run.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let vanished = evidence.listed.map(|listed| vanished(evidence.expected, listed));
    Verdict { outcome: outcome(evidence), vanished: vanished.unwrap_or_default() }
}

/// Those that were expected and are not listed.
#[must_use]
pub fn vanished(expected: &[SnapshotId], listed: &[Snapshot]) -> Vec<SnapshotId> {
    let gone = |id: &&SnapshotId| !listed.iter().any(|snapshot| snapshot.id == **id);
    expected.iter().filter(gone).cloned().collect()
}

fn outcome(evidence: &Evidence<'_>) -> Result<SnapshotId, (Reason, String)> {
    let Evidence { frozen, run, .. } = evidence;
    let engine = |failure: &Failure| (Reason::Engine(failure.reason), failure.message.clone());
    run.outcome.as_ref().map_err(engine)?;
    frozen.judged()?;
    let told = (run.snapshot.as_ref(), run.summary.as_ref());
    let (Some(snapshot), Some(summary)) = told else {
        let message = "restic ended well, but told of no snapshot".to_owned();
        return Err((Reason::Engine(EngineReason::Failed), message));
    };
    fewer(summary.total_files_processed, frozen.files)?;
    let listed = evidence.listed.map_err(engine)?;
    let Some(listed) = listed.iter().find(|listed| listed.id == *snapshot) else {
        return Err((Reason::NotListed, format!("the repository does not list the snapshot {snapshot}")));
    };
    fewer(listed.summary.map_or(0, |size| size.total_files_processed), frozen.files)?;
    evidence.check.map_err(engine)?.outcome.as_ref().map_err(engine)?;
    Ok(snapshot.clone())
}

impl Frozen {
    /// Whether there is something, each folder could be read, and each message has its file.
    ///
    /// # Errors
    /// One of it is not so.
    pub fn judged(&self) -> Result<(), (Reason, String)> {
        let Self { mailboxes, counts, found, wrong, cleaned, unread, .. } = *self;
        if mailboxes == 0 {
            return Err((Reason::Empty, "the store has no mailbox".to_owned()));
        }
        if unread > 0 || wrong > 0 {
            let message =
                format!("{unread} folders could not be read, {wrong} messages have no file, or another one");
            return Err((Reason::Incomplete, message));
        }
        let listed = counts.messages + counts.expunged;
        if found + cleaned < listed || cleaned > counts.expunged {
            return Err((Reason::Incomplete, format!("{found} files of {listed} messages were found")));
        }
        Ok(())
    }
}

fn fewer(has: u64, frozen: u64) -> Result<(), (Reason, String)> {
    if has < frozen {
        return Err((Reason::FewerFiles, format!("the snapshot has {has} files of {frozen}")));
    }
    Ok(())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

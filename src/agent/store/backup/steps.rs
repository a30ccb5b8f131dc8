//! The steps of a run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{from_slice, to_vec};
use tokio_util::sync::CancellationToken;

use super::{
    MANIFEST, OBJECTS,
    check::Depth,
    freeze::{self, freeze},
    lacking,
    local::{blocking, files, io_failure, local},
    objects,
    run::{Job, Phase, Progress},
    select,
    survey::{Survey, survey},
};
use crate::backup::{
    judge::Frozen,
    manifest::Head,
    restic::{self, Backup, BackupRun, Control, Failure, Reason, Snapshot, SnapshotId},
    snapshots::another,
    tags::Tags,
};

/// What of a frozen copy a snapshot always holds.
const NAMES: [&str; 4] = ["conf", MANIFEST, "sieve", "spool"];
/// What says that a frozen copy is whole, and of when it is.
const TAKEN: &str = "taken.json";
/// A message's file may be older than what names it, by less than this.
const BEFORE: Duration = Duration::from_hours(1);

/// A run, and who follows it.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub job: &'a Job,
    pub cancel: &'a CancellationToken,
    pub progress: &'a Progress,
}

impl Work<'_> {
    pub(super) fn control<'b>(&self, progress: &'b mut (dyn FnMut(restic::Progress) + Send)) -> Control<'b> {
        Control { cancel: self.cancel.clone(), progress }
    }

    /// Makes sure that the repository can be used before anything is frozen, and tells what is in it.
    pub(super) async fn open(&self) -> Result<Vec<Snapshot>, Failure> {
        let job = self.job;
        let mut silent = |_| ();
        let mut control = self.control(&mut silent);
        job.restic.version(&mut control).await?;
        let snapshots = match job.restic.snapshots(&mut control).await {
            Err(failure)
                if failure.reason == Reason::RepositoryMissing && job.create && job.expected.is_empty() =>
            {
                job.restic.init(&mut control).await?;
                Vec::new()
            }
            other => other?,
        };
        another(&snapshots, &job.head.system).map_or(Ok(()), Err)?;
        job.restic.unlock(job.alone, &mut control).await?;
        Ok(snapshots)
    }

    /// The frozen copy and its head: of this run if it was made whole before, else a new one.
    pub(super) async fn frozen(&self) -> Result<(PathBuf, Head), Failure> {
        let (volume, head, cancel) = (self.job.volume.clone(), self.job.head.clone(), self.cancel.clone());
        blocking(move || {
            if let Some(path) = freeze::whole(&volume, &head.run)
                && let Ok(bytes) = fs::read(path.join(TAKEN))
                && let Ok(taken) = from_slice::<Head>(&bytes)
            {
                return Ok((path, taken));
            }
            let head = Head { frozen: jiff::Timestamp::now().as_millisecond(), ..head };
            let frozen = freeze(&volume, &head.run, &cancel).map_err(|error| local(&error))?;
            if !frozen.restless.is_empty() {
                tracing::warn!(files = ?frozen.restless, "files changed while they were frozen, their copies may be torn");
            }
            let write = || fs::write(frozen.path.join(TAKEN), to_vec(&head)?);
            write().map_err(|error| io_failure(&error))?;
            Ok((frozen.path, head))
        })
        .await
    }

    /// Makes the frozen copy what is to be stored: without other mailboxes, with the manifest, with the objects.
    pub(super) async fn surveyed(&self, root: &Path, head: Head, depth: Depth) -> Result<Survey, Failure> {
        let (root, cancel, progress) = (root.to_owned(), self.cancel.clone(), Arc::clone(self.progress));
        let Job { mailboxes, objects, .. } = self.job.clone();
        blocking(move || {
            let told = |at| {
                progress(Phase::Surveying(at));
                !cancel.is_cancelled()
            };
            let work = || {
                mailboxes.map_or(Ok(()), |selected| select::keep(&root, &selected))?;
                objects.as_ref().map_or(Ok(()), |from| objects::gather(from, &root.join(OBJECTS)))?;
                let mut survey = survey(&root, &head, depth, told)?;
                for name in names(objects.is_some()) {
                    // A store without scripts has no folder for them, and no mailbox means no spool.
                    fs::create_dir_all(root.join(name))?;
                    survey.frozen.files += files(&root.join(name))?;
                }
                Ok(survey)
            };
            work().map_err(|error| io_failure(&error))
        })
        .await
    }

    pub(super) async fn store(
        &self,
        root: &Path,
        head: &Head,
        frozen: &Frozen,
        parent: Option<SnapshotId>,
    ) -> BackupRun {
        let Job { restic, host, mailboxes, objects, .. } = self.job;
        let backup = Backup {
            root: root.to_owned(),
            names: names(objects.is_some()).map(str::to_owned).collect(),
            host: host.clone(),
            tags: Tags { selected: Some(mailboxes.is_some()), ..tags(head, frozen) }.words(),
            parent,
        };
        (self.progress)(Phase::Storing(restic::Progress::default()));
        let mut told = |at| (self.progress)(Phase::Storing(at));
        restic.backup(backup, &mut self.control(&mut told)).await
    }

    /// The mailboxes of paths that restic could not read, as far as it is known whose they are.
    pub(super) async fn unread(&self, root: PathBuf, items: Vec<restic::Item>) -> BTreeSet<String> {
        let found = blocking(move || lacking::by_paths(&root, &items).map_err(|error| local(&error))).await;
        found.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "it is not known whose files could not be read");
            BTreeSet::new()
        })
    }
}

fn names(objects: bool) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(objects.then_some(OBJECTS))
}

fn tags(head: &Head, frozen: &Frozen) -> Tags {
    Tags {
        run: Some(head.run.clone()),
        system: Some(head.system.clone()),
        pod: Some(head.pod.clone()),
        frozen: Some(head.frozen),
        mailboxes: Some(frozen.mailboxes),
        messages: Some(frozen.counts.messages),
        files: Some(frozen.files),
        whole: Some(frozen.judged().is_ok()),
        selected: None,
    }
}

/// The snapshot whose files need not be read again: the newest of this shard.
pub(super) fn newest<'a>(snapshots: &'a [Snapshot], host: &str) -> Option<&'a Snapshot> {
    let ours = snapshots.iter().filter(|snapshot| snapshot.hostname == host);
    ours.max_by_key(|snapshot| snapshot.time)
}

/// The snapshot that this run has already, with all that it froze.
pub(super) fn made<'a>(job: &Job, snapshots: &'a [Snapshot]) -> Option<&'a Snapshot> {
    let ours = snapshots.iter().filter(|snapshot| snapshot.hostname == job.host);
    ours.rev().find(|snapshot| {
        let tags = Tags::of(&snapshot.tags);
        let of_this = tags.run.as_ref() == Some(&job.head.run);
        of_this && tags.system.as_ref() == Some(&job.head.system) && tags.complete(files_of(snapshot))
    })
}

fn files_of(snapshot: &Snapshot) -> u64 {
    snapshot.summary.map_or(0, |size| size.total_files_processed)
}

/// How well files are looked at. Those that were made before the newest snapshot was frozen were read for it, if it is of the
/// same volume, and all of it; and restic takes them from it. So only newer ones are read: the cost of a run is what changed.
pub(super) fn depth(job: &Job, newest: Option<&Snapshot>) -> Depth {
    let tags = newest.map(|snapshot| Tags::of(&snapshot.tags)).unwrap_or_default();
    let same = tags.pod.as_ref() == Some(&job.head.pod);
    let all = tags.complete(newest.map_or(0, files_of)) && tags.selected == Some(false);
    let frozen = tags.frozen.and_then(|at| u64::try_from(at).ok()).map(Duration::from_millis);
    match (job.depth, frozen) {
        (Depth::Digest, Some(frozen)) if same && all => {
            Depth::Since(SystemTime::UNIX_EPOCH + frozen.saturating_sub(BEFORE))
        }
        (depth, _) => depth,
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;

//! One run: the repository is opened, the volume frozen, surveyed and stored, the repository checked, the whole judged.
//!
//! A run that was killed is run again under its name: what it had frozen whole is taken as it is, and what it had stored is
//! in the repository. A frozen copy goes at the end, unless the run was only interrupted.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{from_slice, to_vec};
use tokio_util::sync::CancellationToken;

use super::{
    MANIFEST,
    check::Depth,
    freeze::{self, freeze, thaw},
    lacking,
    local::{blocking, files, io_failure, local},
    survey::{self, Problem, Survey, survey},
};
use crate::backup::{
    judge::{Evidence, Frozen, Reason, Verdict, judge},
    manifest::Head,
    restic::{
        self, Backup, BackupRun, CheckReport, Control, Failure, Reason as EngineReason, Restic, Snapshot,
        SnapshotId, Subset, Summary,
    },
};

/// What of a frozen copy a snapshot holds.
const NAMES: [&str; 4] = ["conf", MANIFEST, "sieve", "spool"];
/// What says that a frozen copy is whole, and of when it is.
const TAKEN: &str = "taken.json";

/// What to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The volume, `/data`.
    pub volume: PathBuf,
    /// Of which store, for which run, and how far behind it is. When it is frozen is filled in.
    pub head: Head,
    /// The host that snapshots of this shard name, whichever pod makes them.
    pub host: String,
    /// The repository.
    pub restic: Restic,
    /// Whether the repository is made if it is not there. Never if snapshots are expected in it.
    pub create: bool,
    /// Whether the caller knows that nobody else uses the repository: then locks that a killed run left are removed.
    pub alone: bool,
    /// Snapshots that were made before, and not forgotten by us.
    pub expected: Vec<SnapshotId>,
    /// How well files are looked at before they are stored.
    pub depth: Depth,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The repository is opened.
    Opening,
    /// The volume is frozen.
    Freezing,
    /// The manifest is written.
    Surveying(survey::Progress),
    /// The files are stored.
    Storing(restic::Progress),
    /// The repository is checked.
    Checking,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether it succeeded.
    pub verdict: Verdict,
    /// What was frozen.
    pub frozen: Frozen,
    /// What restic counted.
    pub summary: Option<Summary>,
    /// Messages and folders with which something is wrong.
    pub problems: Vec<Problem>,
    /// The mailboxes of which the snapshot lacks something.
    pub lacking: BTreeSet<String>,
    /// How long it took.
    pub took: Duration,
}

/// Who is told where a run is.
pub type Progress = Arc<dyn Fn(Phase) + Send + Sync>;

/// Runs a job.
pub async fn run(job: Job, cancel: CancellationToken, progress: Progress) -> Report {
    let began = Instant::now();
    let mut state = State::default();
    let mut verdict = match state.work(&job, &cancel, &progress).await {
        Ok(verdict) => verdict,
        Err(failure) => failed(&failure),
    };
    if !cancel.is_cancelled() {
        let volume = job.volume.clone();
        let thawed = blocking(move || thaw(&volume).map_err(|error| local(&error))).await;
        if let (Err(failure), Ok(_)) = (thawed, &verdict.outcome) {
            // The snapshot is good all the same; the next run tries again.
            tracing::warn!(%failure, "a frozen copy cannot be removed");
        }
    }
    verdict.vanished.sort();
    Report {
        verdict,
        frozen: state.survey.frozen,
        summary: state.summary,
        problems: state.survey.problems,
        lacking: state.lacking,
        took: began.elapsed(),
    }
}

fn failed(failure: &Failure) -> Verdict {
    let outcome = Err((Reason::Engine(failure.reason), failure.message.clone()));
    Verdict { outcome, vanished: Vec::new() }
}

#[derive(Default)]
struct State {
    survey: Survey,
    summary: Option<Summary>,
    lacking: BTreeSet<String>,
}

impl State {
    async fn work(
        &mut self,
        job: &Job,
        cancel: &CancellationToken,
        progress: &Progress,
    ) -> Result<Verdict, Failure> {
        progress(Phase::Opening);
        let before = open(job, cancel).await?;
        progress(Phase::Freezing);
        let (root, head) = frozen(job, cancel).await?;
        self.survey = surveyed(&root, head, job.depth, cancel, progress).await?;
        let run = store(job, &root, parent(job, &before), cancel, progress).await;
        self.summary.clone_from(&run.summary);
        self.lacking = lacking::by_survey(&self.survey.problems);
        self.lacking.extend(unread(root, run.items.clone()).await);
        progress(Phase::Checking);
        let listed = job.restic.snapshots(&mut quiet(cancel, &mut |_| ())).await;
        let check = job.restic.check(Subset::Nothing, &mut quiet(cancel, &mut |_| ())).await;
        Ok(self.judged(job, &run, &listed, &check))
    }

    fn judged(
        &self,
        job: &Job,
        run: &BackupRun,
        listed: &Result<Vec<Snapshot>, Failure>,
        check: &Result<CheckReport, Failure>,
    ) -> Verdict {
        judge(&Evidence {
            frozen: &self.survey.frozen,
            run,
            listed: listed.as_deref(),
            check: check.as_ref(),
            expected: &job.expected,
        })
    }
}

fn quiet<'a>(
    cancel: &CancellationToken,
    progress: &'a mut (dyn FnMut(restic::Progress) + Send),
) -> Control<'a> {
    Control { cancel: cancel.clone(), progress }
}

/// Makes sure that the repository can be used before anything is frozen, and tells what is in it.
async fn open(job: &Job, cancel: &CancellationToken) -> Result<Vec<Snapshot>, Failure> {
    let mut silent = |_| ();
    let mut control = quiet(cancel, &mut silent);
    job.restic.version(&mut control).await?;
    let snapshots = match job.restic.snapshots(&mut control).await {
        Err(failure)
            if failure.reason == EngineReason::RepositoryMissing && job.create && job.expected.is_empty() =>
        {
            job.restic.init(&mut control).await?;
            Vec::new()
        }
        other => other?,
    };
    job.restic.unlock(job.alone, &mut control).await?;
    Ok(snapshots)
}

/// The snapshot whose files need not be read again: the newest of this shard.
fn parent(job: &Job, snapshots: &[Snapshot]) -> Option<SnapshotId> {
    let ours = snapshots.iter().filter(|snapshot| snapshot.hostname == job.host);
    ours.max_by_key(|snapshot| snapshot.time).map(|snapshot| snapshot.id.clone())
}

/// The frozen copy and its head: of this run if it was made whole before, else a new one.
async fn frozen(job: &Job, cancel: &CancellationToken) -> Result<(PathBuf, Head), Failure> {
    let (volume, head, cancel) = (job.volume.clone(), job.head.clone(), cancel.clone());
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

async fn surveyed(
    root: &Path,
    head: Head,
    depth: Depth,
    cancel: &CancellationToken,
    progress: &Progress,
) -> Result<Survey, Failure> {
    let (root, cancel, progress) = (root.to_owned(), cancel.clone(), Arc::clone(progress));
    blocking(move || {
        let told = |at| {
            progress(Phase::Surveying(at));
            !cancel.is_cancelled()
        };
        let mut survey = survey(&root, &head, depth, told).map_err(|error| io_failure(&error))?;
        for name in NAMES {
            // A store without scripts has no folder for them, and no mailbox means no spool.
            fs::create_dir_all(root.join(name)).map_err(|error| io_failure(&error))?;
            survey.frozen.files += files(&root.join(name)).map_err(|error| io_failure(&error))?;
        }
        Ok(survey)
    })
    .await
}

async fn store(
    job: &Job,
    root: &Path,
    parent: Option<SnapshotId>,
    cancel: &CancellationToken,
    progress: &Progress,
) -> BackupRun {
    let backup = Backup {
        root: root.to_owned(),
        names: NAMES.map(str::to_owned).to_vec(),
        host: job.host.clone(),
        tags: vec![format!("run={}", job.head.run), format!("system={}", job.head.system)],
        parent,
    };
    progress(Phase::Storing(restic::Progress::default()));
    let mut told = |at| progress(Phase::Storing(at));
    job.restic.backup(backup, &mut quiet(cancel, &mut told)).await
}

/// The mailboxes of paths that restic could not read, as far as it is known whose they are.
async fn unread(root: PathBuf, items: Vec<restic::Item>) -> BTreeSet<String> {
    let found = blocking(move || lacking::by_paths(&root, &items).map_err(|error| local(&error))).await;
    found.unwrap_or_else(|failure| {
        tracing::warn!(%failure, "it is not known whose files could not be read");
        BTreeSet::new()
    })
}

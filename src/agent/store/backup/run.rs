//! One run: the repository is opened, the volume frozen, surveyed and stored, the repository checked, the whole judged.
//!
//! A run that was killed is run again under its name: what it had frozen whole is taken as it is, and what it had stored is
//! in the repository, with luck all of it: a run has one snapshot. A frozen copy goes at the end, unless the run was only interrupted.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    check::Depth,
    freeze::thaw,
    hold::{Hold, hold, try_hold},
    lacking,
    local::{blocking, local},
    steps::{Work, depth, made, newest},
    survey::{self, Problem, Survey},
};
use crate::{
    backup::{
        judge::{Evidence, Frozen, Reason, Verdict, judge, vanished},
        manifest::Head,
        restic::{self, BackupRun, CheckReport, Failure, Restic, Snapshot, SnapshotId, Subset, Summary},
    },
    job::Selected,
};

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
    /// How well files are looked at before they are stored. Those that the snapshot before this holds were read for it.
    pub depth: Depth,
    /// Which mailboxes; all if absent.
    pub mailboxes: Option<Selected>,
    /// Where the objects are that go along, if there are any.
    pub objects: Option<PathBuf>,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The repository is opened.
    Opening,
    /// Another run has the volume frozen.
    Waiting,
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
    /// The snapshot that was made, good or not, as the repository lists it.
    pub snapshot: Option<Snapshot>,
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
    let mut verdict = match state.work(&Work { job: &job, cancel: &cancel, progress: &progress }).await {
        Ok(verdict) => verdict,
        Err(failure) => failed(&failure),
    };
    if !cancel.is_cancelled() {
        let held = state.held.take();
        if let (Err(failure), Ok(_)) = (thawed(&job, held).await, &verdict.outcome) {
            // The snapshot is good all the same; the next run tries again.
            tracing::warn!(%failure, "a frozen copy cannot be removed");
        }
    }
    verdict.vanished.sort();
    Report {
        verdict,
        frozen: state.survey.frozen,
        summary: state.summary,
        snapshot: state.snapshot,
        problems: state.survey.problems,
        lacking: state.lacking,
        took: began.elapsed(),
    }
}

/// Frees the volume of what was frozen, unless another run has it.
async fn thawed(job: &Job, held: Option<Hold>) -> Result<(), Failure> {
    let volume = job.volume.clone();
    blocking(move || {
        let held = held.map_or_else(|| try_hold(&volume), |held| Ok(Some(held)))?;
        held.map_or(Ok(()), |_held| thaw(&volume).map_err(|error| local(&error)))
    })
    .await
}

fn failed(failure: &Failure) -> Verdict {
    let outcome = Err((Reason::Engine(failure.reason), failure.message.clone()));
    Verdict { outcome, vanished: Vec::new() }
}

#[derive(Default)]
struct State {
    held: Option<Hold>,
    survey: Survey,
    summary: Option<Summary>,
    snapshot: Option<Snapshot>,
    lacking: BTreeSet<String>,
}

impl State {
    async fn work(&mut self, work: &Work<'_>) -> Result<Verdict, Failure> {
        let Work { job, cancel, progress } = *work;
        progress(Phase::Opening);
        let before = work.open().await?;
        if let Some(made) = made(job, &before) {
            return self.again(work, made, &before).await;
        }
        self.held = Some(hold(&job.volume, cancel, || progress(Phase::Waiting)).await?);
        progress(Phase::Freezing);
        let (root, head) = work.frozen().await?;
        let parent = newest(&before, &job.host);
        self.survey = work.surveyed(&root, head.clone(), depth(job, parent)).await?;
        if self.survey.frozen.mailboxes == 0 && self.survey.frozen.unread == 0 {
            return Ok(Verdict { outcome: Err(nothing(job)), vanished: vanished(&job.expected, &before) });
        }
        let run = work.store(&root, &head, &self.survey.frozen, parent.map(|it| it.id.clone())).await;
        self.summary.clone_from(&run.summary);
        self.lacking = lacking::by_survey(&self.survey.problems);
        self.lacking.extend(work.unread(root, run.items.clone()).await);
        progress(Phase::Checking);
        let listed = job.restic.snapshots(&mut work.control(&mut |_| ())).await;
        let check = job.restic.check(Subset::Nothing, &mut work.control(&mut |_| ())).await;
        let made = listed.iter().flatten().find(|listed| run.snapshot.as_ref() == Some(&listed.id));
        self.snapshot = made.cloned();
        Ok(self.judged(job, &run, &listed, &check))
    }

    /// What a try stored that did not live to tell it is only checked.
    async fn again(
        &mut self,
        work: &Work<'_>,
        made: &Snapshot,
        before: &[Snapshot],
    ) -> Result<Verdict, Failure> {
        (work.progress)(Phase::Checking);
        work.job.restic.check(Subset::Nothing, &mut work.control(&mut |_| ())).await?.outcome?;
        self.snapshot = Some(made.clone());
        Ok(Verdict { outcome: Ok(made.id.clone()), vanished: vanished(&work.job.expected, before) })
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

/// Why a store of which nothing is to be stored has no backup.
fn nothing(job: &Job) -> (Reason, String) {
    if job.mailboxes.is_none() {
        return (Reason::Empty, "the store has no mailbox".to_owned());
    }
    let message = "none of the store's mailboxes is one that is to be backed up";
    (Reason::SelectorMatchesNothing, message.to_owned())
}

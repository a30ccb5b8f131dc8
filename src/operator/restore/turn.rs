//! One step of a MailRestore: what is decided is carried out, in an order that a crash between any two writes leaves in a
//! state from which the next turn goes on.
//!
//! ```text
//!  begin:  Lease ─▶ status (Running, which snapshot)
//!  going:  Lease renewed ─▶ objects first ─▶ policy ─▶ the Jobs of shards
//!  end:    status ─▶ Jobs deleted, Lease let go
//! ```

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt, runtime::controller::Action};

use super::{
    context::Context,
    fetch::{Found, find},
    outcome::{outcome, success},
    problem::{Problem, word},
    reconcile::{COMPLETE, FAILED},
    shards::{progress, stores, what},
};
use crate::{
    api::{MailRestore, MailRestoreStatus, restore::RestorePhase},
    conditions::{Finding, merge},
    job::{Failed, Work},
    operator::backup::{
        context::BackupError,
        jobs::{ShardJob, State},
        look,
        reconcile::now,
        write,
    },
};

/// Between looks at what runs.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Until something that is missing is looked for again.
pub(super) const RETRY: Duration = Duration::from_secs(10);
/// How many shards are worked on at a time.
const WIDTH: usize = 2;

/// See the module.
pub(super) struct Turn<'a> {
    pub(super) context: &'a Context,
    pub(super) restore: MailRestore,
    pub(super) jobs: Vec<ShardJob>,
    pub(super) status: MailRestoreStatus,
    finding: Finding,
    now: Time,
}

impl<'a> Turn<'a> {
    pub(super) fn new(context: &'a Context, restore: MailRestore, jobs: Vec<ShardJob>) -> Self {
        let status = restore.status.clone().unwrap_or_default();
        let finding = Finding::unknown(COMPLETE, "Pending", "it has not begun yet");
        Self { context, restore, jobs, status, finding, now: now() }
    }

    /// Takes it.
    pub(super) async fn take(mut self) -> Result<Action, BackupError> {
        let settings = &self.context.settings;
        let watched = settings.namespace.as_deref();
        let found = find(&settings.client, &self.restore, (&settings.images, watched)).await;
        match found.map_err(BackupError::Fetch)? {
            Err(problem) => self.lacking(problem).await,
            Ok(found) => {
                let held = self.claim(&found).take(&settings.client).await;
                if let Some(holder) = held.map_err(|error| BackupError::Write("a Lease", error))? {
                    self.wait(
                        "RepositoryBusy",
                        format!("{holder} works on the repository; it is waited for"),
                    );
                    return self.write(RETRY).await;
                }
                if self.status.phase == RestorePhase::Pending {
                    return self.begin(&found).await;
                }
                Box::pin(self.going(&found)).await
            }
        }
    }

    /// Something is lacking. What runs goes on without it.
    async fn lacking(mut self, problem: Problem) -> Result<Action, BackupError> {
        let runs = self.jobs.iter().any(|job| !matches!(job.state, State::Ended(_)));
        if problem.ends && !runs {
            let Problem { reason, message, .. } = problem;
            return self.end(None, Err(Failed { reason: reason.to_owned(), message })).await;
        }
        self.wait(problem.reason, problem.message);
        self.write(RETRY).await
    }

    async fn begin(mut self, found: &Found) -> Result<Action, BackupError> {
        self.status.phase = RestorePhase::Running;
        self.status.started = Some(self.now.clone());
        self.status.snapshot = Some(found.snapshot.name_any());
        self.status.what = Some(what(&self.restore));
        self.wait("Running", "it has begun".to_owned());
        self.write(Duration::ZERO).await
    }

    async fn going(mut self, found: &Found) -> Result<Action, BackupError> {
        if self.restore.spec.objects && self.status.objects.is_none() {
            return Box::pin(self.objects_first(found)).await;
        }
        let Some(stores) = stores(found) else { return self.without_system(found).await };
        if let Some(why) = self.unready(found).await? {
            self.wait("StoreNotReady", why);
            return self.write(RETRY).await;
        }
        let is_ours = |job: &&ShardJob| matches!(job.work, Work::Restore(_));
        let ours: Vec<_> = self.jobs.iter().filter(is_ours).cloned().collect();
        let busy = ours.iter().filter(|job| !matches!(job.state, State::Ended(_))).count();
        let parts = &found.snapshot.spec.parts;
        // An iterator over them could not be held while a Job is made.
        let lacking: Vec<_> =
            parts.iter().filter(|part| !ours.iter().any(|job| job.shard == part.shard)).collect();
        if lacking.is_empty() && busy == 0 {
            return self.ended(found, &ours).await;
        }
        for part in lacking.into_iter().take(WIDTH.saturating_sub(busy)) {
            let work = self.work(found, (part.shard, &part.id), &stores);
            let name = format!("{}-{}", self.restore.name_any(), part.shard);
            self.create(found, name, part.shard, &work).await?;
        }
        let (text, why) = progress(&ours, parts.len());
        if self.context.figures_due(&self.restore.uid().unwrap_or_default(), Instant::now()) {
            self.status.progress = Some(text);
        }
        self.wait("Running", why.unwrap_or_else(|| "mail comes back".to_owned()));
        self.write(BUSY).await
    }

    /// There is no MailSystem, or none yet.
    async fn without_system(mut self, found: &Found) -> Result<Action, BackupError> {
        if self.restore.spec.dry_run {
            let message = "the objects that would come back are counted; there is no MailSystem with whose mail that of the snapshot could be compared";
            return self.end(Some(found), Ok(message.to_owned())).await;
        }
        let name = &self.restore.spec.system.name;
        let message =
            format!("there is no MailSystem {name}: create it, or make a MailRestore with objects: true");
        self.wait("SystemMissing", message);
        self.write(RETRY).await
    }

    async fn ended(mut self, found: &Found, jobs: &[ShardJob]) -> Result<Action, BackupError> {
        let outcome = outcome(&self.restore, jobs);
        let done = outcome.done;
        let message = success(&self.restore, &done, &found.snapshot.spec.time.0.to_string());
        self.status.found = Some(done.found);
        self.status.restored = Some(done.restored);
        self.status.skipped = Some(done.skipped);
        self.status.failed = Some(done.failed);
        self.status.examples = done.examples;
        self.end(Some(found), done.failure.map_or(Ok(message), Err)).await
    }

    /// Ends it for good.
    pub(super) async fn end(
        mut self,
        found: Option<&Found>,
        result: Result<String, Failed>,
    ) -> Result<Action, BackupError> {
        self.status.progress = None;
        self.status.finished = Some(self.now.clone());
        self.status.what.get_or_insert_with(|| what(&self.restore));
        let failed = match result {
            Ok(message) => {
                self.status.phase = RestorePhase::Succeeded;
                self.finding = Finding::yes(COMPLETE, "Succeeded", message);
                None
            }
            Err(Failed { reason, message }) => {
                self.status.phase = RestorePhase::Failed;
                self.finding = Finding::no(COMPLETE, word(&reason), message.clone());
                Some(Finding::yes(FAILED, word(&reason), message))
            }
        };
        self.put(failed).await?;
        self.context.over(&self.restore.uid().unwrap_or_default());
        let client = &self.context.settings.client;
        let namespace = self.restore.namespace().unwrap_or_default();
        let left = |error| BackupError::Write("the end of a Job", error);
        look::delete(client, &namespace, self.jobs.iter()).await.map_err(left)?;
        if let Some(found) = found {
            let released = self.claim(found).release(client).await;
            released.map_err(|error| BackupError::Write("a Lease", error))?;
        }
        Ok(Action::await_change())
    }

    /// It goes on, or waits for something.
    pub(super) fn wait(&mut self, reason: &'static str, message: String) {
        self.finding = Finding::unknown(COMPLETE, reason, message);
    }

    /// Writes the status, and comes back after a while.
    pub(super) async fn write(mut self, after: Duration) -> Result<Action, BackupError> {
        self.put(None).await?;
        Ok(Action::requeue(after))
    }

    async fn put(&mut self, failed: Option<Finding>) -> Result<(), BackupError> {
        let generation = self.restore.metadata.generation;
        let old = self.restore.status.clone().unwrap_or_default();
        let findings: Vec<_> = [self.finding.clone()].into_iter().chain(failed).collect();
        self.status.observed_generation = generation;
        self.status.conditions = merge(&old.conditions, &findings, generation, &self.now);
        if self.restore.status.as_ref() == Some(&self.status) {
            return Ok(());
        }
        let settings = &self.context.settings;
        let written = write::restore_status(&settings.client, &self.restore, &self.status).await;
        written.map_err(BackupError::Status)?;
        let object = self.restore.object_ref(&());
        settings.events.tell(&object, &old.conditions, &self.status.conditions).await;
        Ok(())
    }
}

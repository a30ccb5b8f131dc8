//! What runs is followed: the Jobs of its shards are made one after the other, and it ends when all have ended.

use std::time::Instant;

use kube::{ResourceExt, runtime::controller::Action};

use super::{
    context::BackupError,
    decide::{self, Advance},
    inventory,
    jobs::State,
    look, progress,
    turn::{BUSY, Turn, claim},
    validated::Validated,
    work, write,
};
use crate::{
    api::{
        MailSnapshot,
        backup::{Activity, Running},
    },
    job::{Failed, Work},
    operator::desired::backup,
};

impl Turn<'_> {
    /// Follows what runs.
    pub(super) async fn going(&mut self, running: Running) -> Result<Action, BackupError> {
        let (ours, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.jobs).into_iter().partition(|job| job.run == running.run);
        self.jobs = ours;
        let client = &self.context.settings.client;
        look::delete(client, &self.namespace(), others.iter())
            .await
            .map_err(|error| BackupError::Write("the end of a Job", error))?;
        let v = self.checked.validated.clone();
        let proving = self.proving();
        let shards = match &v {
            Some(v) => work::shards(v, running.activity, &self.fetched.snapshots, proving.as_deref()),
            // While something is lacking what was begun is followed to its end.
            None => self.jobs.iter().map(|job| job.shard).collect(),
        };
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        if let Some(v) = &v {
            let held = claim(v, &running.run).take(client).await;
            self.held = held.map_err(|error| BackupError::Write("a Lease", error))?;
        }
        match decide::advance(running.activity, &shards, &self.jobs) {
            Advance::Create(shard) if self.held.is_none() => {
                if let Some(v) = &v
                    && let Err(failed) = self.create(v, &running, shard, proving.as_deref()).await?
                    && self.is_idle()
                {
                    return self.end(&running, proving.as_deref(), Some((shard, failed))).await;
                }
            }
            Advance::End => {
                let whole = match running.activity {
                    Activity::Backup => v.as_ref().is_some_and(|v| v.store.is_some()),
                    Activity::Verify | Activity::Maintain => v.is_some(),
                };
                let problem = self.checked.problem.as_ref().filter(|_| !whole);
                let cut_off =
                    problem.map(|it| Failed { reason: it.reason.to_owned(), message: it.message.clone() });
                return self.end(&running, proving.as_deref(), cut_off.map(|failed| (count, failed))).await;
            }
            Advance::Create(_) | Advance::Wait => {}
        }
        let due = self.context.figures_due(&self.fetched.backup.uid().unwrap_or_default(), Instant::now());
        self.status.running = Some(progress::progress(&running, &self.jobs, count, due, self.now.0));
        Ok(Action::requeue(BUSY))
    }

    fn is_idle(&self) -> bool {
        self.jobs.iter().all(|job| matches!(job.state, State::Ended(_)))
    }

    /// The MailSnapshot that the run proves.
    fn proving(&self) -> Option<String> {
        let id = self.jobs.iter().find_map(|job| match &job.work {
            Work::Verify(work) => Some((job.shard, work.snapshot.as_str())),
            _ => None,
        })?;
        let is = |snapshot: &&MailSnapshot| {
            snapshot.spec.parts.iter().any(|part| (part.shard, part.id.as_str()) == id)
        };
        self.fetched.snapshots.iter().find(is).map(ResourceExt::name_any)
    }

    /// Makes the Job of a shard; why it cannot be made, if something is lacking that will not come by waiting.
    async fn create(
        &self,
        v: &Validated,
        running: &Running,
        shard: u32,
        proving: Option<&str>,
    ) -> Result<Result<(), Failed>, BackupError> {
        let settings = &self.context.settings;
        let objects = if running.activity == Activity::Backup && shard == 0 {
            let watched = settings.namespace.as_deref();
            match inventory::export(&settings.client, watched, &self.fetched.backup, &running.run).await {
                Ok(secrets) => secrets,
                Err(inventory::Error::Api(error)) => {
                    return Err(BackupError::Write("the objects that go along", error));
                }
                Err(error) => {
                    let (reason, message) = (error.reason().to_owned(), error.to_string());
                    return Ok(Err(Failed { reason, message }));
                }
            }
        } else {
            Vec::new()
        };
        let told = (running.activity, running.run.as_str(), shard);
        match work::work(v, told, (&self.status, &self.fetched.snapshots), proving, &objects) {
            Ok((work, extra)) => {
                write::policy(&settings.client, v).await?;
                let job = backup::job(&v.of(), work::job_name(&running.run, shard), &work, &extra);
                write::job(&settings.client, &job).await?;
                Ok(Ok(()))
            }
            Err(message) => Ok(Err(Failed { reason: "StoreNotReady".to_owned(), message })),
        }
    }
}

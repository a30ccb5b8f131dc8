//! The end of a run, and what every turn writes. In this order a crash repeats what was done, and loses nothing.

use std::collections::BTreeSet;

use kube::{Resource, ResourceExt, runtime::controller::Action};

use super::{
    context::BackupError,
    events, inventory,
    jobs::{Answer, State},
    look,
    outcome::{self, Outcome},
    reasons::word,
    snapshot_object, snapshots,
    status::{self, Said},
    turn::{BUSY, Turn, claim, next_run},
    words, write,
};
use crate::{
    api::{
        MailSnapshot,
        backup::{Activity, Running},
    },
    job::Failed,
};

impl Turn<'_> {
    /// Ends a run. `cut_off` is why it could not go on, and at which shard.
    pub(super) async fn end(
        &mut self,
        running: &Running,
        proving: Option<&str>,
        cut_off: Option<(u32, Failed)>,
    ) -> Result<Action, BackupError> {
        let existing = &self.fetched.snapshots;
        let known: BTreeSet<u32> =
            existing.iter().flat_map(|snapshot| &snapshot.spec.parts).map(|part| part.shard).collect();
        let outcome = outcome::outcome(running, &self.jobs, cut_off, &known, &self.now);
        self.show(&outcome).await?;
        if running.activity == Activity::Verify
            && let Some(snapshot) = proving.and_then(|name| existing_of(&self.fetched.snapshots, name))
        {
            self.prove(snapshot.clone(), &outcome).await?;
        }
        outcome::remember(&mut self.status, &outcome, &self.jobs, &self.now);
        if let Some(v) = &self.checked.validated {
            self.status.next_run = next_run(v, &self.now);
        }
        self.write().await?;
        events::ended(&self.context.settings.events, &self.fetched.backup.object_ref(&()), &outcome.past)
            .await;
        self.tidy(running).await?;
        Ok(Action::requeue(BUSY))
    }

    /// Brings MailSnapshots in line with what was learnt.
    async fn show(&mut self, outcome: &Outcome) -> Result<(), BackupError> {
        let Some(v) = self.checked.validated.clone() else { return Ok(()) };
        let failed = (outcome.past.run.as_str(), &outcome.lacking);
        let lacking = (outcome.past.activity == Activity::Backup).then_some(failed);
        let existing = &self.fetched.snapshots;
        let view = snapshots::view(&v, existing, &outcome.listings, lacking, &self.now);
        write::view(&self.context.settings.client, &self.namespace(), &v.name, &view).await?;
        self.status.snapshots = Some(view.count);
        self.vanished = view.vanished;
        Ok(())
    }

    /// Writes down what a proof came to.
    async fn prove(&mut self, snapshot: MailSnapshot, outcome: &Outcome) -> Result<(), BackupError> {
        let restored = |answer: &Answer| match answer {
            Answer::Verify(done) => done.restored,
            _ => None,
        };
        let failed = outcome.failed.as_ref().map(|failed| (word(&failed.reason), failed));
        let restored_all = snapshot.spec.parts.iter().all(|part| {
            let jobs = self.jobs.iter().filter(|job| job.shard == part.shard);
            jobs.map(|job| &job.state).any(|state| matches!(state, State::Ended(Ok(Answer::Verify(_)))))
        });
        if failed.is_none() && !restored_all {
            // The mode was changed meanwhile: parts of it were only read.
            return Ok(());
        }
        if failed.is_none() {
            let times = self.jobs.iter().filter_map(|job| match &job.state {
                State::Ended(Ok(answer)) => restored(answer),
                _ => None,
            });
            self.status.restore_time = times.max().map(words::time).or(self.status.restore_time.take());
            self.status.last_verified = Some(self.now.clone());
            self.status.verified_snapshot = Some(snapshot.name_any());
        }
        let status = snapshot_object::proven(&snapshot, failed, &self.now);
        let client = &self.context.settings.client;
        write::snapshot_status(client, &self.namespace(), &snapshot.name_any(), &status)
            .await
            .map_err(|error| BackupError::Write("a MailSnapshot", error))
    }

    /// Takes away what the run needed.
    async fn tidy(&self, running: &Running) -> Result<(), BackupError> {
        let (client, namespace) = (&self.context.settings.client, self.namespace());
        let failed = |error| BackupError::Write("the end of a run", error);
        look::delete(client, &namespace, self.jobs.iter()).await.map_err(failed)?;
        inventory::remove(client, &namespace, &running.run).await.map_err(failed)?;
        if let Some(v) = &self.checked.validated {
            claim(v, &running.run).release(client).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the status, if it is another, and tells changes.
    pub(super) async fn write(&mut self) -> Result<(), BackupError> {
        let generation = self.fetched.backup.metadata.generation;
        let said = Said {
            problem: self.checked.problem.as_ref(),
            validated: self.checked.validated.as_ref(),
            held: self.held.as_deref(),
            vanished: &self.vanished,
        };
        let old = self.fetched.backup.status.clone().unwrap_or_default();
        self.status.observed_generation = generation;
        self.status.conditions = status::conditions(&self.status, said, generation, &self.now);
        self.vanished.clear();
        if self.fetched.backup.status.as_ref() == Some(&self.status) {
            return Ok(());
        }
        let settings = &self.context.settings;
        let version = write::status(&settings.client, &self.fetched.backup, &self.status).await;
        self.fetched.backup.metadata.resource_version = version.map_err(BackupError::Status)?;
        self.fetched.backup.status = Some(self.status.clone());
        let object = self.fetched.backup.object_ref(&());
        settings.events.tell(&object, &old.conditions, &self.status.conditions).await;
        let told = (&old.conditions, &old.last_verified, &old.history);
        if told != (&self.status.conditions, &self.status.last_verified, &self.status.history) {
            settings.news.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }
}

fn existing_of<'a>(existing: &'a [MailSnapshot], name: &str) -> Option<&'a MailSnapshot> {
    existing.iter().find(|snapshot| snapshot.name_any() == name)
}

//! Objects come back before mail does: the Job that prints them, what is made of what it printed, and waiting for what they
//! describe.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::jiff::SignedDuration;
use kube::{ResourceExt, runtime::controller::Action};

use super::{
    fetch::{Found, log, unready},
    objects::{self, Brought},
    turn::{BUSY, RETRY, Turn},
};
use crate::{
    conditions,
    job::{Failed, ObjectsWork, Work},
    operator::backup::{
        context::BackupError,
        jobs::{ShardJob, State},
        look,
    },
};

/// Mailboxes that are not ready so long after a restore began are not waited for any more: they say themselves what they lack.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Turn<'_> {
    /// Brings objects back.
    pub(super) async fn objects_first(mut self, found: &Found) -> Result<Action, BackupError> {
        let printing = self.jobs.iter().find(|job| matches!(job.work, Work::Objects(_))).cloned();
        let Some(job) = printing else { return self.print(found).await };
        match &job.state {
            State::Ended(Ok(answer)) if answer.failed().is_none() => self.bring(found, &job).await,
            State::Ended(result) => {
                let failed = match result {
                    Ok(answer) => answer.failed().cloned(),
                    Err(failed) => Some(failed.clone()),
                };
                let unknown = || Failed { reason: "JobFailed".into(), message: "its Job failed".into() };
                self.end(Some(found), Err(failed.unwrap_or_else(unknown))).await
            }
            State::Pending(why) => {
                let why = why.clone().unwrap_or_else(|| "objects are got out of the snapshot".to_owned());
                self.wait("Running", why);
                self.write(BUSY).await
            }
            State::Running(_) => {
                self.wait("Running", "objects are got out of the snapshot".to_owned());
                self.write(BUSY).await
            }
        }
    }

    /// Has the objects printed.
    async fn print(mut self, found: &Found) -> Result<Action, BackupError> {
        // They are in the part of the first shard alone.
        let Some(part) = found.snapshot.spec.parts.iter().find(|part| part.shard == 0) else {
            let message = "the snapshot has no part of shard 0, with which objects go along".to_owned();
            return self.end(Some(found), Err(Failed { reason: "NothingMatches".into(), message })).await;
        };
        let client = &self.context.settings.client;
        let recipient = objects::recipient(client, &self.restore).await;
        let recipient = recipient.map_err(|error| BackupError::Write("the key for objects", error))?;
        let work = Work::Objects(ObjectsWork {
            repository: found.validated.place.repository(&found.validated.system, 0),
            snapshot: part.id.clone(),
            recipient,
        });
        self.create(found, format!("{}-objects", self.restore.name_any()), 0, &work).await?;
        self.wait("Running", "objects are got out of the snapshot".to_owned());
        self.write(BUSY).await
    }

    /// Makes those that are lacking.
    async fn bring(mut self, found: &Found, job: &ShardJob) -> Result<Action, BackupError> {
        let client = self.context.settings.client.clone();
        let namespace = self.restore.namespace().unwrap_or_default();
        let text = log(&client, &namespace, &job.name).await.map_err(BackupError::Fetch)?;
        let Some(text) = text else { return self.print_again(job, "its pod is gone").await };
        let made = Mutex::new(0);
        let tell = |brought: &Brought| *made.lock().unwrap_or_else(PoisonError::into_inner) = brought.made;
        match Box::pin(objects::bring_back(&client, &self.restore, &text, tell)).await {
            Ok(brought) => self.brought(found, brought).await,
            Err(objects::Error::Api(error)) => Err(BackupError::Write("what comes back", error)),
            Err(error) if error.passes() => {
                self.wait("ObjectsUnavailable", error.to_string());
                self.write(RETRY).await
            }
            Err(objects::Error::NotSaid | objects::Error::NoKey) => {
                self.print_again(job, "its log is not whole").await
            }
            Err(error) => {
                let (reason, message) = (error.reason().to_owned(), error.to_string());
                self.end(Some(found), Err(Failed { reason, message })).await
            }
        }
    }

    async fn print_again(mut self, job: &ShardJob, why: &str) -> Result<Action, BackupError> {
        let namespace = self.restore.namespace().unwrap_or_default();
        look::delete(&self.context.settings.client, &namespace, [job].into_iter())
            .await
            .map_err(|error| BackupError::Write("the end of a Job", error))?;
        self.wait("Running", format!("objects are got out of the snapshot again: {why}"));
        self.write(BUSY).await
    }

    async fn brought(mut self, found: &Found, brought: Brought) -> Result<Action, BackupError> {
        self.status.progress =
            Some(format!("{} objects were made, {} were there", brought.made, brought.there));
        self.status.examples.clone_from(&brought.problems);
        match brought.trouble() {
            // What waits for a namespace comes when that is there.
            Some((reason, message)) if !brought.namespaces.is_empty() && !self.restore.spec.dry_run => {
                self.wait(reason, message);
                self.write(RETRY).await
            }
            Some((reason, message)) if !self.restore.spec.dry_run => {
                self.end(Some(found), Err(Failed { reason: reason.to_owned(), message })).await
            }
            _ => {
                self.status.objects = Some(brought.made);
                self.wait("Running", "objects are there; the mail system is waited for".to_owned());
                self.write(BUSY).await
            }
        }
    }

    /// Why mail cannot come back yet, after objects did: the stores do not serve, or not all mailboxes are there.
    pub(super) async fn unready(&self, found: &Found) -> Result<Option<String>, BackupError> {
        let (spec, begun) = (&self.restore.spec, self.status.started.as_ref());
        if !spec.objects || spec.dry_run || self.jobs.iter().any(|job| matches!(job.work, Work::Restore(_))) {
            return Ok(None);
        }
        let system = found.fetched.system.as_ref().and_then(|system| system.status.as_ref());
        if !system.is_some_and(|status| conditions::is_true(&status.conditions, "StoreAvailable")) {
            let message =
                "the stores of the MailSystem do not serve yet; its condition StoreAvailable says why";
            return Ok(Some(message.to_owned()));
        }
        let now = k8s_openapi::jiff::Timestamp::now();
        if begun.is_some_and(|begun| now.duration_since(begun.0) > PATIENCE) {
            return Ok(None);
        }
        let settings = &self.context.settings;
        let unready = unready(&settings.client, &found.validated.system, settings.namespace.as_deref()).await;
        let unready = unready.map_err(BackupError::Fetch)?;
        Ok(unready.map(|address| format!("the mailbox {address} is not ready yet; it is waited for")))
    }
}

//! One step of a MailBackup: what is decided is carried out, in an order that a crash between any two writes leaves in a
//! state from which the next turn goes on.
//!
//! ```text
//!  begin:  Lease ─▶ status.running
//!  going:  Lease renewed ─▶ policy, Secrets that go along ─▶ the Job of a shard
//!  end:    MailSnapshots ─▶ status (history, running gone) ─▶ Jobs deleted, Lease let go
//! ```

use std::time::Duration;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{Resource, ResourceExt, runtime::controller::Action};

use super::{
    context::{BackupError, Context},
    decide::{self, Begin, LEFT_OUT, Now},
    events,
    fetch::Fetched,
    jobs::ShardJob,
    lease::Claim,
    look, outcome,
    reconcile::now,
    snapshots,
    validate::Checked,
    validated::Validated,
    write,
};
use crate::{
    api::{
        MailBackupStatus,
        backup::{Activity, PastRun, Running},
    },
    names::RUN_NOW,
};

/// Between looks at what runs.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Until something that is missing is looked for again.
const RETRY: Duration = Duration::from_secs(15);
/// Until one at rest is looked at again.
const RESYNC: Duration = Duration::from_mins(10);

/// See the module.
pub struct Turn<'a> {
    pub(super) context: &'a Context,
    pub(super) fetched: Fetched,
    pub(super) checked: Checked,
    pub(super) jobs: Vec<ShardJob>,
    pub(super) status: MailBackupStatus,
    pub(super) held: Option<String>,
    pub(super) vanished: Vec<(u32, String, String)>,
    pub(super) now: Time,
}

impl<'a> Turn<'a> {
    /// A turn of what was fetched and seen.
    #[must_use]
    pub fn new(context: &'a Context, fetched: Fetched, checked: Checked, jobs: Vec<ShardJob>) -> Self {
        let status = fetched.backup.status.clone().unwrap_or_default();
        let (held, vanished) = Default::default();
        Self { context, fetched, checked, jobs, status, held, vanished, now: now() }
    }

    /// Takes it.
    ///
    /// # Errors
    /// The API server's, or a name that is taken.
    pub async fn take(mut self) -> Result<Action, BackupError> {
        let result = match self.status.running.clone() {
            Some(running) => self.going(running).await,
            None => self.resting().await,
        };
        match &result {
            Ok(_) => self.write().await?,
            Err(error) => {
                if let Some(problem) = error.problem() {
                    self.checked.problem = Some(problem);
                    self.write().await?;
                }
            }
        }
        result
    }

    pub(super) fn namespace(&self) -> String {
        self.fetched.backup.namespace().unwrap_or_default()
    }

    async fn resting(&mut self) -> Result<Action, BackupError> {
        let client = &self.context.settings.client;
        // What an ended run left when the operator went.
        look::delete(client, &self.namespace(), self.jobs.iter())
            .await
            .map_err(|error| BackupError::Write("the end of a Job", error))?;
        let Some(v) = self.checked.validated.clone() else {
            self.status.next_run = None;
            return Ok(Action::requeue(RETRY));
        };
        let view = snapshots::view(&v, &self.fetched.snapshots, &[], None, &self.now);
        write::view(client, &self.namespace(), &v.name, &view).await?;
        self.status.next_run = next_run(&v, &self.now);
        match decide::begin(&self.known(&v)) {
            Begin::Backup(scheduled, asked) => self.begin(&v, Activity::Backup, scheduled, asked).await,
            Begin::Verify(scheduled) => self.begin(&v, Activity::Verify, Some(scheduled), None).await,
            Begin::Maintain => self.begin(&v, Activity::Maintain, None, None).await,
            Begin::LeaveOut(scheduled) => {
                self.leave_out(&v, Time(scheduled)).await;
                Ok(Action::requeue(BUSY))
            }
            Begin::Wait(next) => Ok(Action::requeue(self.wait(next))),
        }
    }

    fn known<'b>(&'b self, v: &'b Validated) -> Now<'b> {
        let existing = &self.fetched.snapshots;
        let fewer = self.status.snapshots.is_some_and(|count| existing.len() < count as usize);
        let created = self.fetched.backup.creation_timestamp();
        Now {
            at: self.now.0,
            created: created.map_or(self.now.0, |at| at.0),
            validated: v,
            status: &self.status,
            run_now: self.fetched.backup.annotations().get(RUN_NOW).map(String::as_str),
            ready: self.checked.problem.is_none(),
            doubtful: fewer || (v.store.is_some() && existing.iter().any(snapshots::is_doubtful)),
            forget: !snapshots::to_forget(v, &self.status, existing).is_empty(),
            provable: snapshots::provable(existing).is_some(),
        }
    }

    fn wait(&self, next: Option<Timestamp>) -> Duration {
        let lacking = if self.checked.problem.is_some() { RETRY } else { RESYNC };
        let next = next.map(|next| next.duration_since(Timestamp::now()));
        let next = next.map(|left| Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50));
        next.map_or(lacking, |next| next.min(lacking))
    }

    async fn leave_out(&mut self, v: &Validated, scheduled: Time) {
        let message = "it could not begin in time (spec.startingDeadline)".to_owned();
        let run = decide::name(&v.name, Activity::Backup, scheduled.0, |_| false);
        let past = PastRun {
            run,
            reason: LEFT_OUT.into(),
            message,
            finished: Some(self.now.clone()),
            ..PastRun::default()
        };
        events::ended(&self.context.settings.events, &self.fetched.backup.object_ref(&()), &past).await;
        outcome::push(&mut self.status.history, past);
        self.status.last_scheduled = Some(scheduled);
        self.status.next_run = next_run(v, &self.now);
    }

    /// Begins a run: its Lease is taken, and it is written down; its Jobs are made by the next turns.
    async fn begin(
        &mut self,
        v: &Validated,
        activity: Activity,
        scheduled: Option<Timestamp>,
        asked: Option<String>,
    ) -> Result<Action, BackupError> {
        let history = &self.status.history;
        let taken = |name: &str| {
            history.iter().any(|run| run.run == name)
                || self.fetched.snapshots.iter().any(|it| it.name_any() == name)
        };
        // What was asked for, or is tried again, is named by the time at which it begins.
        let at = scheduled.filter(|_| activity == Activity::Backup && asked.is_none());
        let run = decide::name(&v.name, activity, at.unwrap_or(self.now.0), taken);
        let held = claim(v, &run).take(&self.context.settings.client).await;
        self.held = held.map_err(|error| BackupError::Write("a Lease", error))?;
        if self.held.is_some() {
            return Ok(Action::requeue(RETRY));
        }
        match activity {
            Activity::Backup => {
                self.status.last_scheduled = scheduled.map(Time).or(self.status.last_scheduled.take());
                self.status.last_run_now = asked.or(self.status.last_run_now.take());
            }
            Activity::Verify => self.status.last_verify_scheduled = scheduled.map(Time),
            Activity::Maintain => {}
        }
        let started = Some(self.now.clone());
        self.status.running = Some(Running { run, activity, started, ..Running::default() });
        self.status.next_run = next_run(v, &self.now);
        Ok(Action::requeue(Duration::ZERO))
    }
}

/// When the next run is due.
pub(super) fn next_run(v: &Validated, now: &Time) -> Option<Time> {
    let schedule = v.schedule.as_ref().filter(|_| !v.policy.suspended)?;
    schedule.next(now.0).map(Time)
}

/// The claim of a run on the place of its repositories.
pub(super) fn claim(v: &Validated, run: &str) -> Claim {
    let (namespace, lease) = (&v.system.namespace, v.place.lease(&v.system.namespace));
    Claim::new(namespace, lease, ("MailBackup", &v.name), run)
}

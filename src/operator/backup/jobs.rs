//! The Jobs of a run, as they are seen: Job, pods and the last lines of a log come in, where it stands goes out. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use crate::{
    job::{
        self, BackupDone, Failed, MaintainDone, ObjectsDone, Progress, RestoreDone, Said, VerifyDone, Work,
    },
    names::{RESULT, RUN_LABEL, SHARD_LABEL},
    operator::system::explain,
};

/// A pod that has not begun for so long is told of.
const SLOW: SignedDuration = SignedDuration::from_mins(2);
/// A Job whose pod has not begun for so long is given up.
const HOPELESS: SignedDuration = SignedDuration::from_hours(1);
/// The longest result that is kept on the Job, in bytes.
const LONGEST: usize = 100_000;

/// A Job that works on the repository of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardJob {
    /// Its name.
    pub name: String,
    /// The run.
    pub run: String,
    /// The shard.
    pub shard: u32,
    /// What it was told to do.
    pub work: Work,
    /// Where it stands.
    pub state: State,
}

/// Where a Job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// No pod works yet; why, if it takes long.
    Pending(Option<String>),
    /// It works.
    Running(Progress),
    /// It ended, with an answer or without.
    Ended(Result<Answer, Failed>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of a backup.
    Backup(BackupDone),
    /// Of a listing.
    Maintain(MaintainDone),
    /// Of a proof.
    Verify(VerifyDone),
    /// Of a restore.
    Restore(RestoreDone),
    /// Of printing objects.
    Objects(ObjectsDone),
}

impl Answer {
    /// Why it was not done.
    #[must_use]
    pub const fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Backup(done) => done.failed.as_ref(),
            Self::Maintain(done) => done.failed.as_ref(),
            Self::Verify(done) => done.failed.as_ref(),
            Self::Restore(done) => done.failure.as_ref(),
            Self::Objects(done) => done.failed.as_ref(),
        }
    }
}

/// What a Job was told to do, as its environment says.
#[must_use]
pub fn work(job: &Job) -> Option<Work> {
    let pod = job.spec.as_ref()?.template.spec.as_ref()?;
    let environment = pod.containers.first()?.env.as_ref()?;
    let text = environment.iter().find(|variable| variable.name == job::WORK)?.value.as_ref()?;
    serde_json::from_str(text).ok()
}

/// What the lines of a log say that answer this work.
#[must_use]
pub fn said(work: &Work, log: &str) -> Option<Said<Answer>> {
    fn of<D: serde::de::DeserializeOwned>(log: &str, answer: fn(D) -> Answer) -> Option<Said<Answer>> {
        Some(match job::latest::<D>(log)? {
            Said::Progress(progress) => Said::Progress(progress),
            Said::Done(done) => Said::Done(answer(done)),
        })
    }
    match work {
        Work::Backup(_) => of(log, Answer::Backup),
        Work::Maintain(_) => of(log, Answer::Maintain),
        Work::Verify(_) => of(log, Answer::Verify),
        Work::Restore(_) => of(log, Answer::Restore),
        Work::Objects(_) => of(log, Answer::Objects),
    }
}

/// The line that is kept on a Job so that the answer outlives its pod; none if it is too long.
#[must_use]
pub fn kept(answer: &Answer) -> Option<String> {
    let line = match answer.clone() {
        Answer::Backup(mut done) => {
            // Status names twenty.
            done.lacking = done.lacking.into_iter().take(20).collect();
            Said::Done(done).line()
        }
        Answer::Maintain(done) => Said::Done(done).line(),
        Answer::Verify(mut done) => {
            done.mailboxes = done.mailboxes.into_iter().take(20).collect();
            Said::Done(done).line()
        }
        Answer::Restore(done) => Said::Done(done).line(),
        // What it printed before is in its pod's log alone.
        Answer::Objects(_) => return None,
    };
    (!line.is_empty() && line.len() <= LONGEST).then_some(line)
}

/// Whether the answer has to be read from a pod.
#[must_use]
pub fn is_unread(job: &Job) -> bool {
    !job.annotations().contains_key(RESULT)
}

/// A Job as it is seen; `None` if it is none of ours. `pods` are its own, the newest first, and `said` what the newest says.
#[must_use]
pub fn seen(job: &Job, pods: &[&Pod], said_by_pod: Option<Said<Answer>>, now: Timestamp) -> Option<ShardJob> {
    let work = work(job)?;
    let said = job.annotations().get(RESULT).and_then(|line| said(&work, line)).or(said_by_pod);
    Some(ShardJob {
        name: job.name_any(),
        run: job.labels().get(RUN_LABEL)?.clone(),
        shard: job.labels().get(SHARD_LABEL)?.parse().ok()?,
        state: state(job, pods, said, now),
        work,
    })
}

fn state(job: &Job, pods: &[&Pod], said: Option<Said<Answer>>, now: Timestamp) -> State {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |type_: &str| conditions.iter().find(|it| it.type_ == type_ && it.status == "True");
    let over = is("Complete").or_else(|| is("Failed"));
    match said {
        // One that may go better next time is followed by another pod.
        Some(Said::Done(answer)) if over.is_some() || answer.failed().is_none() => State::Ended(Ok(answer)),
        said => match over {
            Some(condition) => State::Ended(Err(lost(condition.message.as_deref(), pods))),
            None => match said {
                Some(Said::Progress(progress)) => State::Running(progress),
                _ => waiting(job, pods, now),
            },
        },
    }
}

/// The newest pod has not said anything yet, or will be followed by another.
fn waiting(job: &Job, pods: &[&Pod], now: Timestamp) -> State {
    let pod = pods.first();
    match pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) {
        Some("Running") => {
            return State::Running(Progress { phase: "Starting".to_owned(), ..Progress::default() });
        }
        Some("Failed" | "Succeeded") => return State::Pending(Some("it is tried again".to_owned())),
        _ => {}
    }
    let since = pod.map_or(&job.metadata, |pod| &pod.metadata).creation_timestamp.as_ref();
    let waits = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since.0));
    if waits < SLOW {
        return State::Pending(None);
    }
    let why = pod.and_then(|pod| explain::of_pod(pod)).unwrap_or_else(|| "its pod does not start".to_owned());
    // Without a pod it is not known since when: one may just have left its node.
    if waits < HOPELESS || pod.is_none() {
        return State::Pending(Some(why));
    }
    let message = format!("no pod could begin within an hour: {why}");
    State::Ended(Err(Failed { reason: "JobFailed".to_owned(), message }))
}

/// It ended without having said what came of it.
fn lost(message: Option<&str>, pods: &[&Pod]) -> Failed {
    let why = pods.first().and_then(|pod| end(pod)).or_else(|| message.map(ToOwned::to_owned));
    let why = why.unwrap_or_else(|| "its pod is gone".to_owned());
    Failed {
        reason: "JobFailed".to_owned(),
        message: format!("a pod ended without having said what came of it: {why}"),
    }
}

/// How a pod ended.
fn end(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    if let Some(reason) = &status.reason {
        let message = status.message.as_deref().unwrap_or_default();
        return Some(format!("{reason} {message}").trim().to_owned());
    }
    let mut containers = status.container_statuses.iter().flatten();
    let ended = containers.find_map(|it| it.state.as_ref()?.terminated.as_ref())?;
    Some(match ended.reason.as_deref() {
        Some("OOMKilled") => "OOMKilled: it needed more memory than it may have".to_owned(),
        reason => format!("{} (exit code {})", reason.unwrap_or("Error"), ended.exit_code),
    })
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;

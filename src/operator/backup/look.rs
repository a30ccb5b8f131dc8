//! Looks at the Jobs of a MailBackup: Jobs, their pods, and the last lines of their logs. What a pod said at its end is kept
//! on its Job.

use std::collections::HashMap;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, Error, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams},
};
use serde_json::json;

use super::jobs::{Answer, ShardJob, State, is_unread, kept, said, seen, work};
use crate::{
    job::{Said, Work},
    names::{BACKUP_LABEL, RESULT},
};

/// Lines of a log that are read, from its end.
const LINES: i64 = 50;
/// And bytes: the names of very many mailboxes may be in one.
const BYTES: i64 = 16 << 20;
/// The label by which the pods of a Job are known.
const JOB: &str = "batch.kubernetes.io/job-name";

/// The Jobs of the MailBackup with this name and uid.
///
/// # Errors
/// The API server's. A log that cannot be read is none.
pub async fn look(
    client: &Client,
    namespace: &str,
    (name, uid): (&str, &str),
) -> Result<Vec<ShardJob>, Error> {
    of(client, namespace, &format!("{BACKUP_LABEL}={name}"), uid).await
}

/// The Jobs that these labels select and the object with this uid owns.
///
/// # Errors
/// As [`look`].
pub async fn of(client: &Client, namespace: &str, labels: &str, uid: &str) -> Result<Vec<ShardJob>, Error> {
    let mine = ListParams::default().labels(labels);
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let owned = |job: &Job| job.owner_references().iter().any(|owner| owner.uid == uid);
    let jobs: Vec<_> = api.list(&mine).await?.into_iter().filter(owned).collect();
    let mut pods = HashMap::new();
    if jobs.iter().any(is_unread) {
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        for pod in api.list(&mine).await? {
            let job = pod.labels().get(JOB).cloned().unwrap_or_default();
            pods.entry(job).or_insert_with(Vec::new).push(pod);
        }
    }
    let mut all = Vec::new();
    for job in jobs {
        let mut pods: Vec<_> = pods.get(&job.name_any()).into_iter().flatten().collect();
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.metadata.creation_timestamp.as_ref().map(|at| at.0)));
        let Some(work) = work(&job) else { continue };
        let said = if is_unread(&job) { read(client, namespace, &work, &pods).await } else { None };
        let Some(found) = seen(&job, &pods, said, Timestamp::now()) else { continue };
        if let State::Ended(Ok(answer)) = &found.state
            && is_unread(&job)
        {
            keep(&api, &found.name, answer).await;
        }
        all.push(found);
    }
    Ok(all)
}

/// What the newest pod says that has said anything.
async fn read(client: &Client, namespace: &str, work: &Work, pods: &[&Pod]) -> Option<Said<Answer>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut progress = None;
    for pod in pods.iter().filter(|pod| has_begun(pod)) {
        let params = LogParams {
            container: Some("job".to_owned()),
            tail_lines: Some(LINES),
            limit_bytes: Some(BYTES),
            ..LogParams::default()
        };
        let log = match api.logs(&pod.name_any(), &params).await {
            Ok(log) => log,
            Err(error) => {
                tracing::debug!(pod = pod.name_any(), %error, "a log cannot be read");
                continue;
            }
        };
        match said(work, &log) {
            Some(Said::Done(answer)) if progress.is_none() => return Some(Said::Done(answer)),
            Some(Said::Progress(at)) => progress = progress.or(Some(Said::Progress(at))),
            _ => {}
        }
    }
    progress
}

fn has_begun(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.is_some_and(|phase| phase != "Pending")
}

/// Keeps an answer on its Job.
async fn keep(api: &Api<Job>, name: &str, answer: &Answer) {
    let Some(line) = kept(answer) else { return };
    let body = Patch::Merge(json!({"metadata": {"annotations": {RESULT: line}}}));
    if let Err(error) = api.patch(name, &PatchParams::default(), &body).await {
        tracing::warn!(job = name, %error, "what a Job said cannot be kept on it");
    }
}

/// Deletes Jobs, and their pods after them.
///
/// # Errors
/// The API server's, except for "not found".
pub async fn delete<'a>(
    client: &Client,
    namespace: &str,
    jobs: impl Iterator<Item = &'a ShardJob>,
) -> Result<(), Error> {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    for job in jobs {
        match api.delete(&job.name, &DeleteParams::background()).await {
            Err(Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(())
}

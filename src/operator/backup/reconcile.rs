//! One reconciliation of one MailBackup: fetch → validate → look at its Jobs → one step → status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Resource, ResourceExt,
    core::{PartialObjectMeta, PartialObjectMetaExt},
    runtime::controller::Action,
};

use super::{
    Place,
    context::{BackupError, Context},
    fetch::fetch,
    look,
    place::overlap,
    status::READY,
    turn::Turn,
    validate::validate,
};
use crate::{
    api::MailBackup,
    conditions::{self, Finding},
    operator::{
        cluster::{is_terminating, status as write},
        guarded::{Guarded, Unreadable},
    },
};

/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// Reconciles one object, be it readable or not.
///
/// # Errors
/// The API server's, or a name that is taken.
pub async fn reconcile(
    object: Arc<Guarded<MailBackup>>,
    context: Arc<Context>,
) -> Result<Action, BackupError> {
    let started = Instant::now();
    let result = match Box::pin(serve(&object, &context)).await {
        // It goes with its namespace.
        Err(BackupError::Write(_, error) | BackupError::Status(error)) if is_terminating(&error) => {
            Ok(Action::await_change())
        }
        other => other,
    };
    let word = result.as_ref().map_or_else(BackupError::category, |_| "ok");
    context.settings.metrics.ran("backup", word, started.elapsed());
    if result.is_ok() {
        context.note(&object.uid().unwrap_or_default(), false);
    }
    result
}

/// After an error: a pause that doubles with each one.
#[allow(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub fn pause(object: Arc<Guarded<MailBackup>>, error: &BackupError, context: Arc<Context>) -> Action {
    let count = context.note(&object.uid().unwrap_or_default(), true);
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    tracing::warn!(namespace, name, %error, count, "reconciling a MailBackup failed");
    Action::requeue(Duration::from_secs(1 << count.min(8)).min(LONGEST_PAUSE))
}

async fn serve(seen: &Guarded<MailBackup>, context: &Context) -> Result<Action, BackupError> {
    let (namespace, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let client = &context.settings.client;
    // What was begun a moment ago is only in the API server yet.
    let api: Api<Guarded<MailBackup>> = Api::namespaced(client.clone(), &namespace);
    let Some(object) = api.get_opt(&name).await.map_err(BackupError::Fetch)? else {
        context.forget(&seen.uid().unwrap_or_default());
        return Ok(Action::await_change());
    };
    let backup = match object.0 {
        Ok(backup) => backup,
        Err(invalid) => return report(&invalid, context).await,
    };
    if backup.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let rival = rival(&backup, context);
    let watched = context.settings.namespace.as_deref();
    let fetched = Box::pin(fetch(client, backup, rival, watched)).await.map_err(BackupError::Fetch)?;
    let checked = validate(&fetched, &context.settings.images);
    let uid = fetched.backup.uid().unwrap_or_default();
    let jobs = look::look(client, &namespace, (&name, &uid)).await.map_err(BackupError::Fetch)?;
    Box::pin(Turn::new(context, fetched, checked, jobs).take()).await
}

/// An older MailBackup whose place is this one's, or within it, or around it.
fn rival(backup: &MailBackup, context: &Context) -> Option<String> {
    let key = |backup: &MailBackup| {
        let namespace = backup.namespace().unwrap_or_default();
        Place::of(&namespace, &backup.spec).map(|place| place.key(&namespace))
    };
    let age = |backup: &MailBackup| (backup.creation_timestamp().map(|at| at.0), backup.uid());
    let (own, born) = (key(backup)?, age(backup));
    let all = context.backups.state();
    let mut older = all.iter().filter_map(|other| other.0.as_ref().ok()).filter(|other| {
        other.uid() != backup.uid()
            && other.metadata.deletion_timestamp.is_none()
            && age(other) < born
            && key(other).is_some_and(|other| overlap(&own, &other))
    });
    older.next().map(|other| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()))
}

/// Tells an object that cannot be read what is wrong with it.
async fn report(invalid: &Unreadable, context: &Context) -> Result<Action, BackupError> {
    let object: PartialObjectMeta<MailBackup> = invalid.metadata.clone().into_request_partial();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let (settings, generation) = (&context.settings, invalid.metadata.generation);
    let message = format!("the object cannot be read: {invalid}; correct it, nothing begins meanwhile");
    let finding = Finding::no(READY, "InvalidSpec", message);
    let new = conditions::merge(&invalid.conditions, &[finding], generation, &now());
    if new != invalid.conditions {
        write::write_conditions::<MailBackup>(&settings.client, &namespace, &name, (generation, &new))
            .await
            .map_err(BackupError::Status)?;
        settings.events.tell(&object.object_ref(&()), &invalid.conditions, &new).await;
    }
    Ok(Action::await_change())
}

/// Whole seconds, as the API server keeps them.
#[must_use]
pub fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

//! One reconciliation of one MailRestore: find what it needs → look at its Jobs → one step → status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Api, Resource, ResourceExt,
    core::{PartialObjectMeta, PartialObjectMetaExt},
    runtime::controller::Action,
};

use super::{context::Context, turn::Turn};
use crate::{
    api::{MailRestore, restore::RestorePhase},
    conditions::{self, Finding},
    names::RUN_LABEL,
    operator::{
        backup::{context::BackupError, look, reconcile::now},
        cluster::{is_terminating, status as write},
        guarded::{Guarded, Unreadable},
    },
};

/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Whether all that was asked for is there.
pub(super) const COMPLETE: &str = "Complete";
/// It ended without that. It is there only then.
pub(super) const FAILED: &str = "Failed";

/// Reconciles one object, be it readable or not.
///
/// # Errors
/// The API server's, or a name that is taken.
pub(super) async fn reconcile(
    object: Arc<Guarded<MailRestore>>,
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
    context.settings.metrics.ran("restore", word, started.elapsed());
    if result.is_ok() {
        context.forget(&object.uid().unwrap_or_default());
    }
    result
}

/// After an error: a pause that doubles with each one.
#[allow(clippy::needless_pass_by_value, reason = "the controller calls it so")]
pub(super) fn pause(object: Arc<Guarded<MailRestore>>, error: &BackupError, context: Arc<Context>) -> Action {
    let count = context.failed(&object.uid().unwrap_or_default());
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    tracing::warn!(namespace, name, %error, count, "reconciling a MailRestore failed");
    Action::requeue(Duration::from_secs(1 << count.min(8)).min(LONGEST_PAUSE))
}

async fn serve(seen: &Guarded<MailRestore>, context: &Context) -> Result<Action, BackupError> {
    let (namespace, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let client = &context.settings.client;
    // What was begun a moment ago is only in the API server yet.
    let api: Api<Guarded<MailRestore>> = Api::namespaced(client.clone(), &namespace);
    let Some(object) = api.get_opt(&name).await.map_err(BackupError::Fetch)? else {
        context.over(&seen.uid().unwrap_or_default());
        return Ok(Action::await_change());
    };
    let restore = match object.0 {
        Ok(restore) => restore,
        Err(invalid) => return report(&invalid, context).await,
    };
    if restore.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let uid = restore.uid().unwrap_or_default();
    let labels = format!("{RUN_LABEL}={name}");
    let jobs = look::of(client, &namespace, &labels, &uid).await.map_err(BackupError::Fetch)?;
    let phase = restore.status.as_ref().map(|status| status.phase).unwrap_or_default();
    if matches!(phase, RestorePhase::Succeeded | RestorePhase::Failed) {
        // What an operator left that went before it had deleted them.
        look::delete(client, &namespace, jobs.iter())
            .await
            .map_err(|error| BackupError::Write("the end of a Job", error))?;
        return Ok(Action::await_change());
    }
    Box::pin(Turn::new(context, restore, jobs).take()).await
}

/// Tells an object that cannot be read what is wrong with it.
async fn report(invalid: &Unreadable, context: &Context) -> Result<Action, BackupError> {
    let object: PartialObjectMeta<MailRestore> = invalid.metadata.clone().into_request_partial();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let (settings, generation) = (&context.settings, invalid.metadata.generation);
    let message = format!("the object cannot be read: {invalid}; make another one");
    let finding = Finding::no(COMPLETE, "InvalidSpec", message);
    let new = conditions::merge(&invalid.conditions, &[finding], generation, &now());
    if new != invalid.conditions {
        write::write_conditions::<MailRestore>(&settings.client, &namespace, &name, (generation, &new))
            .await
            .map_err(BackupError::Status)?;
        settings.events.tell(&object.object_ref(&()), &invalid.conditions, &new).await;
    }
    Ok(Action::await_change())
}

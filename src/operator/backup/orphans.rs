//! MailSnapshots that are deleted with their MailBackup: what is in the repository stays, since nobody asked for less. Only
//! the deletion of a MailSnapshot by itself forgets anything.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Client, Error, ResourceExt,
    runtime::{
        controller::{Action, Controller},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    controller::{api, pauses},
    snapshots::has_finalizer,
    write,
};
use crate::{
    api::{MailBackup, MailSnapshot},
    operator::guarded::Guarded,
};

/// Until a deleted MailSnapshot is looked at again: its MailBackup may go, too.
const AGAIN: Duration = Duration::from_secs(15);

/// Lets go of such MailSnapshots until `shutdown`.
pub(super) async fn run(client: Client, namespace: Option<String>, shutdown: CancellationToken) {
    Controller::new(api::<Guarded<MailSnapshot>>(&client, namespace.as_deref()), watcher::Config::default())
        .trigger_backoff(pauses())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, |_, _, _| Action::requeue(AGAIN), Arc::new(client))
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "a deleted MailSnapshot could not be looked at");
            }
        })
        .await;
}

async fn reconcile(object: Arc<Guarded<MailSnapshot>>, client: Arc<Client>) -> Result<Action, Error> {
    let Ok(snapshot) = &object.0 else { return Ok(Action::await_change()) };
    if snapshot.metadata.deletion_timestamp.is_none() || !has_finalizer(snapshot) {
        return Ok(Action::await_change());
    }
    let namespace = snapshot.namespace().unwrap_or_default();
    let backups: Api<MailBackup> = Api::namespaced((*client).clone(), &namespace);
    let backup = backups.get_metadata_opt(&snapshot.spec.backup).await?;
    // Another one of the same name is no owner: with its owner it lost who could mean that its snapshots go.
    let owns = |uid: &Option<String>| {
        uid.as_ref().is_some_and(|uid| snapshot.owner_references().iter().any(|owner| owner.uid == *uid))
    };
    if backup.is_some_and(|backup| backup.metadata.deletion_timestamp.is_none() && owns(&backup.metadata.uid))
    {
        return Ok(Action::requeue(AGAIN));
    }
    write::release(&client, &namespace, &snapshot.name_any()).await?;
    Ok(Action::await_change())
}

//! What runs a reconciliation again: watches of MailRestores, and of their Jobs.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        controller::{Config, Controller},
        reflector::ObjectRef,
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    context::{Context, Settings},
    reconcile::{pause, reconcile},
};
use crate::{
    api::MailRestore,
    names::{BACKUP_LABEL, MANAGED_BY, MANAGER},
    operator::{
        backup::controller::{api, pauses},
        guarded::Guarded,
    },
};

/// How many MailRestores are reconciled at a time.
const CONCURRENCY: u16 = 4;
/// Changes within this time are seen together.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Runs the controller of MailRestores until `shutdown`; reconciliations that run are finished.
pub async fn run(settings: Settings, shutdown: CancellationToken) {
    let (client, namespace) = (settings.client.clone(), settings.namespace.clone());
    let namespace = namespace.as_deref();
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER},{BACKUP_LABEL}"));
    let context = Arc::new(Context::new(settings));
    Controller::new(api::<Guarded<MailRestore>>(&client, namespace), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .watches(api::<PartialObjectMeta<Job>>(&client, namespace), ours, |job| owner(&job))
        .trigger_backoff(pauses())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, pause, context)
        .for_each(|result| async move {
            // What reconciling says is told where it happens; this is about watches.
            if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = result {
                tracing::warn!(%error, "a watch failed and is started again");
            }
        })
        .await;
}

/// The MailRestore that owns a Job.
fn owner(job: &PartialObjectMeta<Job>) -> Option<ObjectRef<Guarded<MailRestore>>> {
    let owner = job.owner_references().iter().find(|owner| owner.kind == MailRestore::kind(&()))?;
    Some(ObjectRef::new(&owner.name).within(&job.namespace()?))
}

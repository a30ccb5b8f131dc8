//! What runs a reconciliation again: watches of MailBackups, of their Jobs and MailSnapshots, and of MailSystems.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::{NamespaceResourceScope, api::batch::v1::Job};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        controller::{Config, Controller},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    context::{Context, Settings},
    orphans,
    reconcile::{pause, reconcile},
};
use crate::{
    api::{MailBackup, MailSnapshot, MailSystem},
    names::{BACKUP_LABEL, MANAGED_BY, MANAGER},
    operator::guarded::Guarded,
};

/// How many MailBackups are reconciled at a time.
const CONCURRENCY: u16 = 4;
/// Changes within this time are seen together.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Pauses after a watch failed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

type Backup = Guarded<MailBackup>;

/// Runs the controllers of MailBackups and MailSnapshots until `shutdown`; reconciliations that run are finished.
pub async fn run(settings: Settings, shutdown: CancellationToken) {
    let (client, namespace) = (settings.client.clone(), settings.namespace.clone());
    let namespace = namespace.as_deref();
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER},{BACKUP_LABEL}"));
    let controller = Controller::new(api::<Backup>(&client, namespace), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE));
    let store = controller.store();
    settings.board.show(store.clone());
    let by_system = store.clone();
    let deleted = orphans::run(client.clone(), namespace.map(ToOwned::to_owned), shutdown.clone());
    let context = Arc::new(Context::new(settings, store));
    let controller = controller
        .watches(api::<PartialObjectMeta<Job>>(&client, namespace), ours, |job| of_label(&job))
        .watches(
            api::<PartialObjectMeta<MailSnapshot>>(&client, namespace),
            watcher::Config::default(),
            |snapshot| of_label(&snapshot),
        )
        .watches(
            api::<PartialObjectMeta<MailSystem>>(&client, namespace),
            watcher::Config::default(),
            move |system| of_system(&by_system, &system),
        )
        .trigger_backoff(pauses())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, pause, context)
        .for_each(|result| async move {
            // What reconciling says is told where it happens; this is about watches.
            if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = result {
                tracing::warn!(%error, "a watch failed and is started again");
            }
        });
    tokio::join!(controller, deleted);
}

/// Pauses of watches.
pub(in crate::operator) fn pauses() -> watcher::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .into()
}

/// All objects of a kind, or those of one namespace.
pub(in crate::operator) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The MailBackup that an object's label names.
fn of_label(object: &impl ResourceExt) -> Option<ObjectRef<Backup>> {
    let name = object.labels().get(BACKUP_LABEL)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

/// The MailBackups of a system.
fn of_system(backups: &Store<Backup>, system: &PartialObjectMeta<MailSystem>) -> Vec<ObjectRef<Backup>> {
    let concerned = |object: &Arc<Backup>| {
        let named = object.0.as_ref().is_ok_and(|backup| backup.spec.system.name == system.name_any());
        named && object.namespace() == system.namespace()
    };
    backups.state().into_iter().filter(concerned).map(|object| ObjectRef::from_obj(&*object)).collect()
}

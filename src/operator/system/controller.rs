//! What runs a reconciliation again: watches of MailSystems, of their objects and of what they name.
//!
//! Everything but MailSystems is watched as metadata only, and as little of it as can be: our objects by label, Secrets by
//! type. A Secret with signatures is not watched (there may be very many of its type): it is looked for while it is missing.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        storage::v1::StorageClass,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        controller::{Config, Controller},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    memory::Memory,
    reconcile::{pause, reconcile},
};
use crate::{
    api::MailSystem,
    names,
    operator::{desired::secrets::INTERNAL_TYPE, guarded::Guarded, mailbox::Census, switchover::Watcher},
};

/// How many systems are reconciled at a time.
const CONCURRENCY: u16 = 4;
/// Changes within this time are seen together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Counts of mailboxes reach status this late, so that a thousand new ones are a few writes.
const CENSUS_PAUSE: Duration = Duration::from_secs(1);
/// News of stores is gathered for this long: all systems are looked at for each.
const NEWS_PAUSE: Duration = Duration::from_secs(1);

type System = Guarded<MailSystem>;

/// Pauses after a watch failed. All watches of a controller share them, and none is heard during one: after a restart of
/// the API server each watch fails once, and with kube's own pauses (up to 30 s) nothing was reconciled for five minutes.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs the controller until `shutdown`, in `namespace` or everywhere; reconciliations that run are finished.
pub async fn run(context: Context, namespace: Option<String>, shutdown: CancellationToken) {
    let client = context.client.clone();
    let namespace = namespace.as_deref();
    let controller = Controller::new(api::<System>(&client, namespace), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE));
    let (by_pair, by_token, by_class) = (controller.store(), controller.store(), controller.store());
    let secrets = || api::<PartialObjectMeta<Secret>>(&client, namespace);
    let of_type = |type_: &str| watcher::Config::default().fields(&format!("type={type_}"));
    let (census, memory) = (context.census.clone(), context.memory.clone());
    let of_backups = context.backups.clone();
    let (news, of_stores) = watch::channel(0);
    let (events, board) = (context.events.clone(), context.board.clone());
    let stores = Watcher::new(client.clone(), events, board, controller.store(), news).run();
    let controller = controller
        .watches(owned::<StatefulSet>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<Deployment>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<Service>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<ConfigMap>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<ServiceAccount>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<NetworkPolicy>(&client, namespace), ours(), owner_of(&memory))
        .watches(owned::<PodDisruptionBudget>(&client, namespace), ours(), owner_of(&memory))
        .watches(secrets(), of_type("kubernetes.io/tls"), {
            let memory = memory.clone();
            move |secret| touched(&memory, mounting(&by_pair, &secret))
        })
        .watches(secrets(), of_type(INTERNAL_TYPE), {
            let memory = memory.clone();
            move |secret| touched(&memory, mounting(&by_token, &secret))
        })
        .watches(
            Api::<PartialObjectMeta<StorageClass>>::all(client.clone()),
            watcher::Config::default(),
            move |_| every(&by_class),
        )
        .reconcile_all_on(changes(census))
        .reconcile_all_on(every_change(of_stores))
        .reconcile_all_on(every_change(of_backups))
        .trigger_backoff(pauses())
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, pause, Arc::new(context))
        .for_each(|result| async move {
            // What reconciling says is told where it happens; this is about watches.
            if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = result {
                tracing::warn!(%error, "a watch failed and is started again");
            }
        });
    // Nothing that the second does must be finished.
    tokio::select! {
        () = controller => {}
        () = stores => {}
    }
}

fn pauses() -> watcher::ExponentialBackoff {
    backon::ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .into()
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn owned<K>(client: &Client, namespace: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    api(client, namespace)
}

/// What this operator makes.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={}", names::MANAGER))
}

/// The system that owns an object, which has changed.
fn owner_of<K>(
    memory: &Arc<Memory>,
) -> impl Fn(PartialObjectMeta<K>) -> Vec<ObjectRef<System>> + Send + Sync + 'static
where
    K: Resource<DynamicType = ()> + 'static,
{
    let memory = memory.clone();
    move |object| {
        let owners = object.owner_references().iter();
        let owners =
            owners.filter_map(|owner| ObjectRef::from_owner_ref(object.namespace().as_deref(), owner, ()));
        touched(&memory, owners.collect())
    }
}

/// The same systems; objects of theirs have changed.
fn touched(memory: &Memory, systems: Vec<ObjectRef<System>>) -> Vec<ObjectRef<System>> {
    for system in &systems {
        memory.touch(&names::SystemName::new(
            system.namespace.clone().unwrap_or_default(),
            system.name.clone(),
        ));
    }
    systems
}

/// The systems that name this Secret, or that it was made for.
fn mounting(systems: &Store<System>, secret: &PartialObjectMeta<Secret>) -> Vec<ObjectRef<System>> {
    let (namespace, name) = (secret.namespace(), secret.name_any());
    let concerned = |object: &Arc<System>| {
        let Ok(system) = &object.0 else { return false };
        let own = names::SystemName::new("", system.name_any());
        let named = system.spec.tls.as_ref().is_some_and(|tls| tls.secret_name == name);
        system.namespace() == namespace && (named || own.tls() == name || own.internal() == name)
    };
    systems.state().into_iter().filter(concerned).map(|object| ObjectRef::from_obj(&*object)).collect()
}

fn every(systems: &Store<System>) -> Vec<ObjectRef<System>> {
    systems.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect()
}

/// An item after each change of the census.
fn changes(census: watch::Receiver<Census>) -> impl Stream<Item = ()> + Send + 'static {
    stream::unfold(census, |mut census| async move {
        census.changed().await.ok()?;
        tokio::time::sleep(CENSUS_PAUSE).await;
        census.mark_unchanged();
        Some(((), census))
    })
}

/// An item a moment after a change of what is known of stores, or of backups. Systems are few, so all are looked at.
fn every_change(news: watch::Receiver<u64>) -> impl Stream<Item = ()> + Send + 'static {
    stream::unfold(news, |mut news| async move {
        news.changed().await.ok()?;
        tokio::time::sleep(NEWS_PAUSE).await;
        news.mark_unchanged();
        Some(((), news))
    })
}

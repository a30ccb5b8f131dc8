//! The watches, and how their events become facts. A listing that starts over is compared with what is known, so that
//! nothing that went away in between is kept.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{
    StreamExt,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, Event, watcher},
    },
};

use super::{
    agents::AgentPod,
    index::{Key, ObjectName},
    issue::SECRET_TYPE,
};
use crate::{
    api::{MailDomain, MailSystem, Mailbox, RetiredMailbox},
    operator::guarded::Guarded,
};

/// An event of one of the watches. Pods and Secrets are large; they live for a moment, and boxing each would cost more.
#[allow(clippy::large_enum_variant)]
pub enum Seen {
    /// Of a MailSystem.
    System(Event<Guarded<MailSystem>>),
    /// Of a MailDomain.
    Domain(Event<Guarded<MailDomain>>),
    /// Of a Mailbox.
    Mailbox(Event<Guarded<Mailbox>>),
    /// Of a RetiredMailbox.
    Retired(Event<Guarded<RetiredMailbox>>),
    /// Of a Secret that may hold a password.
    Secret(Event<Secret>),
    /// Of a pod with an agent.
    Pod(Event<Pod>),
    /// Of a Secret of a directory.
    Part(Event<PartialObjectMeta<Secret>>),
}

/// All watches.
pub type Watches = SelectAll<BoxStream<'static, Seen>>;

/// The watches that run from the start.
pub fn first(client: &Client, namespace: Option<&str>) -> Watches {
    let mut watches = SelectAll::new();
    let every = Config::default;
    watches.push(events(watcher(scoped(client, namespace), every()), Seen::System));
    watches.push(events(watcher(scoped(client, namespace), every()), Seen::Domain));
    watches.push(events(watcher(scoped(client, namespace), every()), Seen::Mailbox));
    watches.push(events(watcher(scoped(client, namespace), every()), Seen::Retired));
    let pods = every().labels(&AgentPod::selector());
    watches.push(events(watcher(scoped(client, namespace), pods), Seen::Pod));
    let parts = every().fields(&format!("type={SECRET_TYPE}"));
    watches.push(events(watcher(scoped::<PartialObjectMeta<Secret>>(client, namespace), parts), Seen::Part));
    watches
}

/// The watch of Secrets with passwords. It starts when the mailboxes are known: what none of them names is not kept.
#[must_use]
pub fn secrets(client: &Client, namespace: Option<&str>) -> BoxStream<'static, Seen> {
    let without = ["kubernetes.io/service-account-token", "helm.sh/release.v1", SECRET_TYPE];
    let fields = without.map(|type_| format!("type!={type_}")).join(",");
    events(watcher(scoped(client, namespace), Config::default().fields(&fields)), Seen::Secret)
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn events<T, S>(stream: S, seen: impl Fn(Event<T>) -> Seen + Send + 'static) -> BoxStream<'static, Seen>
where
    T: Debug + Send + 'static,
    S: futures::Stream<Item = Result<Event<T>, watcher::Error>> + Send + 'static,
{
    stream
        .default_backoff()
        .filter_map(move |event| {
            let event = match event {
                Ok(event) => Some(seen(event)),
                Err(error) => {
                    tracing::warn!(%error, "a watch failed and starts over");
                    None
                }
            };
            std::future::ready(event)
        })
        .boxed()
}

/// What an event does to one object.
pub enum Change<T> {
    /// It is there.
    Set(Key, T),
    /// It is gone.
    Gone(Key),
}

/// The state of one watch.
#[derive(Debug, Default)]
pub struct Listing {
    seen: Option<HashSet<Key>>,
    /// Whether everything was listed once.
    pub complete: bool,
}

impl Listing {
    /// What the event does. `known` gives the objects known so far, when a listing is to be compared with them.
    pub fn fold<T: Resource>(&mut self, event: Event<T>, known: impl FnOnce() -> Vec<Key>) -> Vec<Change<T>> {
        let set = |object: T| {
            let key = Arc::new(ObjectName::of(&object));
            match object.meta().deletion_timestamp {
                Some(_) => Change::Gone(key),
                None => Change::Set(key, object),
            }
        };
        match event {
            Event::Init => {
                self.seen = Some(HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let change = set(object);
                if let (Some(seen), Change::Set(key, _)) = (&mut self.seen, &change) {
                    seen.insert(key.clone());
                }
                vec![change]
            }
            Event::InitDone => {
                self.complete = true;
                let seen = self.seen.take().unwrap_or_default();
                known().into_iter().filter(|key| !seen.contains(key)).map(Change::Gone).collect()
            }
            Event::Apply(object) => vec![set(object)],
            Event::Delete(object) => vec![Change::Gone(Arc::new(ObjectName::of(&object)))],
        }
    }
}

//! The watches, and how their events become facts. A listing that starts over is compared with what is known, so that
//! nothing that went away in between is kept.

use std::{collections::HashSet, fmt::Debug, future::ready, sync::Arc};

use futures::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Config, DefaultBackoff, Event, watcher},
    },
};

use super::{
    agents::AgentPod,
    index::{Key, ObjectName},
    issue::SECRET_TYPE,
};
use crate::{
    api::{MailDomain, MailGroup, MailSystem, Mailbox, RetiredMailbox},
    names::OBJECTS_TYPE,
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
    /// Of a MailGroup.
    Group(Event<Guarded<MailGroup>>),
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
    watches.push(events(watcher(scoped(client, namespace), every()), Seen::Group));
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
    let without = ["kubernetes.io/service-account-token", "helm.sh/release.v1", SECRET_TYPE, OBJECTS_TYPE];
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
    with_pauses(stream, DefaultBackoff::default()).map(seen).boxed()
}

/// The events, with pauses after failures that grow until something is listed or watched. `Init` opens each try and would
/// set them back to the shortest, so it is heard only with what follows it.
fn with_pauses<T, S>(
    stream: S,
    pauses: impl Backoff + 'static,
) -> impl futures::Stream<Item = Event<T>> + Send
where
    T: Debug + Send + 'static,
    S: futures::Stream<Item = Result<Event<T>, watcher::Error>> + Send + 'static,
{
    let opened = stream.scan(false, |opened, event| {
        ready(Some(match event {
            Ok(Event::Init) => {
                *opened = true;
                None
            }
            Ok(event) => Some(Ok((std::mem::take(opened), event))),
            Err(error) => Some(Err(error)),
        }))
    });
    opened.filter_map(ready).backoff(pauses).flat_map(|event| {
        stream::iter(match event {
            Ok((true, event)) => vec![Event::Init, event],
            Ok((false, event)) => vec![event],
            Err(error) => {
                tracing::warn!(%error, "a watch failed and starts over");
                Vec::new()
            }
        })
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn pauses_grow_while_nothing_is_listed_and_a_listing_begins_with_its_first_object() {
        let pauses = || {
            let pauses = backon::ExponentialBuilder::default().with_min_delay(Duration::from_millis(10));
            watcher::ExponentialBackoff::from(pauses.with_factor(2.0).without_max_times())
        };
        let failed = || Err(watcher::Error::NoResourceVersion);
        let mut tries: Vec<Result<Event<u8>, _>> = (0..5).flat_map(|_| [Ok(Event::Init), failed()]).collect();
        tries.extend([Ok(Event::Init), Ok(Event::InitApply(1)), Ok(Event::InitDone), Ok(Event::Apply(2))]);
        let started = Instant::now();
        let heard: Vec<_> = with_pauses(stream::iter(tries), pauses()).collect().await;
        assert!(
            matches!(heard[..], [Event::Init, Event::InitApply(1), Event::InitDone, Event::Apply(2)]),
            "{heard:?}"
        );
        // 10 + 20 + 40 + 80 + 160; without growth it would be 50.
        assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    }
}

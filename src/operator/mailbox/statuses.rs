//! Writing status: one queue in which the latest word on an object replaces an earlier one, so that its length is
//! bounded by the number of objects. A write names the uid it is meant for; an object that is gone is none the worse.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Debug,
};

use backon::Retryable;
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::{DynamicObject, discovery::ApiResource},
};
use serde_json::{Value, json};

use super::{
    cluster::{is_code, some_tries, transient},
    index::{Key, Published},
};
use crate::{api, names::MANAGER, operator::cluster::events::Events};

/// Writes at the same time.
const PARALLEL: usize = 16;

/// An object with a status of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A Mailbox.
    Mailbox(Key),
    /// What a Mailbox's status says of its use, which is written apart from the rest.
    Usage(Key),
    /// A MailDomain.
    Domain(Key),
    /// A MailGroup.
    Group(Key),
    /// A RetiredMailbox.
    Retired(Key),
    /// A MailSystem: it waits for its agents, its status is another controller's.
    System(Key),
}

impl Target {
    /// Its name.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Mailbox(key)
            | Self::Usage(key)
            | Self::Domain(key)
            | Self::Group(key)
            | Self::Retired(key)
            | Self::System(key) => key,
        }
    }

    fn resource(&self) -> ApiResource {
        match self {
            Self::Mailbox(_) | Self::Usage(_) => ApiResource::erase::<api::Mailbox>(&()),
            Self::Domain(_) => ApiResource::erase::<api::MailDomain>(&()),
            Self::Group(_) => ApiResource::erase::<api::MailGroup>(&()),
            Self::Retired(_) => ApiResource::erase::<api::RetiredMailbox>(&()),
            Self::System(_) => ApiResource::erase::<api::MailSystem>(&()),
        }
    }
}

/// A status to be written.
#[derive(Clone, Debug)]
pub struct Word {
    /// The object it is about.
    pub uid: String,
    /// The whole status, or the part of it that is written apart.
    pub status: Value,
    /// Its digest.
    pub published: Published,
    /// What is told as Events, if anything.
    pub trouble: Vec<Condition>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The status stands.
    Done,
    /// The object is gone, or is another one.
    Gone,
    /// The API refused or did not answer.
    Failed,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Statuses {
    latest: HashMap<Target, Word>,
    order: VecDeque<Target>,
    writing: HashMap<Target, u64>,
}

impl Statuses {
    /// Says `word` of `target`, in place of what waits to be said.
    pub fn push(&mut self, target: Target, word: Word) {
        if self.latest.get(&target).map(|word| word.published.digest).or(self.writing.get(&target).copied())
            == Some(word.published.digest)
        {
            return;
        }
        if self.latest.insert(target.clone(), word).is_none() {
            self.order.push_back(target);
        }
    }

    /// Nothing is to be said of `target` any more.
    pub fn forget(&mut self, target: &Target) {
        self.latest.remove(target);
    }

    /// The next word to write, if a place is free. It must be followed by [`Self::done`].
    pub fn next(&mut self) -> Option<(Target, Word)> {
        for _ in 0..self.order.len() {
            if self.writing.len() >= PARALLEL {
                return None;
            }
            let target = self.order.pop_front()?;
            if self.writing.contains_key(&target) {
                self.order.push_back(target);
            } else if let Some(word) = self.latest.remove(&target) {
                self.writing.insert(target.clone(), word.published.digest);
                return Some((target, word));
            }
        }
        None
    }

    /// A write of `target` ended.
    pub fn done(&mut self, target: &Target) {
        self.writing.remove(target);
    }

    /// Whether nothing waits or is being written for `target`.
    #[must_use]
    pub fn is_idle(&self, target: &Target) -> bool {
        !self.latest.contains_key(target) && !self.writing.contains_key(target)
    }
}

/// Writes one status, with some tries, then tells its trouble.
pub async fn write(client: Client, events: Events, target: Target, word: Word) -> Written {
    let resource = target.resource();
    let key = target.key();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &key.namespace, &resource);
    let patch = Patch::Merge(json!({ "metadata": { "uid": word.uid }, "status": word.status }));
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let attempt = || api.patch_status(&key.name, &parameters, &patch);
    // A conflict is about the uid and so for good.
    let again = |error: &kube::Error| transient(error) && !is_code(error, 409);
    match attempt.retry(some_tries()).when(again).await {
        Ok(object) => {
            if !word.trouble.is_empty() {
                events.tell(&reference(&object, &resource), &[], &word.trouble).await;
            }
            Written::Done
        }
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Written::Gone,
        Err(error) => {
            tracing::warn!(object = %key, kind = resource.kind, %error, "a status cannot be written");
            Written::Failed
        }
    }
}

fn reference(object: &DynamicObject, resource: &ApiResource) -> ObjectReference {
    let mut reference = object.object_ref(resource);
    // Events on the object are found by what it says of itself, not by its version.
    reference.resource_version = None;
    reference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::ObjectName;

    fn word(digest: u64) -> Word {
        let published = Published { digest, ..Published::default() };
        Word { uid: String::new(), status: Value::Null, published, trouble: Vec::new() }
    }

    fn target(n: usize) -> Target {
        Target::Mailbox(ObjectName::new("n", &n.to_string()).into())
    }

    #[test]
    fn the_latest_word_on_an_object_is_written_once_and_one_at_a_time() {
        let mut statuses = Statuses::default();
        statuses.push(target(0), word(1));
        statuses.push(target(0), word(2));
        let (first, said) = statuses.next().unwrap();
        assert_eq!((first, said.published.digest), (target(0), 2));
        statuses.push(target(0), word(2));
        assert!(statuses.next().is_none(), "it is being written");
        statuses.push(target(0), word(3));
        assert!(statuses.next().is_none(), "one at a time");
        statuses.done(&target(0));
        assert_eq!(statuses.next().unwrap().1.published.digest, 3);
    }

    #[test]
    fn the_number_of_writes_at_the_same_time_is_bounded() {
        let mut statuses = Statuses::default();
        (0..100).for_each(|n| statuses.push(target(n), word(1)));
        assert_eq!(std::iter::from_fn(|| statuses.next()).count(), PARALLEL);
        statuses.done(&target(0));
        assert!(statuses.next().is_some());
    }
}

//! MailGroups in the controller: from an event to the index, and from what the index says to status.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::runtime::watcher::Event;
use tokio::time::Instant;

use super::{
    controller::Controller,
    group_status,
    index::{GroupFact, Key, Published, digest},
    seen::Change,
    status::Progress,
    statuses::{Target, Word},
    unread::Unread,
};
use crate::{
    api::{MailGroup, MailGroupStatus},
    conditions,
    operator::guarded::Guarded,
};

impl Controller {
    pub(super) fn see_groups(&mut self, event: Event<Guarded<MailGroup>>) {
        let index = &self.index;
        let known = || index.group_keys();
        for change in self.listings.groups.fold(event, known) {
            let (key, object) = match change {
                Change::Set(key, object) => (key, object),
                Change::Gone(key) => {
                    self.index.remove_group(&key);
                    self.forget(&Target::Group(key));
                    continue;
                }
            };
            let fact = object.0.map_err(Unread::from).and_then(|object| {
                GroupFact::try_from(&object).map_err(|(field, error)| Unread::group(&object, field, &error))
            });
            match fact {
                Ok(fact) => {
                    self.unread.remove(&Target::Group(key.clone()));
                    self.index.apply_group(&key, fact);
                }
                Err(unread) => {
                    self.index.group_unreadable(&key, &unread.meta);
                    self.unread.insert(Target::Group(key), unread);
                }
            }
        }
    }

    /// A MailGroup, or whom it reaches, changed.
    pub(super) fn group_changed(&mut self, key: &Key) {
        let target = Target::Group(key.clone());
        if let Some(work) = self.index.group_in(key).and_then(|system| self.systems.get_mut(&system)) {
            work.touched.insert(target.clone());
        }
        self.waiting.restart(&target);
        self.review_group(key);
    }

    /// Says of a MailGroup at once what is wrong, and what is in order when the agents have it.
    pub(super) fn review_group(&mut self, key: &Key) {
        let target = Target::Group(key.clone());
        if self.say_unread(&target) {
            return;
        }
        let Some(verdict) = self.index.group_verdict(key) else { return self.waiting.forget(&target) };
        // What is kept under which address is not known before.
        let home = self.index.group_in(key).and_then(|name| self.index.system(&name));
        if home.is_some_and(|system| !system.loaded) {
            return;
        }
        let Some((status, published)) = self.group_status(key, Progress::Served) else { return };
        if !verdict.problems.is_empty() {
            self.waiting.forget(&target);
            return self.say_group(key, Progress::Served);
        }
        let trusted = !verdict.system.as_ref().is_some_and(|name| self.is_restored(name));
        if trusted && digest_of(&status) == digest_of(&published) {
            self.waiting.forget(&target);
            return self.statuses.forget(&target);
        }
        self.waiting.wait(target, Instant::now());
    }

    /// Writes the status of a MailGroup, unless it stands.
    pub(super) fn say_group(&mut self, key: &Key, progress: Progress) {
        let Some((status, old)) = self.group_status(key, progress) else { return };
        let target = Target::Group(key.clone());
        let published = Published { digest: digest_of(&status), ..Published::default() };
        if published.digest == digest_of(&old) {
            return self.statuses.forget(&target);
        }
        let Some(group) = self.index.group(key) else { return };
        let told = |new: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            let same =
                conditions::get(&old.conditions, &new.type_).is_some_and(|old| old.message == new.message);
            new.status == "False" && !same
        };
        let trouble = status.conditions.iter().filter(told).cloned().collect();
        let Ok(value) = value(&status) else { return };
        let word = Word { uid: group.fact.meta.uid.to_string(), status: value, published, trouble };
        self.statuses.push(target, word);
    }

    /// The status that a MailGroup should have, and the one it has.
    fn group_status(&self, key: &Key, progress: Progress) -> Option<(MailGroupStatus, MailGroupStatus)> {
        let (group, verdict) = (self.index.group(key)?, self.index.group_verdict(key)?);
        let status = group_status::group(key, group, &verdict, progress, &Time(Timestamp::now()));
        Some((status, group.fact.published.clone()))
    }

    /// The status of a MailGroup was written.
    pub(super) fn group_written(&mut self, key: &Key, word: &Word) {
        if let Ok(status) = serde_json::from_value(word.status.clone()) {
            self.index.published_group(key, &word.uid, status);
        }
    }
}

fn digest_of(status: &MailGroupStatus) -> u64 {
    digest(status, |status| &mut status.conditions)
}

/// As a patch: what is not there any more is taken away.
fn value(status: &MailGroupStatus) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(status)?;
    if status.not_reached.is_empty() {
        value["notReached"] = serde_json::Value::Null;
    }
    if status.address.is_none() {
        value["address"] = serde_json::Value::Null;
    }
    Ok(value)
}

//! The objects that stand for mail whose mailbox is gone: what the index records is shown as RetiredMailboxes, and what
//! people write there (longer, or purge) is recorded. An object is a view: one that is deleted is made again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, runtime::watcher::Event};
use tokio::time::{Duration, Instant};

use super::{
    controller::Controller,
    deadlines::Deadlines,
    departures::{confirmation, is_accident, is_sudden},
    index::{Departed, Key, Meta, ObjectName, retired_name},
    outcome::Outcome,
    retired_object,
    seen::Change,
    statuses::Target,
};
use crate::{
    api::{RetiredMailbox, RetiredMailboxStatus},
    directory::{self, Retired},
    names::{PURGE, SystemName},
    operator::guarded::Guarded,
};

/// Times that have come are looked for this often.
const PERIOD: Duration = Duration::from_secs(30);

/// A RetiredMailbox, as far as it decides.
#[derive(Clone, Debug)]
pub(super) struct RetiredFact {
    pub meta: Meta,
    uid: Box<str>,
    until: i64,
    purge: bool,
    pub status: RetiredMailboxStatus,
}

impl From<&RetiredMailbox> for RetiredFact {
    fn from(object: &RetiredMailbox) -> Self {
        let named = object.annotations().get(PURGE).and_then(|address| directory::fold(address).ok());
        Self {
            meta: Meta::of(object),
            uid: object.spec.uid.as_str().into(),
            until: object.spec.purge_after.0.as_second(),
            purge: named.as_ref() == Some(&object.spec.address),
            status: object.status.clone().unwrap_or_default(),
        }
    }
}

/// What is known of RetiredMailboxes.
#[derive(Default)]
pub(super) struct Retirements {
    pub objects: HashMap<Key, RetiredFact>,
    /// Whose mail each object is of, and where it is kept.
    owners: HashMap<Key, (Arc<SystemName>, Box<str>)>,
    pub under_way: HashSet<Key>,
    deadlines: Deadlines,
    pub changed: bool,
    pub due: Option<Instant>,
}

impl Retirements {
    /// The objects known, for a new listing to be compared with.
    fn keys(&self) -> Vec<Key> {
        self.objects.keys().cloned().collect()
    }

    /// Whose mail the object is of, and where it is kept.
    pub fn owner(&self, key: &Key) -> Option<(Arc<SystemName>, Box<str>)> {
        self.owners.get(key).cloned()
    }

    /// An object was made or deleted, or could not be.
    pub fn done(&mut self, key: &Key) {
        self.under_way.remove(key);
        self.changed = true;
    }
}

impl Controller {
    pub(super) fn see_retired(&mut self, event: Event<Guarded<RetiredMailbox>>) {
        let retirements = &self.retirements;
        for change in self.listings.retired.fold(event, || retirements.keys()) {
            match change {
                Change::Set(key, Guarded(Ok(object))) => {
                    self.unread.remove(&Target::Retired(key.clone()));
                    self.retirements.objects.insert(key, RetiredFact::from(&object));
                }
                // It is a view: what it stands for is recorded elsewhere.
                Change::Set(key, Guarded(Err(unreadable))) => {
                    self.unread.insert(Target::Retired(key.clone()), unreadable.into());
                    self.say_unread(&Target::Retired(key));
                }
                Change::Gone(key) => {
                    self.unread.remove(&Target::Retired(key.clone()));
                    self.retirements.objects.remove(&key);
                    self.retirements.under_way.remove(&key);
                }
            }
            self.retirements.changed = true;
        }
    }

    /// Records mailboxes that are gone. So many at once that it may have been an accident stay where they are.
    pub(super) fn depart(&mut self, departed: Vec<Departed>) {
        let now = Timestamp::now().as_second();
        let mut systems = HashSet::new();
        for Departed { system, uid, record } in departed {
            let retention = self.index.system(&system).map_or(0, |it| it.fact.retention);
            self.index.record(&system, &uid, Retired { since: now, until: now + retention, ..record });
            systems.insert(system);
        }
        for name in systems {
            let (Some(records), Some(system)) = (self.index.records(&name), self.index.system(&name)) else {
                continue;
            };
            let sudden: Vec<_> = records
                .iter()
                .filter(|(uid, record)| is_sudden(record, now) && !self.index.is_stranded(uid, record))
                .map(|(uid, record)| (uid.to_owned(), record.clone()))
                .collect();
            if is_accident(sudden.len(), system.mailboxes as usize) {
                tracing::warn!(system = %name, mailboxes = sudden.len(), "so many mailboxes vanished that their mail stays in place");
                for (uid, record) in sudden {
                    self.index.record(&name, &uid, Retired { in_place: true, ..record });
                }
            }
        }
        self.retirements.changed = true;
    }

    /// Brings records and objects in line, and sees which times have come.
    pub(super) fn tend_retired(&mut self, now: Instant) {
        if !self.retirements.changed && self.retirements.due.is_none_or(|due| due > now) {
            return;
        }
        self.retirements.changed = false;
        self.retirements.due = Some(now + PERIOD);
        let names: Vec<_> =
            self.index.systems().filter(|(_, it)| it.loaded).map(|(name, _)| name.clone()).collect();
        let mut owners = HashMap::new();
        for name in names {
            self.confirm_deletions(&name);
            let records: Vec<_> = self
                .index
                .records(&name)
                .into_iter()
                .flat_map(super::index::Records::iter)
                .filter(|(_, record)| !record.in_place)
                .map(|(uid, record)| (uid.to_owned(), record.clone()))
                .collect();
            for (uid, record) in records {
                let key = self.show(&name, &uid, record, now);
                owners.insert(key, (name.clone(), uid.into_boxed_str()));
            }
        }
        self.retirements.deadlines.keep(|uid| owners.values().any(|(_, owner)| **owner == *uid));
        self.retirements.owners = owners;
        let loaded = !self.index.has_unknown_systems() && self.index.systems().all(|(_, it)| it.loaded);
        let stray = |key: &&Key| {
            !self.retirements.owners.contains_key(*key) && !self.retirements.under_way.contains(*key)
        };
        let strays: Vec<Key> = if loaded {
            self.retirements.objects.keys().filter(stray).cloned().collect()
        } else {
            Vec::new()
        };
        for key in strays {
            self.unshow(key);
        }
    }

    /// Mailboxes that vanished in numbers are retired when the word for exactly them was given.
    fn confirm_deletions(&mut self, name: &SystemName) {
        let (Some(system), vanished) = (self.index.system(name), self.index.vanished(name)) else { return };
        if vanished.is_empty() || system.fact.confirmed.as_deref() != Some(&*confirmation(&vanished)) {
            return;
        }
        let now = Timestamp::now().as_second();
        let retention = system.fact.retention;
        for uid in vanished {
            let Some(record) = self.index.records(name).and_then(|records| records.get(&uid)).cloned() else {
                continue;
            };
            let until = now + retention;
            let record = Retired { in_place: false, confirmed: true, since: now, until, ..record };
            self.index.record(name, &uid, record);
        }
    }

    /// Sees to one record and its object, and names the object.
    fn show(&mut self, name: &Arc<SystemName>, uid: &str, record: Retired, now: Instant) -> Key {
        let own: Key = retired_name(uid, &record).into();
        // Where the namespace of the Mailbox is gone, the object is beside the MailSystem.
        let fallback: Key = ObjectName::new(&name.namespace, &own.name).into();
        let is_of = |key: &&Key| self.retirements.objects.get(*key).is_some_and(|fact| *fact.uid == *uid);
        let shown = [&own, &fallback].into_iter().find(is_of);
        let Some(key) = shown.cloned() else {
            // One that cannot be read stands for something.
            let unread = |key: &&Key| self.unread.contains_key(&Target::Retired((*key).clone()));
            if let Some(key) = [&own, &fallback].into_iter().find(unread) {
                return key.clone();
            }
            // Somebody else's work under this name: it stands for nothing.
            if self.retirements.objects.contains_key(&own) && !self.retirements.under_way.contains(&own) {
                self.unshow(own.clone());
            }
            if self.retirements.under_way.insert(own.clone()) {
                let (client, object) = (self.client.clone(), retired_object::object(name, uid, &record));
                let (key, metrics) = (own.clone(), self.metrics.clone());
                self.tasks.spawn(async move {
                    let made = retired_object::make(&client, &own, &fallback, object).await;
                    metrics.wrote("retired", if made { "ok" } else { "failed" });
                    Outcome::Shown(own)
                });
                return key;
            }
            return own;
        };
        let Some(fact) = self.retirements.objects.get(&key) else { return key };
        let until = record.until.max(fact.until);
        let clock = Timestamp::now().as_second();
        // Kept as long by the API server's clock, which says when the object was made.
        let over = clock >= until && clock >= fact.meta.created.saturating_add(until - record.since);
        let over = self.retirements.deadlines.passed(uid, over, now);
        let purge = record.purge || fact.purge || over;
        let (known, purged) = (fact.status.size.is_some(), purge && !record.purge);
        if (until, purge) != (record.until, record.purge) {
            self.index.record(name, uid, Retired { until, purge, ..record });
        }
        let target = Target::Retired(key.clone());
        if purged || ((purge || !known) && !self.waiting.is_waiting(&target)) {
            self.waiting.forget(&target);
            self.waiting.wait(target.clone(), now);
            if let Some(work) = self.systems.get_mut(name) {
                work.touched.insert(target);
            }
        }
        if purged {
            self.say_retired(&key, None);
        }
        key
    }
}

//! The objects that stand for mail whose mailbox is gone: what the index records is shown as RetiredMailboxes, and what
//! people write there (longer, or purge) is recorded. An object is a view: one that is deleted is made again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::watcher::Event,
};
use tokio::time::{Duration, Instant};

use super::{
    cluster::is_code,
    controller::{Controller, LATER},
    departures::{is_accident, is_sudden},
    index::{Departed, Key, Meta, ObjectName, retired_name},
    outcome::Outcome,
    seen::Change,
    statuses::{Target, Word},
};
use crate::{
    api::{RetiredMailbox, RetiredMailboxSpec, RetiredMailboxStatus, domain::SystemRef},
    conditions::{self, Finding},
    directory::{self, Keeping, Retired},
    names::{PURGE, SystemName},
    operator::guarded::Guarded,
};

/// Times that have come are looked for this often.
const PERIOD: Duration = Duration::from_secs(30);
/// An object that is there and was not seen yet is looked for again after this long.
const AGAIN: Duration = Duration::from_secs(1);

/// A RetiredMailbox, as far as it decides.
#[derive(Clone, Debug)]
pub(super) struct RetiredFact {
    meta: Meta,
    uid: Box<str>,
    until: i64,
    purge: bool,
    status: RetiredMailboxStatus,
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
    objects: HashMap<Key, RetiredFact>,
    /// Whose mail each object is of, and where it is kept.
    owners: HashMap<Key, (Arc<SystemName>, Box<str>)>,
    under_way: HashSet<Key>,
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

    /// Mailboxes that vanished in numbers are retired when that number was named.
    fn confirm_deletions(&mut self, name: &SystemName) {
        let (Some(system), vanished) = (self.index.system(name), self.index.vanished(name)) else { return };
        if vanished.is_empty() || system.fact.confirmed != Some(vanished.len()) {
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
                let (client, object) = (self.client.clone(), object(name, uid, &record));
                let (key, metrics) = (own.clone(), self.metrics.clone());
                self.tasks.spawn(async move {
                    let made = make(&client, &own, &fallback, object).await;
                    metrics.wrote("retired", if made { "ok" } else { "failed" });
                    Outcome::Shown(own)
                });
                return key;
            }
            return own;
        };
        let Some(fact) = self.retirements.objects.get(&key) else { return key };
        let until = record.until.max(fact.until);
        let purge = record.purge || fact.purge || Timestamp::now().as_second() >= until;
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

    fn unshow(&mut self, key: Key) {
        self.waiting.forget(&Target::Retired(key.clone()));
        self.statuses.forget(&Target::Retired(key.clone()));
        self.retirements.under_way.insert(key.clone());
        let api: Api<RetiredMailbox> = Api::namespaced(self.client.clone(), &key.namespace);
        let metrics = self.metrics.clone();
        self.tasks.spawn(async move {
            let deleted = api.delete(&key.name, &DeleteParams::default()).await;
            let gone = deleted.as_ref().err().is_some_and(|error| is_code(error, 404));
            metrics.wrote("retired", if deleted.is_ok() || gone { "ok" } else { "failed" });
            if deleted.is_err() && !gone {
                tokio::time::sleep(LATER).await;
            }
            Outcome::Shown(key)
        });
    }

    /// What a store said of retired mail: it is kept, or there is none (any more).
    pub(super) fn confirm_retired(&mut self, key: &Key) {
        let Some((name, uid)) = self.retirements.owner(key) else { return };
        let Some(record) = self.index.records(&name).and_then(|records| records.get(&uid)).cloned() else {
            return;
        };
        match self.agents.keeping(&name, record.store, &uid) {
            Some(Keeping::Absent) => {
                if record.purge {
                    self.metrics.purged.inc();
                    tracing::info!(retired = %key, address = record.address, "retired mail is purged");
                }
                self.index.strike_off(&name, &uid);
                self.retirements.changed = true;
            }
            Some(Keeping::Kib(size)) => self.say_retired(key, Some(size)),
            Some(Keeping::Moving) | None => {}
        }
    }

    /// Whether a store has said what [`Controller::confirm_retired`] waits for.
    pub(super) fn is_retired(&self, name: &SystemName, uid: &str, record: &Retired) -> bool {
        match self.agents.keeping(name, record.store, uid) {
            Some(Keeping::Absent) => true,
            Some(Keeping::Kib(_)) => !record.purge,
            Some(Keeping::Moving) | None => false,
        }
    }

    fn say_retired(&mut self, key: &Key, kib: Option<u64>) {
        let Some(fact) = self.retirements.objects.get(key) else { return };
        let finding = match kib {
            Some(_) => {
                Finding::yes("Ready", "Kept", "The mail is kept, out of everybody's reach, until purgeAfter.")
            }
            None => Finding::no("Ready", "Purging", "The mail is being deleted."),
        };
        let (now, generation) = (Time(Timestamp::now()), Some(fact.meta.generation));
        let conditions = conditions::merge(&fact.status.conditions, &[finding], generation, &now);
        let size = kib.map(size).or_else(|| fact.status.size.clone());
        let status = RetiredMailboxStatus { observed_generation: generation, size, conditions };
        let digest = super::index::digest(&status, |status| &mut status.conditions);
        if digest == super::index::digest(&fact.status, |status| &mut status.conditions) {
            return;
        }
        let Ok(value) = serde_json::to_value(&status) else { return };
        let trouble = status.conditions;
        let published = super::index::Published { digest, ..super::index::Published::default() };
        let word = Word { uid: fact.meta.uid.to_string(), status: value, published, trouble };
        self.statuses.push(Target::Retired(key.clone()), word);
    }
}

/// A quantity of whole mebibytes, or of kibibytes if it is less than ten.
fn size(kib: u64) -> String {
    if kib >= 10 << 10 { format!("{}Mi", kib >> 10) } else { format!("{kib}Ki") }
}

fn object(system: &SystemName, uid: &str, record: &Retired) -> RetiredMailbox {
    let time = |seconds| Time(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH));
    let spec = RetiredMailboxSpec {
        address: record.address.clone(),
        mailbox: record.name.clone(),
        uid: uid.to_owned(),
        system: SystemRef { name: system.name.clone(), namespace: Some(system.namespace.clone()) },
        shard: record.store,
        retired_at: time(record.since),
        purge_after: time(record.until),
    };
    RetiredMailbox { metadata: ObjectMeta::default(), spec, status: None }
}

/// Makes the object, beside the MailSystem if its own namespace is gone or going. One that is there already is about to be
/// seen, or cannot be read: it is not made again at once.
async fn make(client: &Client, own: &Key, fallback: &Key, object: RetiredMailbox) -> bool {
    for key in [own, fallback] {
        let api: Api<RetiredMailbox> = Api::namespaced(client.clone(), &key.namespace);
        let metadata = ObjectMeta { name: Some(key.name.to_string()), ..ObjectMeta::default() };
        let object = RetiredMailbox { metadata, ..object.clone() };
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => return true,
            Err(error) if is_code(&error, 409) => {
                tokio::time::sleep(AGAIN).await;
                return true;
            }
            Err(error) => tracing::warn!(object = %key, %error, "a RetiredMailbox cannot be made"),
        }
    }
    tokio::time::sleep(LATER).await;
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_quantities() {
        assert_eq!((size(0), size(10_239), size(10_240)), ("0Ki".into(), "10239Ki".into(), "10Mi".into()));
    }
}

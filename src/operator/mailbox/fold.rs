//! Watch events become facts of the index. A malformed object concerns itself alone: it is told so in status.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{core::PartialObjectMeta, runtime::watcher::Event};
use tokio::time::Instant;

use super::{
    agents::AgentPod,
    controller::Controller,
    index::{DomainFact, Key, MailboxFact, ObjectName, SystemFact, Which},
    seen::{Change, Listing, Seen},
    statuses::Target,
    unread::Unread,
};
use crate::{
    api::{MailDomain, MailSystem, Mailbox},
    names::SystemName,
    operator::guarded::Guarded,
};

/// How far each watch is.
#[derive(Default)]
pub(super) struct Listings {
    pub systems: Listing,
    pub domains: Listing,
    pub mailboxes: Listing,
    pub groups: Listing,
    pub retired: Listing,
    pub secrets: Listing,
    pub pods: Listing,
    pub parts: Listing,
    pub secrets_watched: bool,
    /// Passwords whose Secret was among those listed since the listing began.
    pub with_secret: HashSet<(Key, Which)>,
}

impl Listings {
    /// Whether every object that decides was listed once. Before, a missing domain means nothing.
    pub fn objects_complete(&self) -> bool {
        let kinds = [&self.systems, &self.domains, &self.mailboxes, &self.groups, &self.retired];
        kinds.into_iter().all(|listing| listing.complete)
    }
}

impl Controller {
    /// Takes one event of a watch.
    pub(super) fn see(&mut self, seen: Seen) {
        match seen {
            Seen::System(event) => self.see_systems(event),
            Seen::Domain(event) => self.see_domains(event),
            Seen::Mailbox(event) => self.see_mailboxes(event),
            Seen::Group(event) => self.see_groups(event),
            Seen::Retired(event) => self.see_retired(event),
            Seen::Secret(event) => self.see_secrets(event),
            Seen::Pod(event) => self.see_pods(event),
            Seen::Part(event) => self.see_parts(event),
        }
    }

    fn see_systems(&mut self, event: Event<Guarded<MailSystem>>) {
        let index = &self.index;
        let known = || index.system_names().iter().map(|name| key_of(name)).collect();
        for change in self.listings.systems.fold(event, known) {
            match change {
                Change::Set(key, Guarded(Ok(object))) => {
                    let name = Arc::new(SystemName::new(&*key.namespace, &*key.name));
                    if self.index.apply_system(&name, SystemFact::from(&object)) {
                        self.systems.remove(&name);
                    }
                }
                // Its own controller tells the user; what it serves stays as it is.
                Change::Set(key, Guarded(Err(unreadable))) => {
                    tracing::warn!(system = %key, error = %unreadable, "a MailSystem that cannot be read is left as it was");
                    self.index.system_unreadable(&Arc::new(SystemName::new(&*key.namespace, &*key.name)));
                }
                Change::Gone(key) => {
                    let name = Arc::new(SystemName::new(&*key.namespace, &*key.name));
                    self.index.remove_system(&name);
                    self.systems.remove(&name);
                }
            }
        }
    }

    fn see_domains(&mut self, event: Event<Guarded<MailDomain>>) {
        let index = &self.index;
        let known = || index.domain_keys();
        for change in self.listings.domains.fold(event, known) {
            match change {
                Change::Set(key, Guarded(Ok(object))) => {
                    self.leave_domain(&key, Some(&object));
                    self.unread.remove(&Target::Domain(key.clone()));
                    self.index.apply_domain(&key, DomainFact::from(&object));
                }
                Change::Set(key, Guarded(Err(unreadable))) => {
                    let unread = Unread::from(unreadable);
                    self.index.domain_unreadable(&key, &unread.meta);
                    self.unread.insert(Target::Domain(key), unread);
                }
                Change::Gone(key) => {
                    self.leave_domain(&key, None);
                    self.index.remove_domain(&key);
                    self.forget(&Target::Domain(key));
                }
            }
        }
    }

    /// The system that a MailDomain leaves no longer signs for it.
    fn leave_domain(&mut self, key: &Key, new: Option<&MailDomain>) {
        let Some(old) = self.index.domain(key) else { return };
        if new.is_none_or(|new| DomainFact::from(new).system != old.system)
            && let Some(work) = self.systems.get_mut(&old.system)
        {
            work.dkim.stale = true;
        }
    }

    fn see_mailboxes(&mut self, event: Event<Guarded<Mailbox>>) {
        let index = &self.index;
        let known = || index.mailbox_keys();
        for change in self.listings.mailboxes.fold(event, known) {
            let (key, object) = match change {
                Change::Set(key, object) => (key, object),
                Change::Gone(key) => {
                    self.index.remove_mailbox(&key);
                    self.forget(&Target::Mailbox(key));
                    continue;
                }
            };
            let fact = object.0.map_err(Unread::from).and_then(|object| {
                self.usage.see(&key, &object);
                MailboxFact::try_from(&object).map_err(|error| Unread::address(&object, &error))
            });
            match fact {
                Ok(fact) => {
                    self.unread.remove(&Target::Mailbox(key.clone()));
                    self.index.apply_mailbox(&key, fact);
                }
                Err(unread) => {
                    self.index.mailbox_unreadable(&key, &unread.meta);
                    self.unread.insert(Target::Mailbox(key), unread);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, target: &Target) {
        self.unread.remove(target);
        self.waiting.forget(target);
        self.statuses.forget(target);
        if let Target::Mailbox(key) = target {
            self.usage.forget(key);
            self.statuses.forget(&Target::Usage(key.clone()));
        }
        if let Target::Domain(key) = target {
            self.due_domains.remove(key);
            self.checks.forget(key);
        }
    }

    fn see_pods(&mut self, event: Event<Pod>) {
        let agents = &self.agents;
        let known = || agents.keys().cloned().collect();
        for change in self.listings.pods.fold(event, known) {
            match change {
                Change::Set(key, pod) => {
                    if let Some(name) = self.agents.see(&key, AgentPod::of(&pod)) {
                        self.audit(&name);
                    }
                }
                Change::Gone(key) => drop(self.agents.see(&key, None)),
            }
        }
        if self.waiting.len() > 0 {
            self.waiting.hasten(Instant::now());
        }
    }

    /// A part of a directory that somebody deleted is written again.
    fn see_parts(&mut self, event: Event<PartialObjectMeta<Secret>>) {
        if matches!(event, Event::InitDone) && self.listings.parts.complete {
            self.read_again();
        }
        let systems = &self.systems;
        let known = || {
            let of = |name: &SystemName, part: &String| Arc::new(ObjectName::new(&name.namespace, part));
            let parts = systems.iter().filter(|(_, work)| work.is_quiet());
            parts.flat_map(|(name, work)| work.issued.parts.keys().map(move |part| of(name, part))).collect()
        };
        for change in self.listings.parts.fold(event, known) {
            let Change::Gone(key) = change else { continue };
            let owner = self.systems.iter_mut().find(|(name, work)| {
                name.namespace == *key.namespace && work.issued.parts.contains_key(&*key.name)
            });
            if let Some((name, work)) = owner {
                work.lost.push(key.name.to_string());
                if work.included.is_none() {
                    work.strike_lost();
                    self.index.rewrite(name);
                }
            }
        }
    }
}

fn key_of(name: &SystemName) -> Key {
    Arc::new(ObjectName::new(&name.namespace, &name.name))
}

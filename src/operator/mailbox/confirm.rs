//! What agents said is compared with what waits for it: what they hold is served, what they refuse is told.

use tokio::time::{Duration, Instant};

use super::{
    controller::Controller,
    index::{Estate, Key, Problem, Published},
    review::value,
    status::{self, Progress},
    statuses::{Target, Word},
    waiting::Wait,
};
use crate::{
    directory::{Keeping, shard_of},
    names::SystemName,
};

/// A domain that is served waits this long for Rspamd before status says the one without the other.
const PARTLY: Duration = Duration::from_secs(2);

impl Controller {
    /// What the store said of a Mailbox that does not pass by itself.
    fn refusal_of_store(&self, key: &Key) -> Option<Problem> {
        let (mailbox, name) = (self.index.mailbox(key)?, self.index.listed_in(key)?);
        let failure = self.agents.failure(&name, mailbox.fact.shard?, &mailbox.fact.address)?;
        Problem::of_store(failure)
    }

    /// Says of a Mailbox that waits what its store has against it.
    fn say_refused(&mut self, key: &Key) {
        let (Some(mailbox), Some(mut verdict)) = (self.index.mailbox(key), self.index.verdict(key)) else {
            return;
        };
        verdict.problems.extend(self.refusal_of_store(key));
        let status = self.mailbox_status(key, mailbox, &verdict, Progress::Awaiting);
        let (published, uid) = (Published::of(&status), mailbox.fact.meta.uid.to_string());
        if published.digest == mailbox.fact.published.digest {
            return;
        }
        let trouble = status.conditions.clone();
        let Ok(status) = value(&status) else { return };
        self.statuses.push(Target::Mailbox(key.clone()), Word { uid, status, published, trouble });
    }

    /// Compares what agents said with what waits.
    pub(super) fn confirm(&mut self) {
        let now = Instant::now();
        let (mut held, mut partly, mut long) = (Vec::new(), Vec::new(), Vec::new());
        let mut refused = Vec::new();
        for (target, wait) in self.waiting.iter() {
            if let Target::Mailbox(key) = target
                && wait.number.is_some()
                && self.refusal_of_store(key).is_some()
            {
                refused.push(key.clone());
            } else if self.is_held(target, wait) {
                let signing = match target {
                    Target::Domain(key) => self.signing(key),
                    Target::Mailbox(_)
                    | Target::Usage(_)
                    | Target::Group(_)
                    | Target::Retired(_)
                    | Target::System(_) => Progress::Served,
                };
                match signing {
                    Progress::Served => held.push(target.clone()),
                    Progress::Awaiting if !wait.told && now - wait.since > PARTLY => {
                        partly.push(target.clone());
                    }
                    Progress::Awaiting => {}
                }
            } else if !wait.told && self.waiting.is_long(wait, now) && self.listings.secrets.complete {
                long.push(target.clone());
            }
        }
        for key in &refused {
            self.waiting.told(&Target::Mailbox(key.clone()));
            self.say_refused(key);
        }
        for target in &held {
            self.waiting.forget(target);
            if let Target::Domain(key) = target {
                self.note_signing(key);
            }
            self.say(target, Progress::Served);
        }
        for target in &partly {
            self.waiting.told(target);
            self.say(target, Progress::Served);
        }
        for target in &long {
            self.waiting.told(target);
            self.say(target, Progress::Awaiting);
        }
        self.waiting.answered(!held.is_empty(), now);
    }

    fn say(&mut self, target: &Target, progress: Progress) {
        match target {
            Target::Mailbox(key) => self.say_mailbox(key, progress),
            Target::Domain(key) => self.say_domain(key, progress),
            Target::Group(key) => self.say_group(key, progress),
            Target::Retired(key) if progress == Progress::Served => self.confirm_retired(key),
            Target::System(_) if progress == Progress::Served => self.audited(target),
            Target::Retired(_) | Target::System(_) | Target::Usage(_) => {}
        }
    }

    /// The system that an object waits for.
    pub(super) fn system_of(&self, target: &Target) -> Option<std::sync::Arc<SystemName>> {
        match target {
            Target::Mailbox(key) | Target::Usage(key) => self.index.listed_in(key),
            Target::Domain(key) => self.index.standing(key).ok().cloned(),
            Target::Group(key) => self.index.group_in(key),
            Target::Retired(key) => self.retirements.owner(key).map(|(system, _)| system),
            Target::System(key) => Some(std::sync::Arc::new(SystemName::new(&*key.namespace, &*key.name))),
        }
    }

    fn is_held(&self, target: &Target, wait: &Wait) -> bool {
        let Some(number) = wait.number else { return false };
        let Some(name) = self.system_of(target) else { return false };
        let (Some(system), Some(work)) = (self.index.system(&name), self.systems.get(&name)) else {
            return false;
        };
        if matches!(target, Target::System(_)) {
            return self.is_audited(&name);
        }
        let mut parts = vec![name.directory()];
        let mut store = None;
        if let Target::Mailbox(key) = target {
            let (Some(mailbox), Some(verdict)) = (self.index.mailbox(key), self.index.verdict(key)) else {
                return false;
            };
            if !status::in_order(mailbox, &verdict) {
                return false;
            }
            let count = system.count();
            parts.extend(
                mailbox.fact.addresses().map(|address| name.directory_shard(count, shard_of(address, count))),
            );
            store = mailbox.fact.shard;
            let taken_over = |uid: &str| {
                store.and_then(|store| self.agents.keeping(&name, store, uid)) == Some(Keeping::Absent)
            };
            if let Estate::Heir(uid) = self.index.estate(key)
                && !taken_over(&uid)
            {
                return false;
            }
        }
        if let Target::Group(key) = target {
            let Some(group) = self.index.group(key) else { return false };
            let count = system.count();
            parts.push(name.directory_shard(count, shard_of(&group.fact.address, count)));
        }
        if let Target::Retired(key) = target {
            let Some((_, uid)) = self.retirements.owner(key) else { return false };
            let Some(record) = self.index.records(&name).and_then(|records| records.get(&uid)) else {
                return false;
            };
            if !self.is_retired(&name, &uid, record) {
                return false;
            }
            let count = system.count();
            parts.push(name.directory_shard(count, shard_of(&record.address, count)));
            store = Some(record.store);
        }
        let number_of = |part: String| {
            let issued = work.issued.parts.get(&part)?.issued;
            // An issue that left a part as it was: what the part holds is older.
            Some((part, issued.min(number)))
        };
        let Some(parts) = parts.into_iter().map(number_of).collect::<Option<Vec<_>>>() else { return false };
        self.agents.hold(&name, store, &parts)
    }
}

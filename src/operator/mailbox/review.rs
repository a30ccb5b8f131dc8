//! When status is written: at once for what is wrong, after the agents' answer for what is in order, and not at all when
//! it says the same already.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use tokio::time::{Duration, Instant};

use super::{
    controller::Controller,
    domain_status::{self, DomainView},
    index::{Estate, Key, Mailbox, Problem, Published, Verdict, digest, retired_name},
    status::{self, Progress},
    statuses::{Target, Word},
    waiting::Wait,
};
use crate::{
    api::{MailDomainStatus, MailboxStatus},
    conditions,
    directory::{Keeping, shard_of},
    names::SystemName,
};

/// Between writes of a MailDomain's status: its count may change with every Mailbox.
const SELDOM: Duration = Duration::from_secs(3);
/// A domain that is served waits this long for Rspamd before status says the one without the other.
const PARTLY: Duration = Duration::from_secs(2);

impl Controller {
    /// Looks at a Mailbox that changed.
    pub(super) fn review_mailbox(&mut self, key: &Key) {
        let target = Target::Mailbox(key.clone());
        if self.say_unread(&target) {
            return;
        }
        let (Some(mailbox), Some(verdict)) = (self.index.mailbox(key), self.index.verdict(key)) else {
            return self.waiting.forget(&target);
        };
        if !verdict.problems.is_empty() {
            self.waiting.forget(&target);
            return self.say_mailbox(key, Progress::Awaiting);
        }
        let served = self.mailbox_status(key, mailbox, &verdict, Progress::Served);
        let trusted = !verdict.system.as_ref().is_some_and(|name| self.is_restored(name));
        if trusted
            && status::in_order(mailbox, &verdict)
            && Published::of(&served).digest == mailbox.fact.published.digest
        {
            self.waiting.forget(&target);
            return self.statuses.forget(&target);
        }
        self.waiting.wait(target, Instant::now());
    }

    fn mailbox_status(
        &self,
        key: &Key,
        mailbox: &Mailbox,
        verdict: &Verdict,
        progress: Progress,
    ) -> MailboxStatus {
        let mut status = status::mailbox(key, mailbox, verdict, progress, &Time(Timestamp::now()));
        if let (Estate::Heir(uid), Progress::Served, []) =
            (self.index.estate(key), progress, &*verdict.problems)
            && let Some(system) = &verdict.system
            && let Some(record) = self.index.records(system).and_then(|records| records.get(&uid))
        {
            status.restored_from = Some(retired_name(&uid, record).name.into());
        }
        status
    }

    /// Writes the status of a Mailbox, unless it stands.
    fn say_mailbox(&mut self, key: &Key, progress: Progress) {
        let (Some(mailbox), Some(verdict)) = (self.index.mailbox(key), self.index.verdict(key)) else {
            return;
        };
        let status = self.mailbox_status(key, mailbox, &verdict, progress);
        let published = Published::of(&status);
        let target = Target::Mailbox(key.clone());
        if published.digest == mailbox.fact.published.digest {
            return self.statuses.forget(&target);
        }
        let trouble = if published.ready == Some(false) { status.conditions.clone() } else { Vec::new() };
        let Ok(value) = value(&status) else { return };
        let word = Word { uid: mailbox.fact.meta.uid.to_string(), status: value, published, trouble };
        self.statuses.push(target, word);
    }

    /// Looks at the MailDomains whose time has come.
    pub(super) fn review_due_domains(&mut self, now: Instant) {
        let due: Vec<Key> =
            self.due_domains.iter().filter(|(_, due)| **due <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.due_domains.remove(&key);
            let target = Target::Domain(key.clone());
            if self.say_unread(&target) {
                continue;
            }
            if !self.statuses.is_idle(&target) || self.is_making_key(&key) {
                self.due_domains.insert(key, now + SELDOM / 4);
                continue;
            }
            self.want_check(&key, now);
            let Some((status, published)) = self.domain_status(&key, Progress::Served) else {
                self.waiting.forget(&target);
                continue;
            };
            let obstacle = self.index.standing(&key).is_err();
            let was_ready = conditions::is_true(&published.conditions, "Ready");
            let same_spec = published.observed_generation == status.observed_generation;
            let signing = self.signing(&key) == Progress::Served;
            let trusted = !self.index.standing(&key).is_ok_and(|name| self.is_restored(name));
            if obstacle || (was_ready && same_spec && signing && trusted) {
                self.waiting.forget(&target);
                self.say_domain(&key, Progress::Served);
            } else {
                self.waiting.wait(target.clone(), now);
                self.note_issued(&target, now);
            }
        }
    }

    /// A change that was issued before its object began to wait is in the last issue.
    fn note_issued(&mut self, target: &Target, now: Instant) {
        let work = self.system_of(target).and_then(|name| self.systems.get(&name));
        let Some(work) = work else { return };
        let coming = work.included.as_ref().is_some_and(|included| included.contains(target));
        if !coming && !work.touched.contains(target) {
            self.waiting.issued(target, work.number, now);
        }
    }

    fn say_domain(&mut self, key: &Key, progress: Progress) {
        let Some((status, old)) = self.domain_status(key, progress) else { return };
        let digest_of = |status: &MailDomainStatus| digest(status, |status| &mut status.conditions);
        let published = Published { digest: digest_of(&status), ..Published::default() };
        if published.digest == digest_of(&old) {
            return;
        }
        let Some(fact) = self.index.domain(key) else { return };
        let changed = |new: &&_| {
            let new: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = new;
            new.status == "False"
                && conditions::get(&old.conditions, &new.type_).is_none_or(|old| old.reason != new.reason)
        };
        let trouble = status.conditions.iter().filter(changed).cloned().collect();
        let Ok(value) = serde_json::to_value(&status) else { return };
        let word = Word { uid: fact.meta.uid.to_string(), status: value, published, trouble };
        self.statuses.push(Target::Domain(key.clone()), word);
        // What changes until then is written together.
        self.due_domains.insert(key.clone(), Instant::now() + SELDOM);
    }

    /// The status that a MailDomain should have, and the one it has.
    fn domain_status(&self, key: &Key, progress: Progress) -> Option<(MailDomainStatus, MailDomainStatus)> {
        let fact = self.index.domain(key)?;
        let standing = self.index.standing(key);
        let system = standing.as_ref().ok().and_then(|name| self.index.system(name));
        let work = standing.as_ref().ok().and_then(|name| self.systems.get(*name));
        let view = DomainView {
            fact,
            mailboxes: system.map_or(0, |system| system.mailboxes_in(&fact.domain)),
            needs: self.needs(key, fact),
            answers: self.checks.answers(key),
            key: work.and_then(|work| work.dkim.keys.signing(&fact.domain).cloned()),
            signing: self.signing(key),
            obstacle: standing.err(),
            progress,
        };
        Some((domain_status::domain(key, &view, &Time(Timestamp::now())), fact.published.clone()))
    }

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
                    Target::Mailbox(_) | Target::Retired(_) | Target::System(_) => Progress::Served,
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
            Target::Retired(key) if progress == Progress::Served => self.confirm_retired(key),
            Target::System(_) if progress == Progress::Served => self.audited(target),
            Target::Retired(_) | Target::System(_) => {}
        }
    }

    /// The system that an object waits for.
    pub(super) fn system_of(&self, target: &Target) -> Option<std::sync::Arc<SystemName>> {
        match target {
            Target::Mailbox(key) => self.index.listed_in(key),
            Target::Domain(key) => self.index.standing(key).ok().cloned(),
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

/// As a patch: what is not there any more is taken away.
fn value(status: &MailboxStatus) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(status)?;
    for (field, gone) in
        [("formerAddresses", status.former_addresses.is_empty()), ("members", status.members.is_empty())]
    {
        if gone {
            value[field] = serde_json::Value::Null;
        }
    }
    Ok(value)
}

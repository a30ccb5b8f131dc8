//! When status is written: at once for what is wrong, after the agents' answer for what is in order, and not at all when
//! it says the same already.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use tokio::time::{Duration, Instant};

use super::{
    controller::Controller,
    domain_status::{self, DomainView},
    index::{Estate, Key, Mailbox, Published, Verdict, digest, retired_name},
    status::{self, Progress},
    statuses::{Target, Word},
};
use crate::{
    api::{MailDomainStatus, MailboxStatus},
    conditions,
};

/// Between writes of a MailDomain's status: its count may change with every Mailbox.
const SELDOM: Duration = Duration::from_secs(3);

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

    pub(super) fn mailbox_status(
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
    pub(super) fn say_mailbox(&mut self, key: &Key, progress: Progress) {
        let (Some(mailbox), Some(verdict)) = (self.index.mailbox(key), self.index.verdict(key)) else {
            return;
        };
        let status = self.mailbox_status(key, mailbox, &verdict, progress);
        let published = Published::of(&status);
        let target = Target::Mailbox(key.clone());
        if published.digest == mailbox.fact.published.digest {
            return self.statuses.forget(&target);
        }
        let trouble = super::marks::trouble(&status.conditions, Timestamp::now());
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

    pub(super) fn say_domain(&mut self, key: &Key, progress: Progress) {
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
        let work = standing.as_ref().ok().and_then(|name| self.systems.get(*name));
        let view = DomainView {
            fact,
            occupancy: standing
                .as_ref()
                .map(|name| self.index.occupancy(name, &fact.domain))
                .unwrap_or_default(),
            needs: self.needs(key, fact),
            answers: self.checks.answers(key),
            key: work.and_then(|work| work.dkim.keys.signing(&fact.domain).cloned()),
            signing: self.signing(key),
            obstacle: standing.err(),
            progress,
        };
        Some((domain_status::domain(key, &view, &Time(Timestamp::now())), fact.published.clone()))
    }
}

/// As a patch: what is not there any more is taken away.
pub(super) fn value(status: &MailboxStatus) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(status)?;
    for (field, gone) in
        [("formerAddresses", status.former_addresses.is_empty()), ("members", status.members.is_empty())]
    {
        if gone {
            value[field] = serde_json::Value::Null;
        }
    }
    if status.app_passwords.is_empty() {
        value["appPasswords"] = serde_json::Value::Null;
    }
    if status.sending_suspended.is_none() {
        value["sendingSuspended"] = serde_json::Value::Null;
    }
    Ok(value)
}

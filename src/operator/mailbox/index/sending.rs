//! Whether a mailbox may send: the suspension for bulk mail, and its end. Pure: times come in.
//!
//! A suspension is named by its time. It stands in the directory, for the agents and for the operator's next start, and in
//! status; an annotation that repeats its time lifts it, and later ones are not lifted by the same annotation.

use std::collections::BTreeMap;

use super::{DomainFact, Index, Key, MailboxFact};
use crate::{directory::MailboxEntry, names::SystemName};

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Since when it may not send, in seconds of Unix time.
    pub suspended: Option<i64>,
    /// The last suspension that was lifted.
    pub resumed: Option<i64>,
}

impl Sending {
    /// As status has it.
    pub(super) fn of(fact: &MailboxFact) -> Self {
        let mut sending = Self { suspended: fact.suspended, resumed: None };
        sending.resume(fact.resume);
        sending
    }

    /// As the directory of an earlier process has it, which is written before status.
    pub(super) fn remember(&mut self, entry: &MailboxEntry, resume: Option<i64>) {
        *self = Self { suspended: entry.sending_suspended, resumed: entry.sending_resumed };
        self.resume(resume);
    }

    /// Lifts the suspension of this time. Whether there was one.
    pub(super) fn resume(&mut self, resume: Option<i64>) -> bool {
        let lifted = self.suspended.is_some() && self.suspended == resume;
        if lifted {
            (self.suspended, self.resumed) = (None, resume);
        }
        lifted
    }
}

impl Index {
    /// A gateway says that the mailbox of this address sends in bulk, after the suspension of the time `resumed` was lifted
    /// (0 for none). Whether it is suspended from now on, and was not before.
    pub fn suspend_sending(&mut self, system: &SystemName, address: &str, resumed: i64, now: i64) -> bool {
        let Some(winner) = self.winner(address, system).filter(|winner| winner.own) else { return false };
        let key = winner.key.clone();
        let Some(mailbox) = self.mailboxes.get_mut(&key) else { return false };
        let sending = &mut mailbox.sending;
        if sending.suspended.is_some() || sending.resumed.unwrap_or_default() != resumed {
            return false;
        }
        sending.suspended = Some(now);
        self.touch_content(&key);
        self.changes.mailboxes.insert(key);
        true
    }

    /// A MailDomain is about to be `new`: this limit is in the directory of its system.
    pub(super) fn limit_messages(&mut self, key: &Key, new: &DomainFact) {
        let old = self.domains.get(key).and_then(|old| old.messages_per_hour);
        if old != new.messages_per_hour
            && let Some(system) = self.systems.get_mut(&new.system)
        {
            (system.dirty_domains, system.fresh) = (true, true);
        }
    }

    /// The limits of the domains of a system.
    pub(super) fn domain_limits(&self, name: &SystemName) -> BTreeMap<String, u32> {
        let keys = self.domains_of.get(name).into_iter().flatten();
        let served = keys.filter(|key| self.standing(key).is_ok());
        let limits = served.filter_map(|key| {
            let fact = self.domains.get(key)?;
            Some((fact.domain.to_string(), fact.messages_per_hour?))
        });
        limits.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{domain, key, mailbox, system, system_name},
        *,
    };
    use crate::directory::Entry;
    use std::sync::Arc;

    fn served(fact: MailboxFact) -> (Index, Arc<SystemName>) {
        let (mut index, name) = (Index::default(), system_name(0));
        index.apply_system(&name, system(0, &[]));
        let limited = DomainFact { messages_per_hour: Some(9), ..domain(0, "x.vn", name.clone()) };
        index.apply_domain(&key(0), limited);
        index.apply_mailbox(&key(0), fact);
        (index, name)
    }

    fn entry(index: &mut Index, name: &SystemName) -> MailboxEntry {
        index.settle();
        match &index.compile(name).expect("compiled").shards.first().expect("it changed").1.entries["an@x.vn"]
        {
            Entry::Mailbox(entry) => entry.clone(),
            Entry::Alias(_) => panic!("an alias"),
        }
    }

    #[test]
    fn a_suspension_outlives_the_operator_and_ends_when_its_time_is_named() {
        let an = || mailbox(0, "an@x.vn", &["a@x.vn"]);
        let (mut index, name) = served(an());
        index.load(&name, None);
        index.settle();
        assert!(!index.suspend_sending(&name, "a@x.vn", 0, 100), "an alias");
        assert!(index.suspend_sending(&name, "an@x.vn", 0, 100));
        assert!(!index.suspend_sending(&name, "an@x.vn", 0, 200), "it is already");
        let stands = entry(&mut index, &name);
        assert_eq!(stands.sending_suspended, Some(100));

        let (mut again, _) = served(an());
        let entries = [("an@x.vn".to_owned(), Entry::Mailbox(stands))].into();
        again.load(&name, Some(super::super::Existing { shards: 1, entries, ..Default::default() }));
        assert_eq!(entry(&mut again, &name).sending_suspended, Some(100));
        again.apply_mailbox(&key(0), MailboxFact { resume: Some(99), ..an() });
        again.settle();
        assert_eq!(again.mailbox(&key(0)).map(|it| it.sending.suspended), Some(Some(100)), "another time");
        again.apply_mailbox(&key(0), MailboxFact { resume: Some(100), ..an() });
        let resumed = entry(&mut again, &name);
        assert_eq!((resumed.sending_suspended, resumed.sending_resumed), (None, Some(100)));
        assert!(!again.suspend_sending(&name, "an@x.vn", 0, 300), "it was seen before");
        assert!(again.suspend_sending(&name, "an@x.vn", 100, 300));
        assert_eq!(entry(&mut again, &name).sending_suspended, Some(300), "the annotation is of another one");
    }

    #[test]
    fn limits_are_in_the_directory() {
        let (mut index, name) = served(mailbox(0, "an@x.vn", &[]));
        index.load(&name, None);
        index.settle();
        let compiled = index.compile(&name).unwrap();
        assert_eq!((compiled.limits.messages_per_hour, compiled.domain_limits["x.vn"]), (300, 9));
        let changed = DomainFact { messages_per_hour: Some(10), ..domain(0, "x.vn", name.clone()) };
        index.apply_domain(&key(0), changed);
        index.settle();
        assert!(index.system(&name).unwrap().is_dirty());
        assert_eq!(index.compile(&name).unwrap().domain_limits["x.vn"], 10);
    }
}

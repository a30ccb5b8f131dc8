//! What a Mailbox may have of the mail that is kept: its own, what it inherits, or nothing as long as it is another's. Pure.

use super::{Index, Key, Mailbox, MailboxFact, ObjectName, System, retired_name};
use crate::directory::Retired;

/// What a Mailbox may have of the mail that was under its address or that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estate {
    /// It has its own mail, or starts empty.
    Own,
    /// It takes over the mail of this uid.
    Heir(Box<str>),
    /// Its address has mail of these RetiredMailboxes, none of which it names.
    Blocked(Vec<ObjectName>),
    /// There is no mail of this name to be restored.
    NoSource(Box<str>),
    /// An older Mailbox restores it.
    SourceTaken(Box<str>, Key),
}

impl Index {
    /// What the Mailbox may have; its own mail if it is not served anyway.
    #[must_use]
    pub fn estate(&self, key: &Key) -> Estate {
        let (Some(mailbox), Some(name)) = (self.mailboxes.get(key), self.listed_in(key)) else {
            return Estate::Own;
        };
        let Some(system) = self.systems.get(&name) else { return Estate::Own };
        self.estate_in(key, mailbox, system)
    }

    pub(super) fn estate_in(&self, key: &Key, mailbox: &Mailbox, system: &System) -> Estate {
        // What it was given stands in its entry.
        if mailbox.held.is_some() {
            return Estate::Own;
        }
        let (fact, records) = (&mailbox.fact, &system.records);
        let mut heir = None;
        if let Some(source) =
            fact.restore_from.as_ref().filter(|name| fact.restored_from.as_ref() != Some(name))
        {
            let source_name = ObjectName::new(&key.namespace, source);
            match records.named(&source_name) {
                None => return Estate::NoSource(source.clone()),
                Some(uid) => heir = Some(uid),
            }
            match self.restoring.get(&source_name).and_then(|keys| keys.first()) {
                Some(first) if first != key => return Estate::SourceTaken(source.clone(), first.clone()),
                _ => {}
            }
        }
        let mut others = Vec::new();
        for (uid, record) in records.at(&fact.address).filter(|(uid, _)| **uid != *fact.meta.uid) {
            // Applied again after an accident: nothing was taken away from it.
            let undone = record.in_place && retires(key, record);
            if undone && heir.is_none() {
                heir = Some(uid);
            } else if heir != Some(uid) {
                others.push(retired_name(uid, record));
            }
        }
        match heir {
            _ if !others.is_empty() => Estate::Blocked(others),
            Some(uid) => Estate::Heir(uid.into()),
            None => Estate::Own,
        }
    }

    /// Strikes off the records of mail that has an owner: one who is there again, or one to whom it was restored.
    pub(super) fn settle_records(&mut self, key: &Key) {
        let (Some(mailbox), Some(name)) = (self.mailboxes.get(key), self.listed_in(key)) else { return };
        let Some(records) = self.records(&name) else { return };
        let fact: &MailboxFact = &mailbox.fact;
        let restored = fact.restored_from.as_ref().and_then(|source| {
            let named = records.named(&ObjectName::new(&key.namespace, source))?;
            Some(Box::<str>::from(named))
        });
        let own = records.get(&fact.meta.uid).map(|_| fact.meta.uid.clone());
        for uid in [restored, own].into_iter().flatten() {
            self.strike_off(&name, &uid);
        }
    }
}

/// Whether the record is of a Mailbox of this name.
fn retires(key: &Key, record: &Retired) -> bool {
    *record.namespace == *key.namespace && *record.name == *key.name
}

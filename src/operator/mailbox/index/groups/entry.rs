//! What the directory says of a group. Pure.

use super::{super::Index, MOST};
use crate::{directory, names::SystemName};

impl Index {
    /// How many entries of mailboxes the groups are worth in a shard of the directory.
    pub(in super::super) fn weight_of_groups(&self) -> usize {
        self.groups.by_key.values().map(|group| group.reach.recipients.len() / 4).sum()
    }

    /// What the directory says of the group that has this address.
    pub(in super::super) fn group_entry(&self, address: &str, name: &SystemName) -> Option<directory::Group> {
        let key = self.group_at(address, name)?;
        let group = self.groups.by_key.get(key)?;
        if let Some(held) = &group.held {
            return Some((**held).clone());
        }
        if !self.blocked(address, name).is_empty() {
            return None;
        }
        let (fact, recipients) = (&group.fact, &group.reach.recipients);
        let recipients = if recipients.len() > MOST { &[] } else { recipients.as_slice() };
        let mut senders: Vec<String> =
            fact.senders.iter().chain(&fact.owners).map(ToString::to_string).collect();
        senders.sort();
        senders.dedup();
        Some(directory::Group {
            uid: fact.meta.uid.to_string(),
            object: key.to_string(),
            recipients: recipients.iter().map(ToString::to_string).collect(),
            posting: fact.posting,
            senders,
        })
    }
}

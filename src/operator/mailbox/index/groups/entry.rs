//! What the directory says of a group. Pure.

use super::super::Index;
use crate::{directory, names::SystemName};

impl Index {
    /// How many entries of mailboxes the groups are worth in a shard of the directory.
    pub(in super::super) fn weight_of_groups(&self) -> usize {
        self.groups.by_key.values().map(|group| group.reach.recipients.len() / 4).sum()
    }

    /// The own address of the group whose alias this is, if it is served.
    pub(in super::super) fn group_alias(&self, address: &str, name: &SystemName) -> Option<String> {
        let own = &self.groups.by_key.get(self.serving_group(address, name)?)?.fact.address;
        (**own != *address).then(|| own.to_string())
    }

    /// What the directory says of the group whose own address this is.
    pub(in super::super) fn group_entry(&self, address: &str, name: &SystemName) -> Option<directory::Group> {
        let key = self.group_at(address, name)?;
        let group = self.groups.by_key.get(key).filter(|group| *group.fact.address == *address)?;
        if let Some(held) = &group.held {
            return Some((**held).clone());
        }
        if !self.blocked(address, name).is_empty() {
            return None;
        }
        let fact = &group.fact;
        let recipients = if group.reach.is_too_large() { &[] } else { group.reach.recipients.as_slice() };
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

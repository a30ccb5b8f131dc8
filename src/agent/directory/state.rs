//! What the replica holds: one directory that serves, and perhaps one that is to follow it.
//!
//! Indexes and shards come in with their issue numbers; an [`Offer`] says what became of each. Pure.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use crate::{
    agent::token::TokenKey,
    directory::{Entry, Group, Index, MailboxEntry, Retired, Shard, shard_of},
};

/// What became of an index or shard that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is held now.
    Taken,
    /// It was held already.
    Known,
    /// A newer one is held: refused.
    Older,
    /// It is a shard of a directory that no index names.
    Foreign,
}

#[derive(Default)]
pub(super) struct State {
    /// What look-ups are answered from.
    pub(super) serving: Option<Directory>,
    /// A directory of another number of shards, until it is complete.
    pub(super) coming: Option<Directory>,
}

pub(super) struct Directory {
    pub(super) index: Held<Index>,
    pub(super) token_key: Option<TokenKey>,
    pub(super) parts: Vec<Option<Held<Part>>>,
}

pub(super) struct Held<T> {
    pub(super) issued: u64,
    pub(super) value: T,
}

/// A shard; smaller than the tree it came in.
pub(super) struct Part {
    pub(super) slots: HashMap<Box<str>, Slot>,
    /// Mail that is kept out of the way, by uid.
    pub(super) retired: HashMap<Box<str>, Arc<Retired>>,
    pub(super) groups: HashMap<Box<str>, Arc<Group>>,
    pub(super) mailboxes: i64,
}

pub(super) enum Slot {
    Mailbox(Arc<MailboxEntry>),
    Alias(Box<str>),
}

impl State {
    pub(super) fn offer_index(&mut self, issued: u64, index: Index) -> Offer {
        let newest = [&self.serving, &self.coming].into_iter().flatten().map(|it| it.index.issued).max();
        match newest {
            Some(held) if held > issued => return Offer::Older,
            Some(held) if held == issued => return Offer::Known,
            _ => {}
        }
        let count = index.shards;
        let target = match (&mut self.serving, &mut self.coming) {
            (Some(serving), coming) if serving.index.value.shards == count => {
                *coming = None;
                serving
            }
            (_, Some(coming)) if coming.index.value.shards == count => coming,
            (_, coming) => {
                let parts = (0..count).map(|_| None).collect();
                let index = Held { issued, value: index };
                let token_key = TokenKey::from_hex(&index.value.token_key);
                *coming = Some(Directory { index, token_key, parts });
                return Offer::Taken;
            }
        };
        target.token_key = TokenKey::from_hex(&index.token_key);
        target.index = Held { issued, value: index };
        Offer::Taken
    }

    pub(super) fn offer_shard(&mut self, (count, position): (u32, u32), part: Held<Part>) -> Offer {
        let directory = [&mut self.serving, &mut self.coming]
            .into_iter()
            .flatten()
            .find(|directory| directory.index.value.shards == count);
        let Some(place) = directory.and_then(|directory| directory.parts.get_mut(position as usize)) else {
            return Offer::Foreign;
        };
        match place.as_ref().map(|held| held.issued.cmp(&part.issued)) {
            Some(Ordering::Greater) => return Offer::Older,
            Some(Ordering::Equal) => return Offer::Known,
            _ => *place = Some(part),
        }
        Offer::Taken
    }

    pub(super) fn change_over(&mut self) {
        if let Some(complete) = self.coming.take_if(|coming| coming.parts.iter().all(Option::is_some)) {
            self.serving = Some(complete);
        }
    }
}

impl Directory {
    pub(super) fn slot(&self, address: &str) -> Option<&Slot> {
        self.part_of(address)?.slots.get(address)
    }

    /// The group of this address, itself or as an alias.
    pub(super) fn group(&self, address: &str) -> Option<&Arc<Group>> {
        let own = |address: &str| self.part_of(address)?.groups.get(address);
        own(address).or_else(|| match self.slot(address)? {
            Slot::Alias(target) => own(target),
            Slot::Mailbox(_) => None,
        })
    }

    fn part_of(&self, address: &str) -> Option<&Part> {
        let position = shard_of(address, self.index.value.shards);
        Some(&self.parts.get(position as usize)?.as_ref()?.value)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Held<Part>> {
        self.parts.iter().flatten()
    }

    pub(super) fn mailboxes(&self) -> i64 {
        self.parts().map(|part| part.value.mailboxes).sum()
    }
}

pub(super) fn compact(shard: Shard) -> Part {
    let slot = |entry| match entry {
        Entry::Mailbox(entry) => Slot::Mailbox(Arc::new(entry)),
        Entry::Alias(target) => Slot::Alias(target.into()),
    };
    let slots: HashMap<_, _> =
        shard.entries.into_iter().map(|(address, entry)| (address.into(), slot(entry))).collect();
    let mailboxes = slots.values().filter(|slot| matches!(slot, Slot::Mailbox(_))).count();
    let retired = shard.retired.into_iter().map(|(uid, retired)| (uid.into(), Arc::new(retired))).collect();
    let groups = shard.groups.into_iter().map(|(address, group)| (address.into(), Arc::new(group))).collect();
    Part { slots, retired, groups, mailboxes: i64::try_from(mailboxes).unwrap_or(i64::MAX) }
}

//! The ways of mail through forwards and groups: what an address is, what a change anywhere on a way touches, and how far a
//! message spreads. Pure.
//!
//! ```text
//!  mailbox ─forward─▶ mailbox or group        group ─members─▶ mailboxes, groups, addresses outside
//! ```
//!
//! Postfix follows forwards by itself and defers a message that comes to a circle, or spreads too far, for all its
//! recipients. So no forward is followed that leads back, and no group is served that becomes too many.

use std::collections::HashSet;
use std::sync::Arc;

use super::{EXPANDED, Index, Key, forwarding::MOST};
use crate::names::SystemName;

/// What has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// This Mailbox.
    Mailbox(&'a Key),
    /// This MailGroup.
    Group(&'a Key),
}

/// An object on a way.
enum Node {
    Mailbox(Key),
    Group(Key),
}

impl Index {
    /// What mail for an address is for.
    pub(super) fn target(&self, address: &str, name: &SystemName) -> Option<Target<'_>> {
        let mailbox = self.holder(address, name).map(Target::Mailbox);
        mailbox.or_else(|| self.serving_group(address, name).map(Target::Group))
    }

    /// Where the Mailbox forwards to, whether or not that is followed.
    pub(super) fn next(&self, key: &Key, name: &SystemName) -> Option<Target<'_>> {
        self.target(&self.mailboxes.get(key)?.fact.forward.as_ref()?.to, name)
    }

    /// The Mailboxes that a group reaches.
    fn reached(&self, group: &Key, name: &SystemName) -> impl Iterator<Item = &Key> {
        let recipients = self.group(group).map(|group| group.reach.recipients.as_slice()).unwrap_or_default();
        recipients.iter().filter_map(move |address| self.listed_at(address, name))
    }

    fn listed_at(&self, address: &str, name: &SystemName) -> Option<&Key> {
        self.winner(address, name).filter(|winner| winner.listed).map(|winner| &winner.key)
    }

    /// Whether mail that goes to the group comes to the Mailbox `key`, by whatever way, or goes on for too long.
    pub(super) fn comes_back(&self, group: &Key, key: &Key, name: &SystemName) -> bool {
        let (mut seen, mut level) = (HashSet::new(), self.reached(group, name).collect::<Vec<_>>());
        for _ in 0..MOST {
            let mut next = Vec::new();
            for at in level {
                if at == key {
                    return true;
                }
                if !seen.insert(at) {
                    continue;
                }
                match self.next(at, name) {
                    Some(Target::Mailbox(to)) => next.push(to),
                    Some(Target::Group(to)) => next.extend(self.reached(to, name)),
                    None => {}
                }
            }
            if next.is_empty() {
                return false;
            }
            level = next;
        }
        true
    }

    /// How many addresses mail for these becomes once every forward is followed that does not lead back; beyond [`EXPANDED`]
    /// any larger number.
    pub(super) fn expansion(&self, recipients: &[Arc<str>], name: &SystemName) -> usize {
        let mut count = recipients.len();
        let mut ahead: Vec<(&str, usize)> = recipients.iter().map(|address| (&**address, 0)).collect();
        while let Some((address, depth)) = ahead.pop().filter(|_| count <= EXPANDED) {
            let mailbox = self.listed_at(address, name).and_then(|key| self.mailboxes.get(key));
            let mailbox = mailbox.filter(|it| !it.circles && depth < MOST);
            let Some(wish) = mailbox.and_then(|it| it.fact.forward.as_ref()) else {
                continue;
            };
            let before = ahead.len();
            match self.target(&wish.to, name) {
                Some(Target::Mailbox(to)) => {
                    ahead.extend(self.mailboxes.get(to).map(|it| (&*it.fact.address, depth + 1)));
                }
                Some(Target::Group(to)) => {
                    let reached = self.group(to).map(|it| it.reach.recipients.as_slice()).unwrap_or_default();
                    ahead.extend(reached.iter().map(|address| (&**address, depth + 1)));
                }
                None => {}
            }
            let more = ahead.len() - before;
            count += if wish.copy { more } else { more.saturating_sub(1) };
        }
        count
    }

    /// Works out whom each group reaches and where each Mailbox forwards to, where something changed on the way.
    pub(super) fn settle_ways(&mut self) {
        let mut mailboxes: HashSet<Key> = std::mem::take(&mut self.dirty_forwards);
        mailboxes.extend(self.changes.mailboxes.iter().cloned());
        let mut groups: HashSet<Key> = std::mem::take(&mut self.groups.dirty);
        let ahead = mailboxes.iter().cloned().map(Node::Mailbox);
        let mut ahead: Vec<Node> = ahead.chain(groups.iter().cloned().map(Node::Group)).collect();
        while let Some(node) = ahead.pop() {
            for address in self.addresses_of(&node) {
                for key in self.groups.naming.get(&address).into_iter().flatten() {
                    if groups.insert(key.clone()) {
                        ahead.push(Node::Group(key.clone()));
                    }
                }
                for key in self.forwarding_to.get(&address).into_iter().flatten() {
                    if mailboxes.insert(key.clone()) {
                        ahead.push(Node::Mailbox(key.clone()));
                    }
                }
            }
        }
        // Each step rests on the one before: whom groups reach, which forwards lead back, how far mail for a group spreads
        // by the others, and so which of them are followed.
        let before = self.settle_reach(&groups);
        for key in &mailboxes {
            self.settle_circle(key);
        }
        self.settle_expansion(before);
        for key in mailboxes {
            self.settle_forward(&key);
        }
    }

    /// The addresses by which a group names it, or a Mailbox forwards to it; of most nobody does.
    fn addresses_of(&self, node: &Node) -> Vec<Arc<str>> {
        let known = |address: &&Arc<str>| {
            self.groups.naming.contains_key(*address) || self.forwarding_to.contains_key(*address)
        };
        match node {
            Node::Mailbox(key) => {
                let mailbox = self.mailboxes.get(key).into_iter();
                mailbox.flat_map(|it| it.fact.addresses()).filter(known).cloned().collect()
            }
            Node::Group(key) => {
                let group = self.group(key).into_iter();
                group.flat_map(|it| it.fact.addresses()).filter(known).cloned().collect()
            }
        }
    }
}

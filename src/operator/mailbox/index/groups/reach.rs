//! Whom a group reaches: from its members to mailboxes and addresses outside, through other groups. Pure.
//!
//! A loop ends where it comes back to a group that was looked into already, so that everybody in it is reached all the
//! same. A member that takes no mail, or is not there, is left out, and takes nothing from the others.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::super::{Index, Key};
use crate::{directory::domain_of, names::SystemName};

/// Most recipients of a message to a group. Postfix is configured for twice as many and some more, since each may forward with
/// a copy.
pub const MOST: usize = 5000;
/// Most addresses that a message to a group becomes, with those to which its recipients forward: below Postfix'
/// `virtual_alias_expansion_limit`, beyond which it would take the message for nobody.
pub const EXPANDED: usize = 10_000;

/// Whom a group reaches, and whom not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Own addresses of mailboxes, and addresses outside; sorted, each once.
    pub recipients: Vec<Arc<str>>,
    /// Members of which the system knows nothing.
    pub unknown: Vec<Arc<str>>,
    /// Members that take no mail.
    pub closed: Vec<Arc<str>>,
    /// Members outside the system, which the group does not allow.
    pub outside: Vec<Arc<str>>,
    /// The groups by way of which it is a member of itself, if it is; itself the first.
    pub ring: Vec<Key>,
    /// Whether some of the recipients are outside the system.
    pub leaves: bool,
    /// How many addresses a message to it becomes, with those to which its recipients forward.
    pub expands: usize,
}

impl Reach {
    /// Whether a message to it would become too many.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.recipients.len() > MOST || self.expands > EXPANDED
    }
}

/// What an address is to a group.
enum Member<'a> {
    Recipient(Arc<str>),
    Group(&'a Key),
    Closed,
    Unknown,
    Outside,
}

impl Index {
    /// Whom the MailGroup reaches in the system that serves it.
    pub(super) fn reach(&self, key: &Key, name: &SystemName) -> Reach {
        let mut reach = Reach::default();
        let mut recipients = BTreeSet::new();
        let (mut seen, mut ahead) = (HashSet::from([key.clone()]), vec![key.clone()]);
        let mut by: HashMap<Key, Key> = HashMap::new();
        while let Some(at) = ahead.pop() {
            let Some(group) = self.groups.by_key.get(&at) else { continue };
            for address in &group.fact.members {
                // What is wrong in another group is told there.
                let own = at == *key;
                match self.member_of_group(address, name) {
                    Member::Recipient(recipient) => drop(recipients.insert(recipient)),
                    Member::Outside if group.fact.external => {
                        reach.leaves = true;
                        recipients.insert(address.clone());
                    }
                    Member::Group(inner) if inner == key => {
                        if reach.ring.is_empty() {
                            reach.ring = way(&by, &at);
                        }
                    }
                    Member::Group(inner) => {
                        if seen.insert(inner.clone()) {
                            by.insert(inner.clone(), at.clone());
                            ahead.push(inner.clone());
                        }
                    }
                    Member::Closed if own => reach.closed.push(address.clone()),
                    Member::Unknown if own => reach.unknown.push(address.clone()),
                    Member::Outside if own => reach.outside.push(address.clone()),
                    Member::Closed | Member::Unknown | Member::Outside => {}
                }
            }
        }
        reach.recipients = recipients.into_iter().collect();
        reach
    }

    fn member_of_group(&self, address: &Arc<str>, name: &SystemName) -> Member<'_> {
        let winner = self.winner(address, name).filter(|winner| winner.listed);
        if let Some(mailbox) = winner.and_then(|winner| self.mailboxes.get(&winner.key)) {
            // One whose owner is not settled yet has its mail wait in the queue.
            return match &mailbox.fact.refusal {
                Some(_) => Member::Closed,
                None => Member::Recipient(mailbox.fact.address.clone()),
            };
        }
        let Some(system) = self.systems.get(name) else { return Member::Unknown };
        if system.records.in_place(address).is_some() {
            return Member::Recipient(address.clone());
        }
        match (self.serving_group(address, name), self.group_at(address, name)) {
            (Some(group), _) => Member::Group(group),
            (None, Some(_)) => Member::Unknown,
            _ if system.domains.contains(domain_of(address)) => Member::Unknown,
            _ if system.records.domains().any(|domain| domain == domain_of(address)) => Member::Unknown,
            _ => Member::Outside,
        }
    }
}

/// The groups on the way to `last`.
fn way(by: &HashMap<Key, Key>, last: &Key) -> Vec<Key> {
    let back = std::iter::successors(Some(last), |at| by.get(*at));
    let mut way: Vec<Key> = back.cloned().collect();
    way.reverse();
    way
}

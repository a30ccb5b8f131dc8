//! The index: MailSystems, MailDomains, Mailboxes and MailGroups folded into maps, kept so that an event costs what it touches.
//!
//! Facts go in (`apply_*`, `remove_*`, `login_*`), [`Index::settle`] carries their consequences through, and out come the
//! changed parts of each system's directory ([`Index::compile`]) and the objects whose status may differ
//! ([`Changes`]). What comes out does not depend on the order of events. Pure: no client, no clock.

mod apps;
#[cfg(test)]
mod apps_tests;
mod claims;
mod compile;
mod directory;
mod domains;
mod estate;
mod facts;
mod forwarding;
mod groups;
mod limits;
#[cfg(test)]
mod limits_tests;
mod login;
mod marks;
mod members;
#[cfg(test)]
mod members_tests;
mod moving;
#[cfg(test)]
mod moving_tests;
#[cfg(test)]
mod oracle;
mod placement;
mod records;
mod retirement;
mod seats;
mod sending;
mod services;
#[cfg(test)]
mod tests;
mod unreadable;
mod verdict;
mod ways;
#[cfg(test)]
mod ways_tests;

pub use apps::{AppFact, Which};
pub use compile::{Compiled, Existing};
pub use directory::System;
pub use estate::Estate;
pub use facts::{
    DomainFact, Key, Mailbox, MailboxFact, Meta, ObjectName, Published, SecretRef, SystemFact, digest,
};
pub use forwarding::{ForwardProblem, Wish};
pub use groups::{Claimant, EXPANDED, Group, GroupFact, GroupProblem, GroupVerdict, MOST};
pub use limits::{Full, Occupancy};
pub use login::{Ask, Login, LoginProblem, Password, Print};
pub use marks::{ATTENDED, Absence, Fullness, Marks, QUOTA_LEFT, REVIEW_DUE, View};
pub use members::{Bound, MemberProblem, Sharing};
pub use moving::{Former, Hindrance, Moving};
pub use placement::Obstacle;
pub use records::{Records, retired_name};
pub use retirement::Departed;
pub use seats::{Limits, Seat};
pub use sending::Sending;
pub use services::Named;
pub use verdict::{Problem, Verdict};

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::names::SystemName;

/// What events led to since the last [`Index::settle`].
#[derive(Debug, Default)]
pub struct Changes {
    /// Mailboxes whose status may differ.
    pub mailboxes: HashSet<Key>,
    /// MailDomains whose status may differ.
    pub domains: HashSet<Key>,
    /// MailGroups whose status may differ.
    pub groups: HashSet<Key>,
    /// Passwords to find or make.
    pub asks: Vec<Ask>,
    /// Mailboxes that were served and are not any more, whose mail is to be recorded.
    pub departed: Vec<Departed>,
    /// Secrets of directory services to look up.
    pub named: HashSet<Named>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    systems: HashMap<Arc<SystemName>, System>,
    domains: HashMap<Key, DomainFact>,
    mailboxes: HashMap<Key, Mailbox>,
    groups: groups::Groups,
    /// Objects that are there and cannot be read.
    unreadable: unreadable::Unreadable,
    /// Who claims a domain, and where it is served.
    domain_claims: HashMap<Arc<str>, claims::DomainClaim>,
    /// MailDomains by the system that they name, whether it exists or not.
    domains_of: HashMap<Arc<SystemName>, HashSet<Key>>,
    /// Mailboxes by a domain of one of their addresses within their namespace; the name is the domain.
    members: HashMap<ObjectName, HashSet<Key>>,
    /// Who claims an address, and who has it.
    claims: HashMap<Arc<str>, claims::Claim>,
    /// Mailboxes by the Secret they name.
    by_secret: HashMap<ObjectName, Vec<Key>>,
    /// Mailboxes by the RetiredMailbox that they restore, the oldest first.
    restoring: HashMap<ObjectName, Vec<Key>>,
    /// Whether the Secrets of the cluster were listed once.
    secrets_listed: bool,
    /// Mailboxes by the address of a member, and by a mailbox that is one.
    shared_with: HashMap<Arc<str>, HashSet<Key>>,
    bound_to: HashMap<Key, HashSet<Key>>,
    dirty_members: HashSet<Key>,
    /// Mailboxes by the address that they forward to.
    forwarding_to: HashMap<Arc<str>, HashSet<Key>>,
    dirty_forwards: HashSet<Key>,
    /// Mailboxes that name another address than they have.
    moving: HashSet<Key>,
    /// Mailboxes with former addresses.
    leaving: HashSet<Key>,
    /// The time, in seconds of Unix time, and when former addresses were last looked at.
    now: i64,
    looked_at: i64,
    dirty_addresses: HashSet<Arc<str>>,
    dirty_domains: HashSet<Arc<str>>,
    /// Who is in each domain of each system, and who waits.
    seats: HashMap<Arc<SystemName>, HashMap<Arc<str>, seats::Seats>>,
    /// Domains in which a seat or some quota may have become free, or is wanted.
    dirty_seats: HashSet<(Arc<SystemName>, Arc<str>)>,
    changes: Changes,
}

impl Index {
    /// A Mailbox is there, or changed.
    pub fn apply_mailbox(&mut self, key: &Key, mut fact: MailboxFact) {
        let revived = self.mailboxes.get(key).is_some_and(|it| it.held.is_some());
        let mended = self.mend_mailbox(key);
        let held = self.has_address(key);
        let Some(old) = self.mailboxes.get_mut(key) else { return self.insert_mailbox(key, fact) };
        let same_object = old.fact.meta.same_object(&fact.meta);
        if same_object {
            // The shard is chosen before it stands in status.
            fact.shard = old.fact.shard.or(fact.shard);
            if held || old.fact.moving.settled {
                fact.stay(&old.fact, revived);
            }
            if !revived {
                fact.sharing.stay(&old.fact.sharing);
            }
        }
        if old.fact == fact && !mended {
            return;
        }
        let resumed = old.sending.resume(fact.resume) && same_object;
        self.changes.mailboxes.insert(key.clone());
        let relinked = !same_object
            || (&old.fact.address, &old.fact.aliases, &old.fact.secret, &old.fact.restore_from)
                != (&fact.address, &fact.aliases, &fact.secret, &fact.restore_from)
            || (&old.fact.moving.wanted, &old.fact.moving.former)
                != (&fact.moving.wanted, &fact.moving.former)
            || (&old.fact.sharing, &old.fact.forward) != (&fact.sharing, &fact.forward)
            || old.fact.apps != fact.apps;
        if !relinked {
            let content = |fact: &MailboxFact| {
                let restored = fact.restored_from.clone();
                let protocols = fact.protocols.clone();
                let more = (protocols, fact.limits);
                (fact.state, fact.refusal.clone(), fact.quota, fact.shard, fact.adopt, restored, more)
            };
            let content = mended || resumed || content(&old.fact) != content(&fact);
            let settled = old.fact.moving.settled != fact.moving.settled;
            let quota = old.fact.quota != fact.quota;
            old.fact = fact;
            if quota {
                self.contend(key);
            }
            if settled {
                self.settle_claim(key);
            }
            if content {
                self.touch_content(key);
            }
            return;
        }
        // Another owner's password is not kept.
        let mut password = if same_object { std::mem::take(&mut old.password) } else { Password::default() };
        if old.fact.secret != fact.secret || old.fact.sharing.kind != fact.sharing.kind {
            password.login = Login::Unknown;
        }
        let (apps, before, sending) = (std::mem::take(&mut old.apps), old.fact.clone(), old.sending);
        let seat = old.seat.carried(
            crate::directory::domain_of(&fact.address) == crate::directory::domain_of(&before.address),
        );
        let marks = old.marks;
        // The same object is about to be there again; another one leaves its predecessor's mail behind.
        if same_object {
            self.unlink_mailbox(key);
        } else {
            self.remove_mailbox(key);
        }
        self.insert_mailbox(key, fact);
        if let Some(mailbox) = self.mailboxes.get_mut(key).filter(|_| same_object) {
            mailbox.inherit(&before, password, apps);
            (mailbox.sending, mailbox.seat, mailbox.marks) = (sending, seat, marks);
        }
    }

    fn insert_mailbox(&mut self, key: &Key, fact: MailboxFact) {
        self.changes.mailboxes.insert(key.clone());
        for address in fact.addresses() {
            self.dirty_addresses.insert(address.clone());
            let member = ObjectName::new(&key.namespace, crate::directory::domain_of(address));
            self.members.entry(member).or_default().insert(key.clone());
        }
        for secret in fact.secrets() {
            let name = ObjectName::new(&key.namespace, secret);
            self.by_secret.entry(name).or_default().push(key.clone());
        }
        if let Some(source) = &fact.restore_from {
            let age = (fact.meta.created, key);
            let keys = self.restoring.entry(ObjectName::new(&key.namespace, source)).or_default();
            let at = keys.partition_point(|other| {
                (self.mailboxes.get(other).map_or(i64::MAX, |other| other.fact.meta.created), other) < age
            });
            keys.insert(at, key.clone());
        }
        let addresses: Vec<_> = fact.addresses().cloned().collect();
        self.link_members(key, &fact, true);
        self.link_forward(key, fact.forward.as_ref(), true);
        self.mailboxes.insert(key.clone(), Mailbox::new(fact));
        for address in &addresses {
            self.claim(key, address);
        }
        self.note_moving(key, true);
    }

    /// A Mailbox is gone.
    pub fn remove_mailbox(&mut self, key: &Key) {
        let unreadable = self.unreadable.mailboxes.remove(key);
        if let Some(meta) = unreadable.filter(|_| !self.mailboxes.contains_key(key)) {
            self.depart_stranded(&meta.uid);
        }
        self.depart(key);
        self.unlink_mailbox(key);
    }

    fn unlink_mailbox(&mut self, key: &Key) {
        self.vacate(key);
        let Some(Mailbox { fact, .. }) = self.mailboxes.remove(key) else { return };
        self.note_moving(key, false);
        self.link_members(key, &fact, false);
        self.link_forward(key, fact.forward.as_ref(), false);
        if let Some(source) = &fact.restore_from {
            let name = ObjectName::new(&key.namespace, source);
            if let Some(keys) = self.restoring.get_mut(&name) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.restoring.remove(&name);
                }
            }
        }
        for address in fact.addresses() {
            self.dirty_addresses.insert(address.clone());
            if let Some(claim) = self.claims.get_mut(address) {
                claim.by.retain(|other| other != key);
            }
            let member = ObjectName::new(&key.namespace, crate::directory::domain_of(address));
            if let Some(members) = self.members.get_mut(&member) {
                members.remove(key);
                if members.is_empty() {
                    self.members.remove(&member);
                }
            }
        }
        for secret in fact.secrets() {
            let name = ObjectName::new(&key.namespace, secret);
            if let Some(users) = self.by_secret.get_mut(&name) {
                users.retain(|other| other != key);
                if users.is_empty() {
                    self.by_secret.remove(&name);
                }
            }
        }
    }

    /// The Secrets of the cluster were listed once: mailboxes whose Secret was not among them may be asked for.
    pub fn secrets_listed(&mut self) {
        self.secrets_listed = true;
    }

    /// Carries the consequences of all events so far through, and says what they touched.
    pub fn settle(&mut self) -> Changes {
        self.settle_domains();
        self.settle_addresses();
        self.settle_moves();
        self.settle_members();
        self.settle_departed();
        let mut touched: Vec<Key> = self.changes.mailboxes.iter().cloned().collect();
        // Members are placed before what they share.
        touched.sort_by_key(|key| self.mailboxes.get(key).map_or(0, |it| it.fact.sharing.members.len()));
        for key in &touched {
            self.settle_records(key);
            self.place(key);
            self.ask(key);
        }
        self.settle_ways();
        std::mem::take(&mut self.changes)
    }
}

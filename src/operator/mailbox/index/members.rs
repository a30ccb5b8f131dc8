//! Who uses a mailbox besides its owner: from addresses in its spec to mailboxes of the same system. Pure.
//!
//! A member is a mailbox, not an address. The first mailbox that is found under a member's address is bound to it, by its
//! uid, as status remembers: whoever has the address later does not get what its predecessor was granted, and whoever
//! changes the address keeps it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{Index, Key, Mailbox, MailboxFact};
use crate::{
    api::{self, MailboxState, MailboxType, MemberRight},
    directory::{self, AddressError, Share},
    names::SystemName,
};

/// What a mailbox says of who uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Whose it is.
    pub kind: MailboxType,
    /// Its members.
    pub members: Box<[Member]>,
    /// The mailboxes that they are.
    pub bound: Box<[Bound]>,
}

/// A member as the spec names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// An address, folded.
    pub address: Arc<str>,
    /// What it may do.
    pub rights: BTreeSet<MemberRight>,
}

/// The mailbox that a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The address under which it was found.
    pub address: Arc<str>,
    /// Its name.
    pub key: Key,
    /// Its uid.
    pub uid: Box<str>,
}

/// Why a member has not what it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberProblem {
    /// The system has no mailbox of this address.
    NotFound(Arc<str>),
    /// The address was that of the first mailbox, and is that of the second now.
    Replaced(Arc<str>, Key, Key),
    /// The mail of this member is in another store shard (the first number) than the mailbox's.
    Elsewhere(Arc<str>, u32, u32),
    /// It is the mailbox itself.
    Itself(Arc<str>),
}

impl Sharing {
    /// What the object says.
    ///
    /// # Errors
    /// An address of a member is none: the rules of the definition were bypassed.
    pub fn of(spec: &api::MailboxSpec, status: &api::MailboxStatus) -> Result<Self, AddressError> {
        let member = |member: &api::mailbox::Member| {
            let rights = member.rights.iter().copied().collect();
            Ok(Member { address: directory::fold(&member.address)?.into(), rights })
        };
        let members = spec.members.iter().map(member).collect::<Result<Box<[_]>, AddressError>>()?;
        let bound = status.members.iter().filter_map(|it| {
            let (namespace, name) = it.mailbox.split_once('/')?;
            let key = Arc::new(super::ObjectName::new(namespace, name));
            Some(Bound { address: it.address.as_str().into(), key, uid: it.uid.as_str().into() })
        });
        let bound = bound.filter(|bound| members.iter().any(|member| member.address == bound.address));
        Ok(Self { kind: spec.r#type, bound: bound.collect(), members })
    }

    /// Takes over from what was known which mailboxes the members are: what is new may not have heard of it.
    pub(super) fn stay(&mut self, old: &Self) {
        let still = |bound: &&Bound| self.members.iter().any(|member| member.address == bound.address);
        self.bound = old.bound.iter().filter(still).cloned().collect();
    }

    fn bound(&self, address: &str) -> Option<&Bound> {
        self.bound.iter().find(|bound| *bound.address == *address)
    }
}

impl MailboxFact {
    /// Whether nobody logs in to it.
    pub(super) fn is_shared(&self) -> bool {
        self.sharing.kind == MailboxType::Shared
    }

    /// Whether others read it besides its owner, or instead.
    #[must_use]
    pub fn has_members(&self) -> bool {
        self.is_shared() || !self.sharing.members.is_empty()
    }
}

impl Index {
    /// Notes whom the Mailbox names as members, or that it names them no more.
    pub(super) fn link_members(&mut self, key: &Key, fact: &MailboxFact, there: bool) {
        for member in &fact.sharing.members {
            let keys = self.shared_with.entry(member.address.clone()).or_default();
            if there {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
                if keys.is_empty() {
                    self.shared_with.remove(&member.address);
                }
            }
        }
        for bound in &fact.sharing.bound {
            self.link_bound(bound, key, there);
        }
    }

    fn link_bound(&mut self, bound: &Bound, key: &Key, there: bool) {
        let keys = self.bound_to.entry(bound.key.clone()).or_default();
        if there {
            keys.insert(key.clone());
        } else {
            keys.remove(key);
            if keys.is_empty() {
                self.bound_to.remove(&bound.key);
            }
        }
    }

    /// Finds out who the members are of every Mailbox whose own or whose members' circumstances changed.
    pub(super) fn settle_members(&mut self) {
        let mut keys: HashSet<Key> = std::mem::take(&mut self.dirty_members);
        for key in &self.changes.mailboxes {
            keys.extend(self.bound_to.get(key).into_iter().flatten().cloned());
            if self
                .mailboxes
                .get(key)
                .is_some_and(|it| !it.fact.sharing.members.is_empty() || !it.shares.is_empty())
            {
                keys.insert(key.clone());
            }
        }
        for key in keys {
            self.bind(&key);
            let shares = self.granted(&key);
            let Some(mailbox) = self.mailboxes.get_mut(&key) else { continue };
            self.changes.mailboxes.insert(key.clone());
            if mailbox.shares != shares {
                mailbox.shares = shares;
                self.touch_content(&key);
            }
        }
    }

    /// Binds the members that are not bound and are there.
    fn bind(&mut self, key: &Key) {
        let Some(name) = self.listed_in(key) else { return };
        let Some(Mailbox { fact, .. }) = self.mailboxes.get(key) else { return };
        let unbound = fact.sharing.members.iter().filter(|it| fact.sharing.bound(&it.address).is_none());
        let found = unbound.filter_map(|member| {
            let holder = self.holder(&member.address, &name).filter(|holder| *holder != key)?;
            let uid = self.mailboxes.get(holder)?.fact.meta.uid.clone();
            Some(Bound { address: member.address.clone(), key: holder.clone(), uid })
        });
        let found: Vec<Bound> = found.collect();
        for bound in &found {
            self.link_bound(bound, key, true);
        }
        if let Some(mailbox) = self.mailboxes.get_mut(key).filter(|_| !found.is_empty()) {
            let sharing = &mut mailbox.fact.sharing;
            sharing.bound = sharing.bound.iter().cloned().chain(found).collect();
        }
    }

    /// Who has an address in a system, with the mail that is its own.
    pub(super) fn holder(&self, address: &str, name: &SystemName) -> Option<&Key> {
        let winner = self.winner(address, name).filter(|winner| winner.listed)?;
        self.has_address(&winner.key).then_some(&winner.key)
    }

    /// The mailbox that a member is, if it is there.
    fn member(&self, bound: &Bound, name: &SystemName) -> Option<&Mailbox> {
        let mailbox = self.mailboxes.get(&bound.key)?;
        let same = mailbox.fact.meta.uid == bound.uid && self.listed_in(&bound.key).as_deref() == Some(name);
        same.then_some(mailbox)
    }

    fn granted(&self, key: &Key) -> Vec<Share> {
        let (Some(mailbox), Some(name)) = (self.mailboxes.get(key), self.listed_in(key)) else {
            return Vec::new();
        };
        let fact = &mailbox.fact;
        // What is closed to its owner is closed to everybody.
        if fact.state != MailboxState::Active || !self.has_address(key) {
            return Vec::new();
        }
        let mut shares: Vec<Share> = Vec::new();
        for member in &fact.sharing.members {
            let found = fact.sharing.bound(&member.address).and_then(|bound| self.member(bound, &name));
            let Some(address) = found.map(|it| it.fact.address.to_string()) else { continue };
            // Two addresses of one member: it has the rights of both.
            match shares.iter_mut().find(|share| share.address == address) {
                Some(share) => share.rights.extend(&member.rights),
                None => shares.push(Share { address, rights: member.rights.clone() }),
            }
        }
        shares.sort_by(|one, other| one.address.cmp(&other.address));
        shares
    }

    /// What is wrong with the members of a Mailbox that `name` serves.
    pub(super) fn member_problems(&self, key: &Key, name: &SystemName) -> Vec<MemberProblem> {
        let Some(Mailbox { fact, .. }) = self.mailboxes.get(key) else { return Vec::new() };
        let problem = |member: &Member| {
            let address = member.address.clone();
            let holder = self.holder(&address, name);
            let Some(bound) = fact.sharing.bound(&address) else {
                let itself = holder == Some(key);
                return Some(if itself {
                    MemberProblem::Itself(address)
                } else {
                    MemberProblem::NotFound(address)
                });
            };
            let found = self.member(bound, name);
            if let Some(holder) = holder
                && self.mailboxes.get(holder).is_some_and(|it| it.fact.meta.uid != bound.uid)
            {
                return Some(MemberProblem::Replaced(address, bound.key.clone(), holder.clone()));
            }
            let Some(found) = found else { return Some(MemberProblem::NotFound(address)) };
            let sees = member.rights.iter().any(|right| *right != MemberRight::SendAs);
            match (found.fact.shard, fact.shard) {
                (Some(theirs), Some(ours)) if sees && theirs != ours => {
                    Some(MemberProblem::Elsewhere(address, theirs, ours))
                }
                _ => None,
            }
        };
        fact.sharing.members.iter().filter_map(problem).collect()
    }

    /// The store shard of the first member that has one: a folder list is of one store.
    pub(super) fn shard_of_members(&self, key: &Key, name: &SystemName) -> Option<u32> {
        let sharing = &self.mailboxes.get(key)?.fact.sharing;
        let mut bound = sharing.members.iter().filter_map(|member| sharing.bound(&member.address));
        bound.find_map(|bound| self.member(bound, name)?.fact.shard)
    }
}

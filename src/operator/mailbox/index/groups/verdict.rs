//! What is to be said of a MailGroup: where it is served and what is wrong with it. Pure, computed when it is asked for.

use std::sync::Arc;

use super::{
    super::{Claimant, Index, Key, ObjectName, Obstacle},
    EXPANDED, MOST,
};
use crate::{directory::domain_of, names::SystemName};

/// Something wrong with a MailGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupProblem {
    /// Its domain is not served.
    Domain(Obstacle),
    /// Another one has its address.
    AddressConflict(Claimant),
    /// Mail of these RetiredMailboxes is kept under its address.
    AddressRetired(Vec<ObjectName>),
    /// It reaches so many.
    TooMany(usize),
    /// With those to which its members forward it reaches so many.
    Expands(usize),
    /// Another one has this alias.
    AliasConflict(Arc<str>, Claimant),
    /// The domain of this alias is not served by the same system for this namespace.
    AliasDomain(Arc<str>),
    /// Mail of these RetiredMailboxes is kept under this alias.
    AliasRetired(Arc<str>, Vec<ObjectName>),
    /// It reaches nobody.
    NoMembers,
    /// By way of these groups it is a member of itself.
    Loop(Vec<Key>),
    /// The system knows nothing of these members.
    Unknown(Vec<Arc<str>>),
    /// These members take no mail.
    Closed(Vec<Arc<str>>),
    /// These members are outside, which it does not allow.
    Outside(Vec<Arc<str>>),
}

/// What is to be said of a MailGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupVerdict {
    /// The system whose directory has it.
    pub system: Option<Arc<SystemName>>,
    /// What is wrong, the worst first.
    pub problems: Vec<GroupProblem>,
}

impl Index {
    /// What is to be said of the MailGroup `key`; `None` if it is gone.
    #[must_use]
    pub fn group_verdict(&self, key: &Key) -> Option<GroupVerdict> {
        let group = self.group(key)?;
        let address = &group.fact.address;
        let refused = |problem| Some(GroupVerdict { system: None, problems: vec![problem] });
        let name = match self.placement(&key.namespace, domain_of(address)) {
            Ok(name) => name,
            Err(obstacle) => return refused(GroupProblem::Domain(obstacle)),
        };
        match self.claimant(address, name) {
            Some(Claimant::Group(winner)) if winner == *key => {}
            Some(winner) => return refused(GroupProblem::AddressConflict(winner)),
            None => return Some(GroupVerdict { system: None, problems: Vec::new() }),
        }
        let retired = self.blocked(address, name);
        if !retired.is_empty() {
            return refused(GroupProblem::AddressRetired(retired));
        }
        let (reach, mut problems) = (&group.reach, Vec::new());
        match reach.recipients.len() {
            0 => problems.push(GroupProblem::NoMembers),
            many if many > MOST => problems.push(GroupProblem::TooMany(many)),
            _ if reach.expands > EXPANDED => problems.push(GroupProblem::Expands(reach.expands)),
            _ => {}
        }
        problems.extend(group.fact.aliases.iter().filter_map(|alias| self.alias_problem(key, alias, name)));
        if !reach.ring.is_empty() {
            problems.push(GroupProblem::Loop(reach.ring.clone()));
        }
        for (members, problem) in [
            (&reach.unknown, GroupProblem::Unknown as fn(Vec<Arc<str>>) -> GroupProblem),
            (&reach.closed, GroupProblem::Closed),
            (&reach.outside, GroupProblem::Outside),
        ] {
            if !members.is_empty() {
                problems.push(problem(members.clone()));
            }
        }
        Some(GroupVerdict { system: Some(name.clone()), problems })
    }

    fn alias_problem(&self, key: &Key, alias: &Arc<str>, name: &Arc<SystemName>) -> Option<GroupProblem> {
        if self.placement(&key.namespace, domain_of(alias)) != Ok(name) {
            return Some(GroupProblem::AliasDomain(alias.clone()));
        }
        match self.claimant(alias, name) {
            Some(rival) if rival != Claimant::Group(key.clone()) => {
                Some(GroupProblem::AliasConflict(alias.clone(), rival))
            }
            _ => {
                let retired = self.blocked(alias, name);
                (!retired.is_empty()).then(|| GroupProblem::AliasRetired(alias.clone(), retired))
            }
        }
    }
}

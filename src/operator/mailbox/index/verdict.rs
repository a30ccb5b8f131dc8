//! What is to be said of an object: where it is served and what is wrong with it. Pure, computed when it is asked for.

use std::sync::Arc;

use super::{
    Claimant, DomainFact, Estate, ForwardProblem, Hindrance, Index, Key, Login, LoginProblem, Mailbox,
    MemberProblem, Obstacle,
};
use crate::{directory::domain_of, names::SystemName};

/// Something wrong with a Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its domain is not served.
    Domain(Obstacle),
    /// An older one has its address.
    AddressConflict(Claimant),
    /// An older one has this alias.
    AliasConflict(Arc<str>, Claimant),
    /// The domain of this alias is not served by the same system for this namespace.
    AliasDomain(Arc<str>),
    /// The Secret gives no password.
    Login(LoginProblem),
    /// It keeps its address, for it cannot have the one that it names.
    Move(Hindrance),
    /// Its mail is not forwarded.
    Forward(ForwardProblem),
    /// A member has not what it was granted.
    Member(MemberProblem),
    /// The Secret of this app password gives none.
    AppPassword(Arc<str>, LoginProblem),
    /// Its address has, or it names, mail that it cannot have.
    Estate(Estate),
    /// The store has other mail under its address than its own.
    OtherOwner,
    /// It has mail of its own, and so cannot take over that of another one.
    HasMail,
    /// The store has no such mail to be restored.
    NothingToRestore,
    /// The quota cannot be read.
    Quota,
    /// Its domain has no room for it.
    DomainFull(super::Full),
    /// Its domain has no room for so large a quota.
    QuotaRefused(super::Full),
}

/// What is to be said of a Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The system whose directory has its address.
    pub system: Option<Arc<SystemName>>,
    /// What is wrong, the worst first.
    pub problems: Vec<Problem>,
}

impl Index {
    /// A Mailbox of the index.
    #[must_use]
    pub fn mailbox(&self, key: &Key) -> Option<&Mailbox> {
        self.mailboxes.get(key)
    }

    /// All Mailboxes, in no order.
    pub fn mailboxes(&self) -> impl Iterator<Item = (&Key, &Mailbox)> {
        self.mailboxes.iter()
    }

    /// The status of the Mailbox was written.
    pub fn published(&mut self, key: &Key, uid: &str, published: super::Published) {
        if let Some(mailbox) = self.mailboxes.get_mut(key).filter(|mailbox| *mailbox.fact.meta.uid == *uid) {
            mailbox.fact.published = published;
        }
    }

    /// A MailDomain of the index.
    #[must_use]
    pub fn domain(&self, key: &Key) -> Option<&DomainFact> {
        self.domains.get(key)
    }

    /// All MailDomains, in no order.
    pub fn domains(&self) -> impl Iterator<Item = (&Key, &DomainFact)> {
        self.domains.iter()
    }

    /// The Mailboxes that name this Secret.
    #[must_use]
    pub fn users_of(&self, secret: &super::ObjectName) -> &[Key] {
        self.by_secret.get(secret).map_or(&[], Vec::as_slice)
    }

    /// What is to be said of the Mailbox `key`; `None` if it is gone.
    #[must_use]
    pub fn verdict(&self, key: &Key) -> Option<Verdict> {
        let mailbox = self.mailboxes.get(key)?;
        let refused = |problem| Some(Verdict { system: None, problems: vec![problem] });
        let system = match self.placement(&key.namespace, domain_of(&mailbox.fact.address)) {
            Ok(system) => system,
            Err(obstacle) => return refused(Problem::Domain(obstacle)),
        };
        if let Some(rival) = self.rival(key, &mailbox.fact.address, system) {
            return refused(Problem::AddressConflict(rival));
        }
        if let Some(full) = self.kept_out(key, mailbox, system) {
            return refused(Problem::DomainFull(full));
        }
        let mut problems: Vec<_> = self.hindrance(key, system).map(Problem::Move).into_iter().collect();
        match self.estate(key) {
            Estate::Own | Estate::Heir(_) => {}
            estate => problems.push(Problem::Estate(estate)),
        }
        if let Login::Problem(problem) = &mailbox.password.login {
            problems.push(Problem::Login(problem.clone()));
        }
        for (name, app) in &mailbox.apps {
            if let Login::Problem(problem) = &app.login {
                problems.push(Problem::AppPassword(name.clone(), problem.clone()));
            }
        }
        if mailbox.fact.quota.is_none() {
            problems.push(Problem::Quota);
        }
        problems.extend(self.kept_small(mailbox, system).map(Problem::QuotaRefused));
        for alias in mailbox.fact.aliases.iter().filter(|alias| **alias != mailbox.fact.address) {
            if self.placement(&key.namespace, domain_of(alias)) != Ok(system) {
                problems.push(Problem::AliasDomain(alias.clone()));
            } else if let Some(rival) = self.rival(key, alias, system) {
                problems.push(Problem::AliasConflict(alias.clone(), rival));
            }
        }
        problems.extend(self.forward(key, system).err().map(Problem::Forward));
        problems.extend(self.member_problems(key, system).into_iter().map(Problem::Member));
        Some(Verdict { system: Some(system.clone()), problems })
    }
}

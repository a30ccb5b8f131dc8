//! What is kept of a MailGroup: the fields that decide, in compact form.

use std::{collections::BTreeSet, sync::Arc};

use super::super::Meta;
use crate::{
    api::{ExternalMembers, MailGroup, MailGroupStatus, Posting},
    directory::{self, AddressError, domain_of},
};

/// What decides of a MailGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupFact {
    /// Identity.
    pub meta: Meta,
    /// Its address, folded.
    pub address: Arc<str>,
    /// The other addresses that reach it, folded, sorted, each once.
    pub aliases: Box<[Arc<str>]>,
    /// The addresses of its members, folded, sorted, each once.
    pub members: Box<[Arc<str>]>,
    /// Whether members outside the system are reached.
    pub external: bool,
    /// Who may write to it.
    pub posting: Posting,
    /// Who may besides: addresses, folded, or `@` and a domain.
    pub senders: Box<[Arc<str>]>,
    /// Who may always, folded.
    pub owners: Box<[Arc<str>]>,
    /// Whether its status says that it has its address: then nobody else's wish takes that away.
    pub has_address: bool,
    /// Its status as the API has it.
    pub published: MailGroupStatus,
}

impl TryFrom<&MailGroup> for GroupFact {
    type Error = (&'static str, AddressError);

    /// Fails, with the field, for an address that the directory cannot hold: the rules of the definition were bypassed.
    fn try_from(object: &MailGroup) -> Result<Self, Self::Error> {
        let spec = &object.spec;
        let address: Arc<str> =
            directory::fold(&spec.address).map_err(|error| ("spec.address", error))?.into();
        let folded = |field: &'static str, addresses: &[String]| {
            let all: Result<BTreeSet<String>, _> = addresses.iter().map(|it| directory::fold(it)).collect();
            let all = all.map_err(|error| (field, error))?;
            Ok::<Box<[Arc<str>]>, Self::Error>(all.into_iter().map(Arc::from).collect())
        };
        let status = object.status.clone().unwrap_or_default();
        let senders: BTreeSet<String> = spec.senders.iter().map(|it| it.to_ascii_lowercase()).collect();
        Ok(Self {
            meta: Meta::of(object),
            aliases: folded("spec.aliases", &spec.aliases)?.into_iter().filter(|it| *it != address).collect(),
            members: folded("spec.members", &spec.members)?,
            external: spec.external_members == ExternalMembers::Allow,
            posting: spec.posting,
            senders: senders.into_iter().map(Arc::from).collect(),
            owners: folded("spec.owners", &spec.owners)?,
            has_address: status.address.as_deref() == Some(&*address),
            address,
            published: status,
        })
    }
}

impl GroupFact {
    /// Every address that reaches it, its own first.
    pub(in super::super) fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.address).chain(&self.aliases)
    }

    /// Its own domains and those of its members, each once.
    pub(super) fn domains(&self) -> BTreeSet<&str> {
        self.addresses().chain(&self.members).map(|address| domain_of(address)).collect()
    }

    /// Whether the other one asks for the same.
    pub(super) fn says(&self, other: &Self) -> bool {
        (&self.address, &self.aliases) == (&other.address, &other.aliases)
            && (&self.members, self.external) == (&other.members, other.external)
            && (self.posting, &self.senders, &self.owners) == (other.posting, &other.senders, &other.owners)
    }

    /// Who comes first to an address of it, set against a mailbox with the same first two: who has it as its own, or
    /// `keeps` it, then the older one.
    pub(in super::super) fn rank(&self, address: &str, keeps: bool) -> (bool, i64) {
        (!(self.has_address && *self.address == *address || keeps), self.meta.created)
    }
}

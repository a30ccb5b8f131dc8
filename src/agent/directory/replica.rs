//! The directory in memory.
//!
//! Indexes and shards come in with their issue numbers; answers to look-ups go out. It must not answer from half a
//! directory: with a new number of shards it changes over when all of them are there.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use tokio::sync::watch;

use super::state::{Directory, Held, Offer, Slot, State, compact};
use crate::{
    agent::token::TokenKey,
    api::{MemberRight, SystemLimits},
    directory::{Group, Index, Ldap, MailboxEntry, Retired, Shard, without_detail},
    names::SystemName,
};

/// The mailbox behind an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The mailbox's own address, folded; not the alias that was asked for.
    pub address: String,
    /// What is known of it.
    pub entry: Arc<MailboxEntry>,
}

impl Found {
    /// The log-ins that may send as it.
    pub fn senders(&self) -> impl Iterator<Item = &str> {
        let members = self.entry.shares.iter().filter(|share| share.rights.contains(&MemberRight::SendAs));
        std::iter::once(self.address.as_str()).chain(members.map(|share| share.address.as_str()))
    }
}

/// Half of a change of the directory has arrived: what it says is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn;

/// The directory. Clones share it.
#[derive(Clone)]
pub struct Replica(Arc<Shared>);

struct Shared {
    system: SystemName,
    state: RwLock<State>,
    changed: watch::Sender<u64>,
    refused: Counter,
    mailboxes: Gauge,
}

impl Replica {
    /// An empty directory of this mail system.
    #[must_use]
    pub fn new(system: SystemName) -> Self {
        Self(Arc::new(Shared {
            system,
            state: RwLock::default(),
            changed: watch::Sender::new(0),
            refused: Counter::default(),
            mailboxes: Gauge::default(),
        }))
    }

    /// Registers the directory's own metrics.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("directory");
        registry.register(
            "refused",
            "Parts of the directory that were refused, since newer ones are held",
            self.0.refused.clone(),
        );
        registry.register("mailboxes", "Mailboxes in the directory", self.0.mailboxes.clone());
    }

    /// The mailbox that `address` (folded) reaches, itself or as an alias; none if that is a group's.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<Found> {
        self.look(address).ok().flatten()
    }

    /// The same.
    ///
    /// # Errors
    /// It is an alias, and the part of the directory that has its mailbox or group has not arrived.
    pub fn look(&self, address: &str) -> Result<Option<Found>, Torn> {
        let looked = self.read(|directory| {
            let (address, entry) = match directory.slot(address)? {
                Slot::Mailbox(entry) => (address, entry),
                Slot::Alias(target) => match directory.slot(target) {
                    Some(Slot::Mailbox(entry)) => (&**target, entry),
                    Some(Slot::Alias(_)) | None if directory.group(target).is_none() => {
                        return Some(Err(Torn));
                    }
                    Some(Slot::Alias(_)) | None => return None,
                },
            };
            Some(Ok(Found { address: address.to_owned(), entry: entry.clone() }))
        });
        looked.transpose()
    }

    /// The mailbox that mail for `address` (folded) is for, and the detail in it that is not part of its name.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn reach<'a>(&self, address: &'a str) -> Result<Option<(Found, Option<&'a str>)>, Torn> {
        if let Some(found) = self.look(address)? {
            return Ok(Some((found, None)));
        }
        let Some((address, detail)) = without_detail(address) else { return Ok(None) };
        Ok(self.look(&address)?.map(|found| (found, Some(detail))))
    }

    /// The group that mail for `address` (folded) is for, its own or an alias, with or without a detail. A mailbox of the
    /// address comes first.
    #[must_use]
    pub fn group(&self, address: &str) -> Option<Arc<Group>> {
        let find = |address: &str| self.read(|directory| directory.group(address).cloned());
        find(address).or_else(|| find(&without_detail(address)?.0))
    }

    /// Whether the mailbox that logged in as `login` may send as `address` (both folded): its own address or an alias, or
    /// one of a mailbox as whose member it may.
    #[must_use]
    pub fn owns(&self, login: &str, address: &str) -> bool {
        self.find(address).is_some_and(|found| found.senders().any(|sender| sender == login))
    }

    /// The domains for which mail is accepted, folded and sorted; empty before [`Self::loaded`].
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        self.read(|directory| Some(directory.index.value.domains.clone())).unwrap_or_default()
    }

    /// Whether mail for `domain` (folded) is accepted.
    #[must_use]
    pub fn has_domain(&self, domain: &str) -> bool {
        let has = |directory: &Directory| {
            directory.index.value.domains.binary_search_by(|it| it.as_str().cmp(domain)).is_ok()
        };
        self.read(|directory| Some(has(directory))).unwrap_or(false)
    }

    /// How much the mailbox may send.
    #[must_use]
    pub fn limits(&self, found: &Found) -> SystemLimits {
        let system = self.read(|directory| Some(directory.index.value.limits)).unwrap_or_default();
        let own = found.entry.limits;
        SystemLimits {
            messages_per_hour: own.messages_per_hour.unwrap_or(system.messages_per_hour),
            recipients_per_message: own.recipients_per_message.unwrap_or(system.recipients_per_message),
        }
    }

    /// Messages that the mailboxes of `domain` may send within an hour, if that is limited.
    #[must_use]
    pub fn domain_limit(&self, domain: &str) -> Option<u32> {
        self.read(|directory| directory.index.value.domain_limits.get(domain).copied())
    }

    /// The directory service that knows the main password of mailboxes in the domain of `address`.
    #[must_use]
    pub fn ldap_of(&self, address: &str) -> Option<Arc<Ldap>> {
        self.read(|directory| directory.index.value.ldap_of(address).cloned())
    }

    /// Every directory service.
    #[must_use]
    pub fn ldap(&self) -> Vec<Arc<Ldap>> {
        self.read(|directory| Some(directory.index.value.ldap.clone())).unwrap_or_default()
    }

    /// What a session of this mailbox may have been opened with: a tag for each password that opens it now.
    #[must_use]
    pub fn tags(&self, address: &str, entry: &MailboxEntry) -> Vec<String> {
        let ldap = self.ldap_of(address).filter(|_| entry.credential.is_some() && !entry.own_password);
        let local = ldap.as_ref().is_none_or(|ldap| ldap.fallback_local);
        let own = entry.credentials().filter(|(app, _)| local || app.is_some());
        own.map(|(_, credential)| credential.tag()).chain(ldap.iter().map(|ldap| ldap.tag())).collect()
    }

    /// The key of tokens, once the directory is loaded.
    #[must_use]
    pub fn token_key(&self) -> Option<TokenKey> {
        self.read(|directory| directory.token_key.clone())
    }

    /// The mailboxes that store shard `store` holds, sorted by address. Reads the whole directory.
    #[must_use]
    pub fn mailboxes_of_store(&self, store: u32) -> BTreeMap<String, Arc<MailboxEntry>> {
        self.read(|directory| {
            let slots = directory.parts().flat_map(|part| &part.value.slots);
            let mine = slots.filter_map(|(address, slot)| match slot {
                Slot::Mailbox(entry) if entry.store == store => Some((address.to_string(), entry.clone())),
                _ => None,
            });
            Some(mine.collect())
        })
        .unwrap_or_default()
    }

    /// The mail of a former mailbox of this uid, if it is to be kept out of the way.
    #[must_use]
    pub fn retired(&self, uid: &str) -> Option<Arc<Retired>> {
        self.read(|directory| directory.parts().find_map(|part| part.value.retired.get(uid).cloned()))
            .filter(|retired| !retired.in_place)
    }

    /// The mail of former mailboxes in store shard `store`, by uid, also what stays in place. Reads the whole directory.
    #[must_use]
    pub fn retired_of_store(&self, store: u32) -> BTreeMap<String, Arc<Retired>> {
        self.read(|directory| {
            let all = directory.parts().flat_map(|part| &part.value.retired);
            let mine = all.filter(|(_, retired)| retired.store == store);
            Some(mine.map(|(uid, retired)| (uid.to_string(), retired.clone())).collect())
        })
        .unwrap_or_default()
    }

    /// Whether a whole directory is held: before, no answer is an answer.
    #[must_use]
    pub fn loaded(&self) -> bool {
        self.read(|_| Some(())).is_some()
    }

    /// The Secrets from which questions are answered now, each with its issue number. Empty before [`Self::loaded`].
    #[must_use]
    pub fn issued(&self) -> BTreeMap<String, u64> {
        let system = &self.0.system;
        self.read(|directory| {
            let count = directory.index.value.shards;
            let shards =
                directory.parts().zip(0..).map(|(part, i)| (system.directory_shard(count, i), part.issued));
            Some(shards.chain([(system.directory(), directory.index.issued)]).collect())
        })
        .unwrap_or_default()
    }

    /// Counts the changes of what look-ups answer.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The numbers of shards of the directories to follow: of the one that serves, and of the one that is to.
    #[must_use]
    pub fn shard_counts(&self) -> Vec<u32> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        [&state.serving, &state.coming].into_iter().flatten().map(|it| it.index.value.shards).collect()
    }

    /// Offers an index.
    #[must_use]
    pub fn offer_index(&self, issued: u64, index: Index) -> Offer {
        self.update(|state| state.offer_index(issued, index))
    }

    /// Offers shard `position` of a directory of `count`.
    #[must_use]
    pub fn offer_shard(&self, count: u32, position: u32, issued: u64, shard: Shard) -> Offer {
        let part = compact(shard);
        self.update(|state| state.offer_shard((count, position), Held { issued, value: part }))
    }

    fn update(&self, change: impl FnOnce(&mut State) -> Offer) -> Offer {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let offer = change(&mut state);
        state.change_over();
        let mailboxes = state.serving.as_ref().map_or(0, Directory::mailboxes);
        drop(state);
        match offer {
            Offer::Taken => {
                self.0.mailboxes.set(mailboxes);
                self.0.changed.send_modify(|changes| *changes += 1);
            }
            Offer::Older => drop(self.0.refused.inc()),
            Offer::Known | Offer::Foreign => {}
        }
        offer
    }

    fn read<T>(&self, answer: impl FnOnce(&Directory) -> Option<T>) -> Option<T> {
        answer(self.0.state.read().unwrap_or_else(PoisonError::into_inner).serving.as_ref()?)
    }
}

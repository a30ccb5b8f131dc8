//! What is kept of an object: the fields that decide, in compact form. Comes from the API types, goes into the index.

use std::{fmt, net::SocketAddr, sync::Arc};

use kube::{Resource, ResourceExt};
use serde::Serialize;

use crate::{
    api::{self, MailboxLimits, MailboxState, Protocol, SystemLimits, WhileSuspended},
    directory::{self, AddressError, Refusal},
    names::{ADOPT, CONFIRM_DELETION, RESUME_SENDING, SHARD_LABEL, SystemName},
    quantity,
};

/// Namespace and name of an object; sorted by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// A shared [`ObjectName`]: the maps of the index refer to one allocation.
pub type Key = Arc<ObjectName>;

impl ObjectName {
    /// The name of `object`.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::new(&object.namespace().unwrap_or_default(), &object.name_any())
    }

    /// Names `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Identity and version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its uid: an object that is deleted and made anew is another one.
    pub uid: Box<str>,
    /// Creation, in seconds of Unix time.
    pub created: i64,
    /// Generation of the spec.
    pub generation: i64,
}

impl Meta {
    /// Of `object`.
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone().unwrap_or_default().into(),
            created: meta.creation_timestamp.as_ref().map_or(i64::MAX, |time| time.0.as_second()),
            generation: meta.generation.unwrap_or_default(),
        }
    }

    /// Whether both are of one object, perhaps in different versions.
    #[must_use]
    pub fn same_object(&self, other: &Self) -> bool {
        (&self.uid, self.created) == (&other.uid, other.created)
    }
}

/// What decides of a MailSystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemFact {
    /// Its uid, for owner references.
    pub uid: Box<str>,
    /// Its host name, for the MX records of its domains.
    pub hostname: Box<str>,
    /// Namespaces whose domains may use it; `*` means all.
    pub tenants: Vec<String>,
    /// Number of store shards.
    pub stores: u32,
    /// Whether its Mailboxes take over what the stores have under their addresses.
    pub adopt: bool,
    /// Whether mail leaves through a relay host.
    pub relayed: bool,
    /// Who is asked for DNS records; none means the resolver of this pod.
    pub resolver: Vec<SocketAddr>,
    /// How long mail is kept whose mailbox is gone, in seconds.
    pub retention: i64,
    /// Which vanished mailboxes are confirmed to be gone on purpose: the word for them.
    pub confirmed: Option<Box<str>>,
    /// How much each mailbox may send.
    pub limits: SystemLimits,
    /// Directory services that know people's passwords.
    pub ldap: Vec<api::system::Ldap>,
    /// After how long without a log-in a mailbox is unattended, in seconds.
    pub unattended_after: i64,
}

impl From<&api::MailSystem> for SystemFact {
    fn from(object: &api::MailSystem) -> Self {
        Self {
            uid: object.uid().unwrap_or_default().into(),
            hostname: object.spec.hostname.as_str().into(),
            tenants: object.spec.tenant_namespaces.clone(),
            stores: object.spec.store.shards.max(1),
            adopt: object.annotations().get(ADOPT) == Some(&object.name_any()),
            relayed: object.spec.gateway.relay_host.is_some(),
            resolver: object
                .spec
                .resolver
                .iter()
                .flat_map(|resolver| &resolver.addresses)
                .filter_map(|address| address.parse().ok())
                .collect(),
            retention: days(&object.spec.store.retired_retention).unwrap_or(90 * 86_400),
            confirmed: object.annotations().get(CONFIRM_DELETION).map(|word| word.as_str().into()),
            limits: object.spec.limits,
            ldap: object.spec.authentication.ldap.clone(),
            unattended_after: days(&object.spec.review.unattended_after).unwrap_or(60 * 86_400),
        }
    }
}

/// What decides of a MailDomain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainFact {
    /// Identity.
    pub meta: Meta,
    /// The domain, in lower case.
    pub domain: Arc<str>,
    /// The system it asks to be served by.
    pub system: Arc<SystemName>,
    /// The DKIM selector.
    pub selector: Box<str>,
    /// The age at which a key is replaced, in seconds.
    pub rotate_every: Option<i64>,
    /// Whether its records are looked up.
    pub dns_check: bool,
    /// Messages that its mailboxes may send within an hour.
    pub messages_per_hour: Option<u32>,
    /// What its mailboxes may come to.
    pub limits: super::Limits,
    /// Its status as the API has it.
    pub published: api::MailDomainStatus,
}

impl From<&api::MailDomain> for DomainFact {
    fn from(object: &api::MailDomain) -> Self {
        let own = object.namespace().unwrap_or_default();
        let system = &object.spec.system;
        Self {
            meta: Meta::of(object),
            domain: object.spec.domain.to_ascii_lowercase().into(),
            system: Arc::new(SystemName::new(system.namespace.clone().unwrap_or(own), &system.name)),
            selector: object.spec.dkim.selector.as_str().into(),
            rotate_every: object.spec.dkim.rotate_every.as_deref().and_then(days),
            dns_check: object.spec.dns_check,
            messages_per_hour: object.spec.limits.as_ref().and_then(|limits| limits.messages_per_hour),
            limits: object.spec.limits.as_ref().map(super::Limits::of).unwrap_or_default(),
            published: object.status.clone().unwrap_or_default(),
        }
    }
}

/// A time such as `2026-11-25T08:00:00Z`, in seconds of Unix time.
fn seconds(time: &str) -> Option<i64> {
    time.parse::<k8s_openapi::jiff::Timestamp>().ok().map(k8s_openapi::jiff::Timestamp::as_second)
}

/// The beginning of a day such as `2026-12-31`, in seconds of Unix time.
fn date(day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp().as_second())
}

/// A number of days such as `90d`, in seconds.
fn days(text: &str) -> Option<i64> {
    let days: i64 = text.strip_suffix('d')?.parse().ok()?;
    days.checked_mul(86_400)
}

/// A key of a Secret in the namespace of the Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: Box<str>,
    /// Key within it.
    pub key: Box<str>,
}

impl SecretRef {
    fn of(reference: &api::mailbox::SecretKeyRef) -> Self {
        Self { name: reference.name.as_str().into(), key: reference.key.as_str().into() }
    }
}

fn sorted(protocols: &[Protocol]) -> Box<[Protocol]> {
    let mut protocols = protocols.to_vec();
    protocols.sort_unstable();
    protocols.dedup();
    protocols.into()
}

/// What decides of a Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxFact {
    /// Identity.
    pub meta: Meta,
    /// The address that it is served under, or is to be, folded.
    pub address: Arc<str>,
    /// The other addresses that it names, folded, without repetitions.
    pub aliases: Box<[Arc<str>]>,
    /// Where it comes from and goes to.
    pub moving: super::Moving,
    /// Who uses it.
    pub sharing: super::Sharing,
    /// Where its mail is to go.
    pub forward: Option<super::Wish>,
    /// What the owner may do.
    pub state: MailboxState,
    /// What senders are told instead of taking their mail.
    pub refusal: Option<Refusal>,
    /// Quota in bytes; `None` if it cannot be read.
    pub quota: Option<u64>,
    /// The Secret with the password; `None` means that one is generated.
    pub secret: Option<Box<SecretRef>>,
    /// Its app passwords.
    pub apps: Box<[super::AppFact]>,
    /// How it may be used with a password, sorted; in every way if empty.
    pub protocols: Box<[Protocol]>,
    /// How much it may send, where that is not the system's.
    pub limits: MailboxLimits,
    /// What status says of a suspension from sending: its time.
    pub suspended: Option<i64>,
    /// The suspension that is to be lifted, by its time; 0 if that cannot be read.
    pub resume: Option<i64>,
    /// When it is to be reviewed: the beginning of that day, in seconds of Unix time.
    pub review_by: Option<i64>,
    /// What status says is to be looked at.
    pub marked: super::Marks,
    /// Whether it takes over what its store has under its address.
    pub adopt: bool,
    /// The RetiredMailbox whose mail it takes over.
    pub restore_from: Option<Box<str>>,
    /// The RetiredMailbox whose mail it has taken over.
    pub restored_from: Option<Box<str>>,
    /// The store shard it was given.
    pub shard: Option<u32>,
    /// The one that it is to be given, if there is one of this number.
    pub former_shard: Option<u8>,
    /// Its status as the API has it.
    pub published: Published,
}

impl TryFrom<&api::Mailbox> for MailboxFact {
    type Error = AddressError;

    /// Fails for an address or alias that the directory cannot hold: the rules of the definition were bypassed.
    fn try_from(object: &api::Mailbox) -> Result<Self, AddressError> {
        let spec = &object.spec;
        let named: Arc<str> = directory::fold(&spec.address)?.into();
        let mut aliases =
            spec.aliases.iter().map(|alias| directory::fold(alias)).collect::<Result<Vec<_>, _>>()?;
        aliases.sort();
        aliases.dedup();
        aliases.retain(|alias| **alias != *named);
        let status = object.status.clone().unwrap_or_default();
        let has = status.address.as_deref().and_then(|address| directory::fold(address).ok());
        let address = has.map_or_else(|| named.clone(), Arc::from);
        let adopt = object
            .annotations()
            .get(ADOPT)
            .is_some_and(|it| directory::fold(it).is_ok_and(|it| *it == *named));
        Ok(Self {
            meta: Meta::of(object),
            adopt,
            moving: moving(named.clone(), &address, spec, &status),
            address,
            aliases: aliases.into_iter().map(Arc::from).collect(),
            sharing: super::Sharing::of(spec, &status)?,
            forward: spec.forward.as_ref().map(wish).transpose()?,
            state: spec.state,
            refusal: match (spec.state, spec.while_suspended) {
                (MailboxState::Suspended, WhileSuspended::Refuse) => Some(Refusal::Suspended),
                (MailboxState::Retired, _) => Some(Refusal::Retired(spec.successor.clone())),
                _ => None,
            },
            quota: quantity::bytes(&spec.quota),
            secret: spec.password_secret.as_ref().map(SecretRef::of).map(Box::new),
            apps: spec
                .app_passwords
                .iter()
                .map(|app| super::AppFact {
                    name: app.name.as_str().into(),
                    secret: SecretRef::of(&app.secret),
                })
                .collect(),
            protocols: sorted(&spec.protocols),
            limits: spec.limits.unwrap_or_default(),
            suspended: status.sending_suspended.as_ref().map(|it| it.since.0.as_second()),
            resume: object.annotations().get(RESUME_SENDING).map(|time| seconds(time).unwrap_or_default()),
            review_by: spec.review_by.as_deref().and_then(date),
            marked: super::Marks::of(&status.conditions),
            restore_from: spec.restore_from.as_deref().map(Box::from),
            restored_from: status.restored_from.as_deref().map(Box::from),
            shard: status.shard,
            former_shard: object.annotations().get(SHARD_LABEL).and_then(|shard| shard.parse().ok()),
            published: Published::of(&status),
        })
    }
}

fn wish(forward: &api::mailbox::Forward) -> Result<super::Wish, AddressError> {
    Ok(super::Wish { to: directory::fold(&forward.to)?.into(), copy: forward.keep_copy })
}

/// Where a mailbox that names `named` and has `address` comes from and goes to.
fn moving(
    named: Arc<str>,
    address: &str,
    spec: &api::MailboxSpec,
    status: &api::MailboxStatus,
) -> super::Moving {
    let former = status.former_addresses.iter().filter_map(|it| {
        let address = directory::fold(&it.address).ok()?.into();
        Some(super::Former { address, since: it.since.0.as_second() })
    });
    super::Moving {
        wanted: (*named != *address).then_some(named),
        former: former.filter(|it| *it.address != *address).collect(),
        keep: days(&spec.keep_former_address).map_or(90, |keep| u32::try_from(keep / 86_400).unwrap_or(90)),
        settled: status.address.is_some(),
    }
}

/// A Mailbox in the index: the object, and what was found out about its password.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// The object.
    pub fact: MailboxFact,
    /// Its password.
    pub password: super::login::Password,
    /// Its entry in the directory that was found, if the object cannot be read and nothing else is known of it.
    pub held: Option<Box<directory::MailboxEntry>>,
    /// What the directory says of where its mail goes.
    pub forward: Option<directory::Forward>,
    /// Whether its mail would come back, or go on for too long, if it were forwarded.
    pub circles: bool,
    /// What the directory says of its members.
    pub shares: Vec<directory::Share>,
    /// Its app passwords, by name.
    pub apps: std::collections::BTreeMap<Arc<str>, super::login::Password>,
    /// Whether it may send.
    pub sending: super::Sending,
    /// Its place within the limits of its domain.
    pub seat: super::Seat,
    /// What is to be looked at.
    pub marks: super::Marks,
}

/// A status in the API, in as few bytes as tell whether another one differs and since when it is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Digest of everything but times.
    pub digest: u64,
    /// Status of `Ready`: `None` is Unknown or absent.
    pub ready: Option<bool>,
    /// Transition time of `Ready` in seconds of Unix time; 0 if absent.
    pub since: i64,
}

impl Published {
    /// Of a Mailbox's status.
    #[must_use]
    pub fn of(status: &api::MailboxStatus) -> Self {
        let ready = crate::conditions::get(&status.conditions, "Ready");
        // The use of a mailbox is written apart, and changes all the time.
        let decided = api::MailboxStatus { usage: None, ..status.clone() };
        Self {
            digest: digest(&decided, |status| &mut status.conditions),
            ready: ready.and_then(|ready| ready.status.to_ascii_lowercase().parse().ok()),
            since: ready.map_or(0, |ready| ready.last_transition_time.0.as_second()),
        }
    }
}

/// A digest of a status without the times of its conditions.
pub fn digest<T: Serialize + Clone>(
    status: &T,
    conditions: impl Fn(&mut T) -> &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
) -> u64 {
    let mut status = status.clone();
    for condition in conditions(&mut status) {
        condition.last_transition_time =
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    }
    serde_json::to_vec(&status).unwrap_or_default().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

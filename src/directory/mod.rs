//! The directory: what the agents know of domains, mailboxes and credentials.
//!
//! The operator compiles it from objects and writes it as one *index* Secret and a number of *shard* Secrets, a power of
//! two; an address lives in the shard that [`shard_of`] names. Agents hold all of it in memory and on disk. Values are
//! typed here and turned into bytes and back; nothing here reads a cluster or a file.
//!
//! Each Secret carries its content under [`CONTENT`] and under [`ISSUED`] the number it was issued under. Numbers grow
//! with every issue of that Secret: an agent refuses a lower one, so an API server restored from a backup does not bring
//! back old passwords. Content is deterministic, so that unchanged content is recognised by its bytes.

mod address;
mod format;
mod group;
mod ldap;

pub use address::{AddressError, domain_of, fold, with_detail, without_detail};
pub use format::{FormatError, decode_index, decode_shard, encode_index, encode_shard};
pub use group::Group;
pub use ldap::{Ldap, Naming, Searcher};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::api::{MailboxLimits, MailboxState, MemberRight, Protocol, SystemLimits};

/// Key of the compressed content in the Secret of an index or a shard.
pub const CONTENT: &str = "directory";
/// Key of the issue number in the same Secret: decimal milliseconds of Unix time, growing with each issue.
pub const ISSUED: &str = "issued";

/// What concerns the whole system.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Number of directory shards, a power of two.
    pub shards: u32,
    /// The domains for which mail is accepted, folded and sorted.
    pub domains: Vec<String>,
    /// The uid of the MailDomain of each domain that one has; the operator's memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holders: BTreeMap<String, String>,
    /// Key of the tokens with which a gateway introduces a client to a store: 64 hexadecimal digits.
    pub token_key: String,
    /// How much each mailbox may send, where its entry does not say.
    #[serde(default)]
    pub limits: SystemLimits,
    /// Messages that the mailboxes of a domain may send within an hour, where that is limited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domain_limits: BTreeMap<String, u32>,
    /// Directory services that know people's passwords. Agents of an earlier release ask none.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub ldap: Vec<Arc<Ldap>>,
}

/// Shared values as values: what is shared in memory is not in the bytes.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(values: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| &**value))
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Arc<T>>, D::Error> {
        Ok(Vec::<T>::deserialize(from)?.into_iter().map(Arc::new).collect())
    }
}

/// One part of the address space.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// Entries by folded address.
    pub entries: BTreeMap<String, Entry>,
    /// Mail whose mailbox is gone, by its uid; in the shard of the address that the mailbox had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retired: BTreeMap<String, Retired>,
    /// Groups by folded address. Beside the entries, since agents of an earlier release leave out what they do not know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
}

/// What stands behind an address. Most are mailboxes: boxing each would cost more.
#[allow(clippy::large_enum_variant)]
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// A mailbox of its own.
    Mailbox(MailboxEntry),
    /// Another address of the mailbox or group named here.
    Alias(String),
}

/// A mailbox.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MailboxEntry {
    /// Whose mail it is: the uid of the Mailbox, by which the store tells its mail from that of a predecessor at the same
    /// address. Empty in a directory of a release that did not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Namespace and name of the Mailbox, with a slash between; the operator's memory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The uid of a former mailbox whose mail becomes this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir_of: Option<String>,
    /// Whether mail that the store has under this address becomes this mailbox's, whoever's it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// The store shard that holds the mail.
    pub store: u32,
    /// Active if the owner may log in and send, else Suspended; other states are for the Mailbox alone.
    pub state: MailboxState,
    /// What senders are told instead of taking their mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Quota in bytes.
    pub quota: u64,
    /// How a password is checked; without it nobody can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Whether that password was given to it, so that no directory service is asked in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_password: bool,
    /// Where its mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Who uses it besides its owner, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// Further passwords, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub app_passwords: BTreeMap<String, Credential>,
    /// How it may be used with a password, sorted; in every way if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<Protocol>,
    /// How much it may send, where that is not the system's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: MailboxLimits,
    /// Since when it may not send, in seconds of Unix time: it sent in bulk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_suspended: Option<i64>,
    /// The last suspension that was lifted, by its time. What was counted before counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_resumed: Option<i64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl MailboxEntry {
    /// Whether it may be used over `protocol`.
    #[must_use]
    pub fn allows(&self, protocol: Protocol) -> bool {
        self.protocols.is_empty() || self.protocols.contains(&protocol)
    }

    /// Its passwords, the main one first, with the names of the others.
    pub fn credentials(&self) -> impl Iterator<Item = (Option<&str>, &Credential)> {
        let apps = self.app_passwords.iter().map(|(name, credential)| (Some(name.as_str()), credential));
        self.credential.iter().map(|credential| (None, credential)).chain(apps)
    }
}

/// Where a mailbox's mail goes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// The own address of another mailbox or of a group, folded. Mailboxes may forward in their turn; nothing comes back.
    pub to: String,
    /// Whether the mailbox gets it, too.
    pub copy: bool,
}

/// Somebody who uses a mailbox besides its owner.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The own address of the member's mailbox, folded.
    pub address: String,
    /// What it may do.
    pub rights: BTreeSet<MemberRight>,
}

/// Why a mailbox takes no mail from outside. What was accepted before is delivered all the same.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// Whose mailbox it is to be is not settled: the sender shall try again later.
    Unsettled,
    /// It is suspended.
    Suspended,
    /// It is retired, for this address.
    Retired(Option<String>),
}

/// Mail that is kept, out of everybody's reach, after its mailbox is gone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Retired {
    /// The address that the mailbox had, folded.
    pub address: String,
    /// The store shard that holds the mail.
    pub store: u32,
    /// The quota that it had, in bytes.
    pub quota: u64,
    /// Namespace of the Mailbox.
    pub namespace: String,
    /// Name of the Mailbox.
    pub name: String,
    /// Since when, in seconds of Unix time.
    pub since: i64,
    /// Until when it is kept, in seconds of Unix time.
    pub until: i64,
    /// Whether it stays under its address and goes on receiving: so many mailboxes vanished at once that it may have been
    /// an accident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
    /// Whether somebody has confirmed that the mailbox is gone on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// Whether the store is to delete it now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purge: bool,
}

/// What a store says of retired mail, or of mail that is to have an heir.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Keeping {
    /// It is kept out of the way: so many KiB.
    Kib(u64),
    /// It is not there yet.
    Moving,
    /// There is none, or none any more.
    Absent,
}

/// How a password is checked.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// argon2id in the PHC string format.
    pub hash: String,
    /// Names the version of the Secret the hash was made from, so that it need not be made again after a restart.
    pub source: String,
}

impl Credential {
    /// Tells it from others, in 16 hexadecimal digits, and says nothing about the password.
    #[must_use]
    pub fn tag(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.hash.as_bytes());
        let bytes = digest.as_ref().iter().take(8);
        bytes.fold(String::with_capacity(16), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl std::fmt::Debug for Credential {
    /// Hides the hash: entries may be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The directory shard of `count` in which `address` (folded) lives. FNV-1a of the address, so that it is the same in
/// every release; `count` is a power of two.
#[must_use]
pub fn shard_of(address: &str, count: u32) -> u32 {
    let hash = address.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits of FNV-1a alone are poor for keys that differ in one byte: fold the high half in.
    let mixed = (hash >> 32) ^ hash;
    u32::try_from(mixed % u64::from(count.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_spread_evenly_over_shards() {
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            counts[shard_of(&format!("u{n}@angiang.gov.vn"), 16) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn debug_output_has_no_hash() {
        let credential = Credential { hash: "$argon2id$x".into(), source: "s".into() };
        assert!(!format!("{credential:?}").contains("argon2id"));
    }
}

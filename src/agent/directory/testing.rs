//! A small directory for the tests of those who ask it.

use crate::{
    api::MailboxState,
    directory::{Credential, Entry, Index, MailboxEntry, Shard},
    names::SystemName,
};

use super::{Offer, Replica};

/// The password of every mailbox of [`replica`] that has one.
pub(crate) const PASSWORD: &[u8] = b"hunter2 and %25";

/// A directory that is not loaded yet.
pub(crate) fn empty() -> Replica {
    Replica::new(SystemName::new("n", "s"))
}

/// `an@x.vn` of store 0 with the alias `van-thu@x.vn`, `binh@x.vn` suspended, `chi@x.vn` of store 1 without a password.
pub(crate) fn replica() -> Replica {
    let replica = empty();
    fill(&replica);
    replica
}

/// Offers the entries of [`replica`] to a directory that is not loaded yet.
pub(crate) fn fill(replica: &Replica) {
    let index =
        Index { shards: 1, domains: vec!["x.vn".into()], token_key: "a".repeat(64), ..Index::default() };
    assert_eq!(replica.offer_index(1, index), Offer::Taken);
    offer(replica, 1, PASSWORD);
}

/// The same entries under another issue number and with another password.
pub(crate) fn offer(replica: &Replica, issued: u64, password: &[u8]) {
    offer_with(replica, issued, password, |_| {});
}

/// The same, with something else about `an@x.vn`.
pub(crate) fn offer_with(
    replica: &Replica,
    issued: u64,
    password: &[u8],
    change: impl FnOnce(&mut MailboxEntry),
) {
    let hash = hash(password);
    let mailbox = |store, state, hash: Option<&String>| {
        let credential = hash.map(|hash| Credential { hash: hash.clone(), source: "s".into() });
        Entry::Mailbox(MailboxEntry { store, state, quota: 1 << 20, credential, ..MailboxEntry::default() })
    };
    let entries = [
        ("an@x.vn", mailbox(0, MailboxState::Active, Some(&hash))),
        ("van-thu@x.vn", Entry::Alias("an@x.vn".into())),
        ("binh@x.vn", mailbox(0, MailboxState::Suspended, Some(&hash))),
        ("chi@x.vn", mailbox(1, MailboxState::Active, None)),
    ];
    let mut entries: std::collections::BTreeMap<_, _> =
        entries.into_iter().map(|(address, entry)| (address.to_owned(), entry)).collect();
    if let Some(Entry::Mailbox(entry)) = entries.get_mut("an@x.vn") {
        change(entry);
    }
    assert_eq!(replica.offer_shard(1, 0, issued, Shard { entries, ..Shard::default() }), Offer::Taken);
}

/// As the operator makes it, with one salt.
pub(crate) fn hash(password: &[u8]) -> String {
    use argon2::password_hash::PasswordHasher;
    argon2::Argon2::default().hash_password_with_salt(password, b"salt of the tests").unwrap().to_string()
}

//! A small directory for tests of this agent, which is that of shard 0.

use std::sync::Arc;

use crate::{
    agent::{
        directory::{Offer, Replica},
        token::TokenKey,
    },
    api::MailboxState,
    directory::{Credential, Entry, Index, Ldap, MailboxEntry, Naming, Shard},
    names::SystemName,
};

const KEY: &str = "abababababababababababababababababababababababababababababababab";

/// `an`, `binh` and `suspended` live here, `elsewhere` in shard 1; `alias` leads to `an`.
pub(super) fn directory() -> Replica {
    let mailbox = |(name, store, state): (&str, u32, MailboxState)| {
        let credential = Some(credential());
        let (uid, quota) = (name.into(), 1 << 30);
        let entry = MailboxEntry { uid, store, state, quota, credential, ..MailboxEntry::default() };
        (format!("{name}@x.vn"), Entry::Mailbox(entry))
    };
    let mailboxes = [
        ("an", 0, MailboxState::Active),
        ("binh", 0, MailboxState::Active),
        ("suspended", 0, MailboxState::Suspended),
        ("elsewhere", 1, MailboxState::Active),
    ];
    let alias = ("alias@x.vn".to_owned(), Entry::Alias("an@x.vn".to_owned()));
    let entries = mailboxes.map(mailbox).into_iter().chain([alias]).collect();
    let replica = Replica::new(SystemName::new("n", "s"));
    let offers = [
        replica.offer_index(
            1,
            Index { shards: 1, domains: vec!["x.vn".into()], token_key: KEY.into(), ..Index::default() },
        ),
        replica.offer_shard(1, 0, 1, Shard { entries, ..Shard::default() }),
    ];
    assert_eq!(offers, [Offer::Taken; 2]);
    replica
}

/// The same, with a directory service.
pub(super) fn with_service(fallback_local: bool) -> (Arc<Ldap>, Replica) {
    let ldap = Arc::new(Ldap {
        name: "province".into(),
        domains: Vec::new(),
        urls: vec!["ldaps://dc.x.vn".into()],
        ca: None,
        naming: Naming::Direct("{address}".into()),
        timeout: 5,
        fallback_local,
    });
    let (replica, domains, ldaps) = (directory(), vec!["x.vn".into()], vec![ldap.clone()]);
    let index = Index { shards: 1, domains, token_key: KEY.into(), ldap: ldaps, ..Index::default() };
    assert_eq!(replica.offer_index(2, index), Offer::Taken);
    (ldap, replica)
}

/// The main password of each.
pub(super) fn credential() -> Credential {
    Credential { hash: "h".into(), source: "s".into() }
}

/// The key of that directory's tokens.
pub(super) fn token_key() -> TokenKey {
    TokenKey::from_hex(KEY).unwrap()
}

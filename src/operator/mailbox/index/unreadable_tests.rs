//! Objects that cannot be read, before and after a restart of the operator.

use super::{
    super::{
        tests::{domain, key, mailbox, meta, system, system_name},
        *,
    },
    *,
};
use crate::directory::{Credential, Shard};

/// A system with one domain and one mailbox with an alias and a password; and what its directory holds.
fn served() -> (Index, Arc<SystemName>, Existing) {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_system(&name, system(0, &[]));
    index.load(&name, None);
    index.apply_domain(&key(2), DomainFact { meta: meta(0, 50), ..domain(0, "x.vn", name.clone()) });
    index.apply_mailbox(&key(0), MailboxFact { shard: Some(3), ..mailbox(5, "an@x.vn", &["a@x.vn"]) });
    index.settle();
    index.login_seen(&key(0), &Which::Main, "v1", None);
    index.login_hashed(&key(0), &Which::Main, Credential { hash: "h".into(), source: "v1".into() }, None);
    index.settle();
    let compiled = index.compile(&name).unwrap();
    let shard: Shard = compiled.shards.into_iter().next().unwrap().1;
    let entries = shard.entries.into_iter().collect();
    let holders = compiled.holders;
    (index, name, Existing { shards: 1, entries, holders, retired: shard.retired, ..Existing::default() })
}

fn content(index: &mut Index, name: &SystemName) -> (Vec<String>, HashMap<String, Entry>) {
    index.settle();
    index.rewrite(name);
    let compiled = index.compile(name).unwrap();
    let entries = compiled.shards.into_iter().flat_map(|(_, shard)| shard.entries).collect();
    (compiled.domains, entries)
}

/// A restart at which neither the domain nor the mailbox can be read.
fn restarted(existing: Existing) -> (Index, Arc<SystemName>) {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_system(&name, system(0, &[]));
    index.domain_unreadable(&key(2), &meta(0, 50));
    index.mailbox_unreadable(&key(0), &meta(5, 0));
    index.settle();
    index.load(&name, Some(existing));
    (index, name)
}

#[test]
fn what_cannot_be_read_any_more_is_served_on_as_it_was() {
    let (mut index, name, before) = served();
    index.mailbox_unreadable(&key(0), &meta(5, 0));
    index.domain_unreadable(&key(2), &meta(0, 50));
    let changes = index.settle();
    assert!(changes.departed.is_empty() && changes.mailboxes.contains(&key(0)));
    let (domains, entries) = content(&mut index, &name);
    assert_eq!((domains, entries), (vec!["x.vn".to_owned()], before.entries));
    index.remove_mailbox(&key(0));
    assert_eq!(index.settle().departed.len(), 1, "it is gone");
}

#[test]
fn after_a_restart_the_directory_says_what_it_was() {
    let (_, _, before) = served();
    let entries = before.entries.clone();
    let (mut index, name) = restarted(before);
    let changes = index.settle();
    assert!(changes.departed.is_empty() && changes.asks.is_empty(), "{changes:?}");
    assert_eq!(content(&mut index, &name), (vec!["x.vn".to_owned()], entries));
    index.login_unlisted(&key(0), &Which::Main);
    assert!(index.settle().asks.is_empty(), "no password is made for it");
    index.remove_mailbox(&key(0));
    let departed = index.settle().departed;
    assert!(
        matches!(departed.as_slice(), [it] if !it.record.in_place && it.record.store == 3),
        "{departed:?}"
    );
}

#[test]
fn nobody_else_gets_its_addresses_until_it_can_be_read() {
    let (_, _, before) = served();
    let (mut index, name) = restarted(before);
    let older = MailboxFact { meta: meta(1, 9), ..mailbox(1, "old@x.vn", &["a@x.vn", "an@x.vn"]) };
    index.apply_mailbox(&key(4), older);
    let (_, entries) = content(&mut index, &name);
    assert_eq!(entries["a@x.vn"], Entry::Alias("an@x.vn".into()));
    assert!(matches!(&entries["an@x.vn"], Entry::Mailbox(entry) if entry.uid == "u0"));
    let problems = index.verdict(&key(4)).unwrap().problems;
    assert!(
        matches!(&problems[..], [Problem::AliasConflict(_, a), Problem::AliasConflict(_, b)] if *a == Claimant::Mailbox(key(0)) && a == b)
    );

    // Now it can, and the older one wins, as always.
    index.apply_mailbox(&key(0), MailboxFact { shard: Some(3), ..mailbox(5, "an@x.vn", &["a@x.vn"]) });
    let (_, entries) = content(&mut index, &name);
    assert_eq!(entries["a@x.vn"], Entry::Alias("old@x.vn".into()));
}

#[test]
fn a_loser_that_cannot_be_read_any_more_does_not_win() {
    let (mut index, _, _) = served();
    index.apply_mailbox(&key(4), MailboxFact { meta: meta(9, 9), ..mailbox(9, "an@x.vn", &[]) });
    index.settle();
    index.mailbox_unreadable(&key(4), &meta(9, 9));
    index.settle();
    assert!(index.listed_in(&key(0)).is_some() && index.listed_in(&key(4)).is_none());
}

#[test]
fn once_it_can_be_read_its_password_is_looked_up_and_not_made_anew() {
    let (_, _, before) = served();
    let (mut index, name) = restarted(before);
    index.settle();
    index.apply_domain(&key(2), DomainFact { meta: meta(0, 50), ..domain(0, "x.vn", name.clone()) });
    index.apply_mailbox(&key(0), mailbox(5, "an@x.vn", &["b@x.vn"]));
    let asks = index.settle().asks;
    assert_eq!(asks.len(), 1);
    assert!(!index.login_seen(&key(0), &Which::Main, "v1", None), "it is hashed already");
    let (_, entries) = content(&mut index, &name);
    assert!(entries.contains_key("b@x.vn") && !entries.contains_key("a@x.vn"));
    assert!(
        matches!(&entries["an@x.vn"], Entry::Mailbox(entry) if entry.store == 3 && entry.credential.is_some())
    );
}

#[test]
fn mailboxes_whose_domain_vanished_during_a_restart_stay_in_place() {
    let (_, _, before) = served();
    let (mut index, name) = (Index::default(), system_name(0));
    index.apply_system(&name, system(0, &[]));
    index.apply_mailbox(&key(0), mailbox(5, "an@x.vn", &[]));
    index.load(&name, Some(before));
    let departed = index.settle().departed;
    assert!(matches!(departed.as_slice(), [it] if it.record.in_place), "{departed:?}");
}

#[test]
fn what_a_system_serves_that_cannot_be_read_is_not_said_to_be_missing() {
    let (mut index, name) = (Index::default(), system_name(0));
    index.apply_domain(&key(2), domain(0, "x.vn", name.clone()));
    index.apply_mailbox(&key(0), mailbox(5, "an@x.vn", &[]));
    index.settle();
    index.system_unreadable(&name);
    assert!(index.settle().mailboxes.contains(&key(0)));
    let problems = index.verdict(&key(0)).unwrap().problems;
    assert_eq!(problems, [Problem::Domain(Obstacle::SystemUnreadable(name.clone()))]);
    index.apply_system(&name, system(0, &[]));
    index.settle();
    assert_eq!(index.verdict(&key(0)).unwrap().problems, []);
}

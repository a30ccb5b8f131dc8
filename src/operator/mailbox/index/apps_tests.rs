//! App passwords, rule by rule.

use super::{
    tests::{domain, key, mailbox, system, system_name},
    *,
};
use crate::{
    api::Protocol,
    directory::{Credential, Entry, MailboxEntry},
};

fn app(name: &str, secret: &str) -> AppFact {
    AppFact { name: name.into(), secret: SecretRef { name: secret.into(), key: "password".into() } }
}

fn credential(hash: &str) -> Credential {
    Credential { hash: hash.into(), source: hash.into() }
}

fn phone() -> Which {
    Which::App("phone".into())
}

fn with(apps: &[AppFact]) -> MailboxFact {
    MailboxFact { apps: apps.into(), ..mailbox(0, "an@x.vn", &[]) }
}

/// A mailbox whose app password `phone` was hashed.
fn served() -> (Index, Arc<SystemName>) {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_system(&name, system(0, &[]));
    index.apply_domain(&key(0), domain(0, "x.vn", name.clone()));
    index.apply_mailbox(&key(0), with(&[app("phone", "s")]));
    index.load(&name, None);
    let asks = index.settle().asks;
    let of_phone = asks.iter().find(|ask| ask.which == phone()).unwrap();
    assert!(of_phone.make && asks.len() == 2, "{asks:?}");
    index.login_hashed(&key(0), &phone(), credential("h"), None);
    index.settle();
    (index, name)
}

fn entry(index: &mut Index, name: &SystemName) -> MailboxEntry {
    index.settle();
    index.rewrite(name);
    let shards = index.compile(name).unwrap().shards;
    match &shards[0].1.entries["an@x.vn"] {
        Entry::Mailbox(entry) => entry.clone(),
        Entry::Alias(_) => panic!("an alias"),
    }
}

#[test]
fn an_app_password_opens_until_it_is_taken_out() {
    let (mut index, name) = served();
    assert_eq!(entry(&mut index, &name).app_passwords["phone"].hash, "h");
    let changed = MailboxFact { protocols: [Protocol::Imap].into(), ..with(&[]) };
    index.apply_mailbox(&key(0), changed);
    index.settle();
    assert!(index.system(&name).unwrap().is_dirty(), "it is issued at once");
    let entry = entry(&mut index, &name);
    assert!(entry.app_passwords.is_empty() && !entry.allows(Protocol::Pop3) && entry.allows(Protocol::Imap));
    index.apply_mailbox(&key(0), with(&[app("phone", "s")]));
    assert_eq!(index.mailbox(&key(0)).unwrap().apps["phone"].credential, None, "it is a new one");
}

#[test]
fn the_last_one_that_was_known_outlives_its_secret_and_is_not_replaced_unasked() {
    let (mut index, name) = served();
    index.login_problem(&key(0), &phone(), LoginProblem::NotFound);
    assert_eq!(entry(&mut index, &name).app_passwords["phone"].hash, "h");
    let problems = index.verdict(&key(0)).unwrap().problems;
    assert_eq!(problems, [Problem::AppPassword("phone".into(), LoginProblem::NotFound)]);
    assert!(!index.question(&key(0), &phone()).unwrap().make);
    let users = |index: &Index, secret: &str| index.users_of(&ObjectName::new("a", secret)).len();
    assert_eq!(users(&index, "s"), 1);
    index.apply_mailbox(&key(0), with(&[app("phone", "other")]));
    assert_eq!((users(&index, "s"), users(&index, "other")), (0, 1));
    assert!(entry(&mut index, &name).app_passwords.is_empty(), "that of another Secret is another one");
}

#[test]
fn app_passwords_are_read_from_the_directory_of_an_earlier_process() {
    let (mut index, name) = served();
    let before = entry(&mut index, &name);
    let mut again = Index::default();
    again.secrets_listed();
    again.apply_system(&name, system(0, &[]));
    again.apply_domain(&key(0), domain(0, "x.vn", name.clone()));
    again.apply_mailbox(&key(0), with(&[app("phone", "s"), app("scanner", "s2")]));
    let entries = [("an@x.vn".to_owned(), Entry::Mailbox(before))].into();
    again.load(&name, Some(Existing { shards: 1, entries, ..Existing::default() }));
    let asks = again.settle().asks;
    let made: Vec<_> = asks.iter().filter(|ask| ask.make).map(|ask| ask.which.clone()).collect();
    assert_eq!(made, [Which::App("scanner".into())]);
    assert_eq!(entry(&mut again, &name).app_passwords["phone"].hash, "h");
}

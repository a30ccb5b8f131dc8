//! The index, rule by rule.

use super::*;
use crate::{
    api::{MailDomainStatus, MailboxLimits, MailboxState, SystemLimits},
    directory::{Credential, Entry, MailboxEntry, shard_of},
};

pub(super) const NAMESPACES: [&str; 2] = ["a", "b"];

pub(super) fn system_name(n: usize) -> Arc<SystemName> {
    Arc::new(SystemName::new(NAMESPACES[n % 2], "s"))
}

pub(super) fn key(n: usize) -> Key {
    Arc::new(ObjectName::new(NAMESPACES[n % 2], &format!("o{n}")))
}

pub(super) fn meta(created: i64, uid: u8) -> Meta {
    Meta { uid: format!("u{uid}").into(), created, generation: 1 }
}

pub(super) fn system(uid: u8, tenants: &[&str]) -> SystemFact {
    let tenants = tenants.iter().map(ToString::to_string).collect();
    SystemFact {
        uid: format!("s{uid}").into(),
        hostname: "mx.vn".into(),
        tenants,
        stores: 1,
        adopt: false,
        relayed: false,
        resolver: Vec::new(),
        retention: 0,
        confirmed: None,
        limits: SystemLimits::default(),
        ldap: Vec::new(),
        unattended_after: 0,
    }
}

pub(super) fn domain(created: i64, domain: &str, system: Arc<SystemName>) -> DomainFact {
    DomainFact {
        meta: meta(created, 0),
        domain: domain.into(),
        system,
        rotate_every: None,
        dns_check: true,
        messages_per_hour: None,
        limits: Limits::default(),
        selector: "mail".into(),
        published: MailDomainStatus::default(),
    }
}

pub(super) fn mailbox(created: i64, address: &str, aliases: &[&str]) -> MailboxFact {
    MailboxFact {
        meta: meta(created, 0),
        address: address.into(),
        aliases: aliases.iter().filter(|alias| **alias != address).map(|alias| Arc::from(*alias)).collect(),
        moving: Moving { keep: 90, ..Moving::default() },
        sharing: Sharing::default(),
        forward: None,
        state: MailboxState::Active,
        refusal: None,
        quota: Some(1 << 20),
        secret: None,
        apps: Box::default(),
        protocols: Box::default(),
        limits: MailboxLimits::default(),
        suspended: None,
        resume: None,
        review_by: None,
        marked: Marks::default(),
        adopt: false,
        restore_from: None,
        restored_from: None,
        shard: Some(0),
        former_shard: None,
        published: Published::default(),
    }
}

pub(super) fn served() -> (Index, Arc<SystemName>) {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_system(&name, system(0, &[]));
    index.load(&name, None);
    index.apply_domain(&key(100), domain(0, "x.vn", name.clone()));
    (index, name)
}

#[test]
fn the_older_mailbox_has_the_address_and_the_younger_is_told_who() {
    let (mut index, _) = served();
    index.apply_mailbox(&key(2), mailbox(2, "an@x.vn", &[]));
    index.apply_mailbox(&key(0), mailbox(1, "an@x.vn", &[]));
    index.settle();
    let verdict = index.verdict(&key(2)).unwrap();
    assert_eq!(
        (verdict.system, verdict.problems),
        (None, vec![Problem::AddressConflict(Claimant::Mailbox(key(0)))])
    );
    assert_eq!(index.verdict(&key(0)).unwrap().problems, []);
    index.remove_mailbox(&key(0));
    let changes = index.settle();
    assert!(changes.mailboxes.contains(&key(2)));
    assert_eq!(index.verdict(&key(2)).unwrap().problems, []);
}

#[test]
fn a_mailbox_is_served_without_the_aliases_that_it_cannot_have() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), mailbox(1, "an@x.vn", &[]));
    index.apply_mailbox(&key(2), mailbox(2, "binh@x.vn", &["an@x.vn", "b@other.vn", "b@x.vn"]));
    index.settle();
    let verdict = index.verdict(&key(2)).unwrap();
    assert_eq!(
        verdict.problems,
        [
            Problem::AliasConflict("an@x.vn".into(), Claimant::Mailbox(key(0))),
            Problem::AliasDomain("b@other.vn".into())
        ]
    );
    let compiled = index.compile(&name).unwrap();
    let entries = &compiled.shards[0].1.entries;
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["an@x.vn", "b@x.vn", "binh@x.vn"]);
}

#[test]
fn a_mailbox_before_its_system_is_served_when_the_system_appears() {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
    index.apply_domain(&key(2), domain(0, "x.vn", name.clone()));
    index.settle();
    let obstacle = Problem::Domain(Obstacle::SystemNotFound(name.clone()));
    assert_eq!(index.verdict(&key(0)).unwrap().problems, [obstacle]);
    assert!(index.apply_system(&name, system(0, &[])));
    let changes = index.settle();
    assert!(changes.mailboxes.contains(&key(0)) && changes.domains.contains(&key(2)));
    assert!(changes.asks.is_empty(), "its directory was not loaded");
    index.load(&name, None);
    assert_eq!(index.settle().asks.len(), 1);
}

#[test]
fn what_an_existing_directory_says_of_shard_and_password_is_kept() {
    let (mut index, name) = (Index::default(), system_name(0));
    index.secrets_listed();
    index.apply_system(&name, SystemFact { stores: 8, ..system(0, &[]) });
    index.apply_domain(&key(2), domain(0, "x.vn", name.clone()));
    index.apply_mailbox(&key(0), MailboxFact { shard: None, ..mailbox(0, "an@x.vn", &[]) });
    index.settle();
    let credential = Some(Credential { hash: "h".into(), source: "v1".into() });
    let entry =
        MailboxEntry { store: 7, quota: 1, credential: credential.clone(), ..MailboxEntry::default() };
    let entries = [("an@x.vn".to_owned(), Entry::Mailbox(entry))].into();
    index.load(&name, Some(Existing { shards: 4, entries, ..Existing::default() }));
    index.settle();
    assert!(!index.login_seen(&key(0), &Which::Main, "v1", None), "it is hashed already");
    index.settle();
    let compiled = index.compile(&name).unwrap();
    assert_eq!(compiled.count, 1, "one entry needs one shard");
    let Entry::Mailbox(entry) = &compiled.shards[0].1.entries["an@x.vn"] else { panic!("no mailbox") };
    assert_eq!((entry.store, &entry.credential), (7, &credential));
}

#[test]
fn a_mailbox_that_came_back_from_a_backup_gets_the_shard_that_had_its_mail_if_there_is_one() {
    let shard_of = |former_shard| {
        let (mut index, name) = served();
        index.apply_system(&name, SystemFact { stores: 8, ..system(0, &[]) });
        let fact = MailboxFact { shard: None, former_shard, ..mailbox(0, "binh@x.vn", &[]) };
        index.apply_mailbox(&key(0), fact);
        index.settle();
        index.mailbox(&key(0)).and_then(|mailbox| mailbox.fact.shard)
    };
    let chosen = shard_of(None);
    assert!(chosen.is_some());
    assert_eq!((shard_of(Some(2)), shard_of(Some(5))), (Some(2), Some(5)));
    assert_eq!(shard_of(Some(8)), chosen);
}

/// A directory in which the mailbox of `uid` was served.
fn existing(uid: &str) -> Existing {
    let entry = MailboxEntry {
        uid: uid.into(),
        object: "a/o0".into(),
        credential: Some(Credential { hash: "h".into(), source: "v1".into() }),
        ..MailboxEntry::default()
    };
    let entries = [("an@x.vn".to_owned(), Entry::Mailbox(entry))].into();
    Existing { shards: 1, entries, ..Existing::default() }
}

#[test]
fn a_predecessors_password_in_the_directory_opens_nothing() {
    for (uid, kept) in [("u0", true), ("u9", false)] {
        let (mut index, name) = (Index::default(), system_name(0));
        index.apply_system(&name, system(0, &[]));
        index.apply_domain(&key(2), domain(0, "x.vn", name.clone()));
        index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
        index.load(&name, Some(existing(uid)));
        assert_eq!(index.mailbox(&key(0)).unwrap().password.credential.is_some(), kept, "{uid}");
    }
}

#[test]
fn a_hash_of_a_former_secret_is_dropped() {
    let (mut index, _) = served();
    index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
    index.settle();
    assert!(
        index.login_seen(&key(0), &Which::Main, "v1", None)
            && index.login_seen(&key(0), &Which::Main, "v2", None)
    );
    index.login_hashed(&key(0), &Which::Main, credential("old", "v1"), None);
    assert_eq!(index.mailbox(&key(0)).unwrap().password.credential, None);
    index.login_hashed(&key(0), &Which::Main, credential("new", "v2"), None);
    assert_eq!(index.mailbox(&key(0)).unwrap().password.login, Login::Known);
}

fn credential(hash: &str, source: &str) -> Credential {
    Credential { hash: hash.into(), source: source.into() }
}

/// A mailbox whose password of print 1 was hashed from the version `v1` of its Secret, and compiled.
fn with_password() -> (Index, Arc<SystemName>) {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
    index.settle();
    assert!(index.login_seen(&key(0), &Which::Main, "v1", Some([1; 16])));
    index.login_hashed(&key(0), &Which::Main, credential("h1", "v1"), Some([1; 16]));
    assert_eq!(hash(&mut index, &name).as_deref(), Some("h1"));
    (index, name)
}

/// The hash that the directory has of the mailbox, issued anew.
fn hash(index: &mut Index, name: &SystemName) -> Option<String> {
    index.settle();
    index.rewrite(name);
    let compiled = index.compile(name).unwrap();
    let Entry::Mailbox(entry) = &compiled.shards[0].1.entries["an@x.vn"] else { panic!("no mailbox") };
    entry.credential.as_ref().map(|credential| credential.hash.clone())
}

#[test]
fn a_secret_whose_labels_alone_changed_is_not_hashed_and_nothing_is_issued() {
    let (mut index, name) = with_password();
    assert!(!index.login_seen(&key(0), &Which::Main, "v2", Some([1; 16])));
    index.settle();
    assert!(!index.system(&name).unwrap().is_dirty());
    assert_eq!(index.mailbox(&key(0)).unwrap().password.login, Login::Known);
    // After a restart the old hash turns out to fit the new version.
    assert!(index.login_seen(&key(0), &Which::Main, "v3", None));
    index.login_hashed(&key(0), &Which::Main, credential("h1", "v3"), Some([1; 16]));
    index.settle();
    assert!(!index.system(&name).unwrap().is_dirty());
}

#[test]
fn the_old_hash_serves_until_the_new_one_is_made_and_when_the_secret_is_of_no_use() {
    let (mut index, name) = with_password();
    assert!(index.login_seen(&key(0), &Which::Main, "v2", Some([2; 16])));
    assert_eq!(hash(&mut index, &name).as_deref(), Some("h1"));
    index.login_hashed(&key(0), &Which::Main, credential("h2", "v2"), Some([2; 16]));
    assert!(index.system(&name).unwrap().is_dirty());
    assert_eq!(hash(&mut index, &name).as_deref(), Some("h2"));
    for problem in [LoginProblem::NotFound, LoginProblem::KeyMissing, LoginProblem::Empty] {
        index.login_problem(&key(0), &Which::Main, problem.clone());
        assert_eq!(hash(&mut index, &name).as_deref(), Some("h2"));
        assert_eq!(index.verdict(&key(0)).unwrap().problems, [Problem::Login(problem)]);
    }
    // Another Secret that is not there yet, and then another owner.
    let other = Some(Box::new(SecretRef { name: "s".into(), key: "password".into() }));
    index.apply_mailbox(&key(0), MailboxFact { secret: other.clone(), ..mailbox(0, "an@x.vn", &[]) });
    assert_eq!(hash(&mut index, &name).as_deref(), Some("h2"));
    index.apply_mailbox(&key(0), MailboxFact { meta: meta(0, 1), ..mailbox(0, "an@x.vn", &[]) });
    assert_eq!(hash(&mut index, &name), None);
}

#[test]
fn a_version_that_cannot_be_hashed_is_told_unless_a_newer_one_came() {
    let (mut index, _) = with_password();
    let failure = || LoginProblem::Refused("no memory".into());
    assert!(
        index.login_seen(&key(0), &Which::Main, "v2", Some([2; 16]))
            && index.login_seen(&key(0), &Which::Main, "v3", Some([3; 16]))
    );
    index.login_failed(&key(0), &Which::Main, "v2", failure());
    assert_eq!(index.verdict(&key(0)).unwrap().problems, []);
    index.login_failed(&key(0), &Which::Main, "v3", failure());
    assert_eq!(index.verdict(&key(0)).unwrap().problems, [Problem::Login(failure())]);
}

#[test]
fn a_growing_directory_is_spread_over_more_shards_and_a_shrinking_one_over_fewer() {
    let (mut index, name) = served();
    let count = |index: &mut Index| {
        index.settle();
        let compiled = index.compile(&name).unwrap();
        for (shard, content) in &compiled.shards {
            assert!(content.entries.len() <= 2000);
            assert!(content.entries.keys().all(|address| shard_of(address, compiled.count) == *shard));
        }
        compiled.count
    };
    for n in 0..4100 {
        index.apply_mailbox(&key(2 * n), mailbox(0, &format!("u{n}@x.vn"), &[]));
    }
    assert_eq!(count(&mut index), 4);
    index.remove_mailbox(&key(0));
    assert_eq!(index.settle().domains.len(), 1, "the domain's count changed");
    assert_eq!(index.compile(&name).unwrap().shards.len(), 1, "one shard changed");
    for n in 0..3000 {
        index.remove_mailbox(&key(2 * n));
    }
    assert_eq!(count(&mut index), 2);
}

#[test]
fn an_entry_names_its_owner_and_adopts_only_when_that_was_asked_for() {
    let (mut index, name) = served();
    let entry = |index: &mut Index| {
        index.settle();
        let Entry::Mailbox(entry) = &index.compile(&name).unwrap().shards[0].1.entries["an@x.vn"] else {
            panic!("no mailbox")
        };
        (entry.uid.clone(), entry.adopt)
    };
    index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
    assert_eq!(entry(&mut index), ("u0".to_owned(), false));
    let remade = MailboxFact { meta: meta(1, 1), adopt: true, ..mailbox(0, "an@x.vn", &[]) };
    index.apply_mailbox(&key(0), remade.clone());
    assert_eq!(entry(&mut index), ("u1".to_owned(), true));
    index.apply_mailbox(&key(0), MailboxFact { adopt: false, ..remade });
    assert_eq!(entry(&mut index), ("u1".to_owned(), false));
    index.apply_system(&name, SystemFact { adopt: true, ..system(0, &[]) });
    assert_eq!(entry(&mut index), ("u1".to_owned(), true));
}

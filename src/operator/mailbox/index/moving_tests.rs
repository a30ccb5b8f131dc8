//! Changes of address, rule by rule.

use super::{
    tests::{domain, key, mailbox, meta, served, system, system_name},
    *,
};
use crate::directory::{Credential, Entry, MailboxEntry, Retired};

const DAY: i64 = 86_400;

/// A Mailbox whose spec names `wants`, and whose status says that it has `has`.
fn named(created: i64, uid: u8, has: &str, wants: &str) -> MailboxFact {
    let wanted = (has != wants).then(|| Arc::from(wants));
    let moving = Moving { wanted, settled: true, keep: 90, ..Moving::default() };
    MailboxFact { meta: meta(created, uid), moving, ..mailbox(created, has, &[]) }
}

fn entries(index: &mut Index, name: &SystemName) -> Vec<(String, String)> {
    index.settle();
    index.rewrite(name);
    let compiled = index.compile(name).unwrap();
    let all = compiled.shards.into_iter().flat_map(|(_, shard)| shard.entries);
    let text = |entry| match entry {
        Entry::Mailbox(entry) => entry.uid,
        Entry::Alias(target) => target,
    };
    all.map(|(address, entry)| (address, text(entry))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(address, entry)| ((*address).to_owned(), (*entry).to_owned())).collect()
}

fn problems(index: &Index, n: usize) -> Vec<Problem> {
    index.verdict(&key(n)).unwrap().problems
}

#[test]
fn a_mailbox_moves_with_its_former_address_and_nothing_departs() {
    let (mut index, name) = served();
    index.clock(1000);
    index.apply_mailbox(&key(0), mailbox(1, "an@x.vn", &["van-thu@x.vn"]));
    index.settle();
    // The event's status does not have the address yet: it was listed a moment ago.
    index.apply_mailbox(&key(0), mailbox(1, "an.le@x.vn", &["van-thu@x.vn"]));
    let changes = index.settle();
    assert!(changes.departed.is_empty() && changes.mailboxes.contains(&key(0)));
    let expected = [("an.le@x.vn", "u0"), ("an@x.vn", "an.le@x.vn"), ("van-thu@x.vn", "an.le@x.vn")];
    assert_eq!(entries(&mut index, &name), pairs(&expected));
    assert_eq!((problems(&index, 0), index.system(&name).unwrap().mailboxes), (vec![], 1));
    // A late event with the status of before the move changes nothing.
    index.apply_mailbox(
        &key(0),
        MailboxFact { aliases: ["van-thu@x.vn".into()].into(), ..named(1, 0, "an@x.vn", "an.le@x.vn") },
    );
    assert_eq!(entries(&mut index, &name), pairs(&expected));
    // And back again.
    index.apply_mailbox(&key(0), mailbox(1, "an@x.vn", &[]));
    assert_eq!(entries(&mut index, &name), pairs(&[("an.le@x.vn", "an@x.vn"), ("an@x.vn", "u0")]));
}

#[test]
fn an_older_mailbox_takes_no_address_from_who_holds_it() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "an@x.vn"));
    index.apply_mailbox(&key(2), named(2, 2, "binh@x.vn", "binh@x.vn"));
    index.settle();
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "binh@x.vn"));
    assert_eq!(entries(&mut index, &name), pairs(&[("an@x.vn", "u0"), ("binh@x.vn", "u2")]));
    assert_eq!(problems(&index, 0), [Problem::Move(Hindrance::Taken(Claimant::Mailbox(key(2))))]);
    assert_eq!(problems(&index, 2), []);
    // Nor as an alias.
    index.apply_mailbox(
        &key(0),
        MailboxFact { aliases: ["binh@x.vn".into()].into(), ..named(1, 0, "an@x.vn", "an@x.vn") },
    );
    assert_eq!(entries(&mut index, &name), pairs(&[("an@x.vn", "u0"), ("binh@x.vn", "u2")]));
    assert_eq!(problems(&index, 0), [Problem::AliasConflict("binh@x.vn".into(), Claimant::Mailbox(key(2)))]);
}

#[test]
fn an_address_with_retired_mail_is_refused_until_that_is_gone() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "an@x.vn"));
    index.apply_mailbox(&key(2), named(2, 2, "binh@x.vn", "binh@x.vn"));
    index.settle();
    index.remove_mailbox(&key(2));
    let departed = index.settle().departed.pop().unwrap();
    index.record(&name, "u2", departed.record);
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "binh@x.vn"));
    assert_eq!(entries(&mut index, &name), pairs(&[("an@x.vn", "u0")]));
    let kept = ObjectName::new("a", "o2-u2");
    assert_eq!(problems(&index, 0), [Problem::Move(Hindrance::Retired(vec![kept]))]);
    index.strike_off(&name, "u2");
    assert_eq!(entries(&mut index, &name), pairs(&[("an@x.vn", "binh@x.vn"), ("binh@x.vn", "u0")]));
    assert_eq!(problems(&index, 0), []);
}

#[test]
fn a_former_address_is_kept_from_others_for_its_time() {
    let (mut index, name) = served();
    index.clock(1000);
    index.apply_mailbox(&key(0), named(5, 0, "an@x.vn", "an.le@x.vn"));
    index.apply_mailbox(&key(2), named(1, 2, "binh@x.vn", "an@x.vn"));
    let before = pairs(&[("an.le@x.vn", "u0"), ("an@x.vn", "an.le@x.vn"), ("binh@x.vn", "u2")]);
    assert_eq!(entries(&mut index, &name), before);
    let until = 1000 + 90 * DAY;
    assert_eq!(problems(&index, 2), [Problem::Move(Hindrance::Kept(key(0), until))]);
    index.clock(until - 1);
    assert_eq!(entries(&mut index, &name), before);
    index.clock(until + 60);
    let after = pairs(&[("an.le@x.vn", "u0"), ("an@x.vn", "u2"), ("binh@x.vn", "an@x.vn")]);
    assert_eq!(entries(&mut index, &name), after);
    assert!(index.mailbox(&key(0)).unwrap().fact.moving.former.is_empty());
}

#[test]
fn a_move_that_was_issued_before_a_restart_keeps_shard_and_password() {
    let (mut index, name) = (Index::default(), system_name(0));
    index.apply_system(&name, SystemFact { stores: 8, ..system(0, &[]) });
    index.apply_domain(&key(100), domain(0, "x.vn", name.clone()));
    index.apply_mailbox(&key(0), MailboxFact { shard: None, ..named(1, 0, "an@x.vn", "an.le@x.vn") });
    index.settle();
    assert_eq!(&*index.mailbox(&key(0)).unwrap().fact.address, "an@x.vn", "records are not known yet");
    let credential = Some(Credential { hash: "h".into(), source: "v1".into() });
    let entry = MailboxEntry { uid: "u0".into(), store: 7, credential, ..MailboxEntry::default() };
    let entries = [("an.le@x.vn".to_owned(), Entry::Mailbox(entry))].into();
    index.load(&name, Some(Existing { shards: 1, entries, ..Existing::default() }));
    assert!(index.settle().departed.is_empty());
    let found = index.mailbox(&key(0)).unwrap();
    assert_eq!((&*found.fact.address, found.fact.shard), ("an.le@x.vn", Some(7)));
    assert!(found.password.credential.is_some());
}

#[test]
fn a_mailbox_leaves_a_domain_that_is_gone_for_one_of_the_system_that_has_its_mail() {
    let (mut index, name) = served();
    index.apply_domain(&key(102), domain(0, "y.vn", name.clone()));
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "an@x.vn"));
    index.settle();
    index.remove_domain(&key(100));
    let departed = index.settle().departed.pop().unwrap();
    index.record(&name, "u0", Retired { in_place: true, ..departed.record });
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "an@y.vn"));
    assert_eq!(entries(&mut index, &name), pairs(&[("an@y.vn", "u0")]));
    assert!(index.records(&name).unwrap().iter().next().is_none());
}

#[test]
fn a_domain_of_another_system_or_of_none_is_refused() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), named(1, 0, "an@x.vn", "an@y.vn"));
    let stays = pairs(&[("an@x.vn", "u0")]);
    assert_eq!(entries(&mut index, &name), stays);
    assert_eq!(problems(&index, 0), [Problem::Move(Hindrance::Domain(Obstacle::DomainNotFound))]);
    let other = system_name(1);
    index.apply_system(&other, system(1, &["a"]));
    index.load(&other, None);
    index.apply_domain(&key(102), domain(0, "y.vn", other.clone()));
    assert_eq!(entries(&mut index, &name), stays);
    assert_eq!(problems(&index, 0), [Problem::Move(Hindrance::OtherSystem(other))]);
}

//! Members of mailboxes, rule by rule.

use super::{
    members::Member,
    tests::{domain, key, mailbox, meta, served},
    *,
};
use crate::{
    api::{MailboxState, MailboxType, MemberRight},
    directory::{Entry, MailboxEntry},
};

const READ: &[MemberRight] = &[MemberRight::Read];

fn unit(created: i64, uid: u8, address: &str, members: &[(&str, &[MemberRight])]) -> MailboxFact {
    let member = |(address, rights): &(&str, &[MemberRight])| Member {
        address: Arc::from(*address),
        rights: rights.iter().copied().collect(),
    };
    let members = members.iter().map(member).collect();
    let sharing = Sharing { kind: MailboxType::Unit, members, ..Sharing::default() };
    MailboxFact { meta: meta(created, uid), sharing, ..mailbox(created, address, &[]) }
}

fn person(uid: u8, address: &str) -> MailboxFact {
    MailboxFact { meta: meta(5, uid), ..mailbox(5, address, &[]) }
}

fn entry(index: &mut Index, name: &SystemName, address: &str) -> MailboxEntry {
    index.settle();
    index.rewrite(name);
    match &index.compile(name).unwrap().shards[0].1.entries[address] {
        Entry::Mailbox(entry) => entry.clone(),
        Entry::Alias(target) => panic!("an alias of {target}"),
    }
}

fn shares(index: &mut Index, name: &SystemName) -> Vec<String> {
    entry(index, name, "vt@x.vn").shares.into_iter().map(|share| share.address).collect()
}

fn problems(index: &Index) -> Vec<Problem> {
    index.verdict(&key(0)).unwrap().problems
}

#[test]
fn a_member_that_is_missing_is_told_of_and_gets_its_rights_when_it_appears() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[("an@x.vn", READ), ("binh@x.vn", READ)]));
    index.apply_mailbox(&key(2), person(2, "an@x.vn"));
    assert_eq!(shares(&mut index, &name), ["an@x.vn"]);
    assert_eq!(problems(&index), [Problem::Member(MemberProblem::NotFound("binh@x.vn".into()))]);
    index.apply_mailbox(&key(4), MailboxFact { aliases: ["binh@x.vn".into()].into(), ..person(4, "b@x.vn") });
    let changes = index.settle();
    assert!(changes.mailboxes.contains(&key(0)));
    assert_eq!(shares(&mut index, &name), ["an@x.vn", "b@x.vn"], "an alias is an address, too");
    assert_eq!(problems(&index), []);
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[("binh@x.vn", READ)]));
    assert_eq!(shares(&mut index, &name), ["b@x.vn"]);
}

#[test]
fn a_member_keeps_its_rights_under_another_address_and_a_successor_gets_none() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[("an@x.vn", READ)]));
    index.apply_mailbox(&key(2), person(2, "an@x.vn"));
    index.settle();
    index.apply_mailbox(&key(2), person(2, "an.le@x.vn"));
    assert_eq!(shares(&mut index, &name), ["an.le@x.vn"]);
    assert_eq!(problems(&index), []);
    // She goes; somebody else gets the address under which she was made a member.
    index.remove_mailbox(&key(2));
    index.settle();
    index.apply_mailbox(&key(4), person(4, "an@x.vn"));
    assert_eq!(shares(&mut index, &name), Vec::<String>::new());
    let replaced = MemberProblem::Replaced("an@x.vn".into(), key(2), key(4));
    assert_eq!(problems(&index), [Problem::Member(replaced)]);
    // Taken out and put in again, the newcomer is meant.
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[]));
    index.settle();
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[("an@x.vn", READ)]));
    assert_eq!(shares(&mut index, &name), ["an@x.vn"]);
    assert_eq!(problems(&index), []);
}

#[test]
fn what_status_remembers_holds_after_a_restart() {
    let (mut index, name) = served();
    let mut fact = unit(1, 0, "vt@x.vn", &[("an@x.vn", READ)]);
    fact.sharing.bound = [Bound { address: "an@x.vn".into(), key: key(2), uid: "u2".into() }].into();
    index.apply_mailbox(&key(0), fact);
    index.apply_mailbox(&key(2), person(9, "an@x.vn"));
    assert_eq!(shares(&mut index, &name), Vec::<String>::new());
    assert!(matches!(*problems(&index), [Problem::Member(MemberProblem::Replaced(..))]));
}

#[test]
fn a_mailbox_that_is_closed_is_closed_to_its_members() {
    let (mut index, name) = served();
    let fact = unit(1, 0, "vt@x.vn", &[("an@x.vn", READ)]);
    index.apply_mailbox(&key(2), person(2, "an@x.vn"));
    index.apply_mailbox(&key(0), fact.clone());
    assert_eq!(shares(&mut index, &name), ["an@x.vn"]);
    index.apply_mailbox(&key(0), MailboxFact { state: MailboxState::Suspended, ..fact });
    assert_eq!(shares(&mut index, &name), Vec::<String>::new());
}

#[test]
fn it_is_kept_where_its_first_member_is_and_who_is_elsewhere_is_told_of() {
    let (mut index, name) = served();
    index.apply_domain(&key(100), domain(0, "x.vn", name.clone()));
    let at = |uid, address, shard| MailboxFact { shard: Some(shard), ..person(uid, address) };
    index.apply_mailbox(&key(2), at(2, "an@x.vn", 7));
    index.apply_mailbox(&key(4), at(4, "binh@x.vn", 3));
    let send = &[MemberRight::SendAs];
    let fact = unit(1, 0, "vt@x.vn", &[("an@x.vn", READ), ("binh@x.vn", READ)]);
    index.apply_mailbox(&key(0), MailboxFact { shard: None, ..fact });
    assert_eq!(entry(&mut index, &name, "vt@x.vn").store, 7);
    assert_eq!(problems(&index), [Problem::Member(MemberProblem::Elsewhere("binh@x.vn".into(), 3, 7))]);
    index.apply_mailbox(&key(0), unit(1, 0, "vt@x.vn", &[("an@x.vn", READ), ("binh@x.vn", send)]));
    index.settle();
    assert_eq!(problems(&index), [], "who only sends needs not see it");
}

#[test]
fn nobody_logs_in_to_a_shared_mailbox() {
    let (mut index, name) = served();
    let mut fact = unit(1, 0, "vt@x.vn", &[]);
    index.apply_mailbox(&key(0), fact.clone());
    assert_eq!(index.settle().asks.len(), 1);
    let credential = crate::directory::Credential { hash: "h".into(), source: "s".into() };
    index.login_hashed(&key(0), &Which::Main, credential, None);
    assert!(entry(&mut index, &name, "vt@x.vn").credential.is_some());
    fact.sharing.kind = MailboxType::Shared;
    index.apply_mailbox(&key(0), fact.clone());
    assert!(index.settle().asks.is_empty());
    assert!(entry(&mut index, &name, "vt@x.vn").credential.is_none());
    assert_eq!(index.mailbox(&key(0)).unwrap().password.login, Login::Known);
    fact.sharing.kind = MailboxType::Unit;
    index.apply_mailbox(&key(0), fact);
    assert_eq!(index.settle().asks.len(), 1, "it has a log-in again");
}

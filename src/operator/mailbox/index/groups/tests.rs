//! Groups, rule by rule.

use std::collections::BTreeMap;

use super::{
    super::{
        DomainFact, Existing, Hindrance, Mailbox, MailboxFact, Moving, Obstacle, Problem,
        tests::{domain, key, mailbox, meta, served, system_name},
    },
    *,
};
use crate::{
    api::{MailGroupStatus, Posting},
    directory::{Refusal, Retired},
};

pub(in super::super) fn group(created: i64, uid: u8, address: &str, members: &[&str]) -> GroupFact {
    let mut members: Vec<Arc<str>> = members.iter().map(|member| Arc::from(*member)).collect();
    members.sort();
    GroupFact {
        meta: meta(created, uid),
        address: address.into(),
        aliases: Box::default(),
        members: members.into(),
        external: false,
        posting: Posting::System,
        senders: Box::default(),
        owners: Box::default(),
        has_address: false,
        published: MailGroupStatus::default(),
    }
}

pub(super) fn person(uid: u8, address: &str) -> MailboxFact {
    MailboxFact { meta: meta(i64::from(uid), uid), ..mailbox(1, address, &[]) }
}

/// Whom each group of the directory reaches.
pub(super) fn reached(index: &mut Index, name: &SystemName) -> BTreeMap<String, Vec<String>> {
    index.settle();
    index.rewrite(name);
    let shards = index.compile(name).unwrap().shards;
    let all = shards.into_iter().flat_map(|(_, shard)| shard.groups);
    all.map(|(address, group)| (address, group.recipients)).collect()
}

pub(super) fn problems(index: &Index, n: usize) -> Vec<GroupProblem> {
    index.group_verdict(&key(n)).unwrap().problems
}

fn some(addresses: &[&str]) -> Vec<Arc<str>> {
    addresses.iter().map(|address| Arc::from(*address)).collect()
}

#[test]
fn each_mailbox_is_reached_once_by_whatever_address_and_by_way_of_whatever_group() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), MailboxFact { aliases: ["a@x.vn".into()].into(), ..person(1, "an@x.vn") });
    index.apply_mailbox(&key(2), person(2, "binh@x.vn"));
    index.apply_group(&key(10), group(1, 10, "trong@x.vn", &["binh@x.vn", "an@x.vn"]));
    index.apply_group(&key(12), group(2, 12, "ngoai@x.vn", &["a@x.vn", "an@x.vn", "trong@x.vn"]));
    let all = reached(&mut index, &name);
    assert_eq!(all["ngoai@x.vn"], ["an@x.vn", "binh@x.vn"]);
    assert_eq!((problems(&index, 10), problems(&index, 12)), (vec![], vec![]));
    assert_eq!(index.system(&name).unwrap().mailboxes, 2, "a group is no mailbox");

    // What changes inside changes outside.
    index.apply_mailbox(&key(4), person(4, "chi@x.vn"));
    index.apply_group(&key(10), group(1, 10, "trong@x.vn", &["chi@x.vn"]));
    index.settle();
    let compiled = index.compile(&name).unwrap();
    assert_eq!(compiled.shards[0].1.groups["ngoai@x.vn"].recipients, ["an@x.vn", "chi@x.vn"]);
    index.remove_group(&key(10));
    assert_eq!(reached(&mut index, &name).keys().collect::<Vec<_>>(), ["ngoai@x.vn"]);
    assert_eq!(problems(&index, 12), [GroupProblem::Unknown(some(&["trong@x.vn"]))]);
}

#[test]
fn a_loop_ends_and_reaches_everybody_in_it() {
    let (mut index, name) = served();
    for (n, address) in [(0, "an@x.vn"), (2, "binh@x.vn"), (4, "chi@x.vn")] {
        index.apply_mailbox(&key(n), person(u8::try_from(n).unwrap(), address));
    }
    index.apply_group(&key(10), group(1, 10, "a@x.vn", &["an@x.vn", "b@x.vn"]));
    index.apply_group(&key(12), group(2, 12, "b@x.vn", &["binh@x.vn", "c@x.vn"]));
    index.apply_group(&key(14), group(3, 14, "c@x.vn", &["chi@x.vn", "a@x.vn"]));
    index.apply_group(&key(16), group(4, 16, "d@x.vn", &["a@x.vn"]));
    let all = reached(&mut index, &name);
    for address in ["a@x.vn", "b@x.vn", "c@x.vn", "d@x.vn"] {
        assert_eq!(all[address], ["an@x.vn", "binh@x.vn", "chi@x.vn"], "{address}");
    }
    assert_eq!(problems(&index, 10), [GroupProblem::Loop(vec![key(10), key(12), key(14)])]);
    assert_eq!(problems(&index, 14), [GroupProblem::Loop(vec![key(14), key(10), key(12)])]);
    assert_eq!(problems(&index, 16), [], "it leads into the loop and is not in it");
    index.apply_group(&key(14), group(3, 14, "c@x.vn", &["chi@x.vn"]));
    index.settle();
    assert_eq!((problems(&index, 10), problems(&index, 12)), (vec![], vec![]));
}

#[test]
fn who_is_not_there_or_takes_no_mail_is_named_and_takes_nothing_from_the_others() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    let closed = MailboxFact { refusal: Some(Refusal::Retired(None)), ..person(2, "cu@x.vn") };
    index.apply_mailbox(&key(2), closed);
    let members = ["an@x.vn", "cu@x.vn", "khong@x.vn", "dan@example.com"];
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &members));
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"], ["an@x.vn"]);
    let expected = [
        GroupProblem::Unknown(some(&["khong@x.vn"])),
        GroupProblem::Closed(some(&["cu@x.vn"])),
        GroupProblem::Outside(some(&["dan@example.com"])),
    ];
    assert_eq!(problems(&index, 10), expected);

    index.apply_mailbox(&key(2), person(2, "cu@x.vn"));
    index.apply_mailbox(&key(4), person(4, "khong@x.vn"));
    index.apply_group(&key(10), GroupFact { external: true, ..group(1, 10, "nhom@x.vn", &members) });
    let all = ["an@x.vn", "cu@x.vn", "dan@example.com", "khong@x.vn"];
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"], all);
    assert_eq!(problems(&index, 10), []);
    // A domain that becomes one of the system is not outside any more, and one that leaves it is.
    index.apply_domain(&key(102), domain(1, "example.com", name.clone()));
    index.settle();
    assert_eq!(problems(&index, 10), [GroupProblem::Unknown(some(&["dan@example.com"]))]);
    index.remove_domain(&key(102));
    index.settle();
    assert_eq!(problems(&index, 10), []);
}

#[test]
fn a_group_that_reaches_nobody_or_too_many_is_there_and_its_mail_waits() {
    let (mut index, name) = served();
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &["khong@x.vn"]));
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"], [] as [&str; 0]);
    assert_eq!(problems(&index, 10)[0], GroupProblem::NoMembers);
    for n in 0..=u8::try_from(MOST / 1000).unwrap() {
        let members: Vec<String> = (0..1000).map(|m| format!("u{m}@s{n}.vn")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let fact = GroupFact { external: true, ..group(2, 20 + n, &format!("n{n}@x.vn"), &members) };
        index.apply_group(&key(20 + 2 * usize::from(n)), fact);
    }
    let inner = ["n0@x.vn", "n1@x.vn", "n2@x.vn", "n3@x.vn", "n4@x.vn"];
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &inner));
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"].len(), MOST);
    assert_eq!(problems(&index, 10), []);
    assert!(index.system(&name).unwrap().count() > 1, "much to write is spread over shards");
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &[&inner[..], &["n5@x.vn"]].concat()));
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"], [] as [&str; 0]);
    assert_eq!(problems(&index, 10), [GroupProblem::TooMany(MOST + 1000)]);
}

#[test]
fn of_mailboxes_and_groups_that_claim_an_address_the_oldest_has_it() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), MailboxFact { aliases: ["b@x.vn".into()].into(), ..person(5, "a@x.vn") });
    index.apply_group(&key(10), group(3, 10, "b@x.vn", &["a@x.vn"]));
    index.apply_group(&key(12), group(7, 12, "a@x.vn", &["b@x.vn"]));
    index.apply_group(&key(14), group(4, 14, "b@x.vn", &["a@x.vn"]));
    assert_eq!(reached(&mut index, &name).keys().collect::<Vec<_>>(), ["b@x.vn"]);
    let verdict = index.verdict(&key(0)).unwrap();
    assert_eq!(verdict.problems, [Problem::AliasConflict("b@x.vn".into(), Claimant::Group(key(10)))]);
    assert_eq!(problems(&index, 12), [GroupProblem::AddressConflict(Claimant::Mailbox(key(0)))]);
    assert_eq!(problems(&index, 14), [GroupProblem::AddressConflict(Claimant::Group(key(10)))]);
    assert_eq!(Claimant::Group(key(10)).to_string(), "MailGroup a/o10");
    index.remove_group(&key(10));
    index.settle();
    assert_eq!(problems(&index, 14), [], "the next one");
    index.remove_group(&key(14));
    index.settle();
    assert_eq!(index.verdict(&key(0)).unwrap().problems, []);
}

#[test]
fn nobody_takes_an_address_from_a_group_that_has_it_and_a_group_takes_none() {
    let (mut index, name) = served();
    index.apply_group(&key(10), GroupFact { has_address: true, ..group(9, 10, "nhom@x.vn", &["an@x.vn"]) });
    let moving = Moving { settled: true, keep: 90, ..Moving::default() };
    index.apply_mailbox(&key(0), MailboxFact { moving: moving.clone(), ..person(5, "an@x.vn") });
    index.settle();
    let wanted = Moving { wanted: Some("nhom@x.vn".into()), ..moving };
    index.apply_mailbox(&key(0), MailboxFact { moving: wanted, ..person(5, "an@x.vn") });
    assert_eq!(reached(&mut index, &name)["nhom@x.vn"], ["an@x.vn"]);
    let taken = Problem::Move(Hindrance::Taken(Claimant::Group(key(10))));
    assert_eq!(index.verdict(&key(0)).unwrap().problems, [taken]);
    index.apply_mailbox(&key(2), person(1, "nhom@x.vn"));
    index.settle();
    let conflict = Problem::AddressConflict(Claimant::Group(key(10)));
    assert_eq!(index.verdict(&key(2)).unwrap().problems, [conflict]);
    // The other way round: an older group that takes another address.
    let group = GroupFact { has_address: true, ..group(1, 12, "cu@x.vn", &["an@x.vn"]) };
    index.apply_group(&key(12), group.clone());
    index.settle();
    index.apply_group(&key(12), GroupFact { address: "an@x.vn".into(), has_address: false, ..group });
    index.settle();
    assert_eq!(problems(&index, 12), [GroupProblem::AddressConflict(Claimant::Mailbox(key(0)))]);
    // With the group gone the mailbox gets the address that it waits for.
    index.remove_group(&key(10));
    index.remove_mailbox(&key(2));
    index.settle();
    assert_eq!(index.mailbox(&key(0)).map(|it: &Mailbox| &*it.fact.address), Some("nhom@x.vn"));
}

#[test]
fn a_group_waits_while_a_mailboxs_mail_is_kept_under_its_address_and_leaves_none_itself() {
    let (mut index, name) = served();
    let record = Retired {
        address: "nhom@x.vn".into(),
        store: 0,
        quota: 1,
        namespace: "a".into(),
        name: "cu".into(),
        since: 0,
        until: 0,
        in_place: false,
        confirmed: false,
        purge: false,
    };
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &["an@x.vn"]));
    index.apply_group(&key(12), group(1, 12, "ngoai@x.vn", &["nhom@x.vn", "an@x.vn"]));
    index.settle();
    index.record(&name, "u99", record);
    assert_eq!(reached(&mut index, &name).keys().collect::<Vec<_>>(), ["ngoai@x.vn"]);
    assert!(matches!(&problems(&index, 10)[..], [GroupProblem::AddressRetired(names)] if names.len() == 1));
    assert_eq!(problems(&index, 12), [GroupProblem::Unknown(some(&["nhom@x.vn"]))]);
    index.strike_off(&name, "u99");
    assert_eq!(reached(&mut index, &name).len(), 2);
    assert_eq!((problems(&index, 10), problems(&index, 12)), (vec![], vec![]));
    index.remove_group(&key(10));
    assert!(index.settle().departed.is_empty());
    index.apply_mailbox(&key(2), person(2, "nhom@x.vn"));
    index.settle();
    assert_eq!(index.verdict(&key(2)).unwrap().problems, [], "the address is free at once");
}

#[test]
fn a_group_follows_its_domain_and_its_members_wherever_they_move() {
    let (mut index, name) = served();
    index.apply_group(&key(10), group(1, 10, "nhom@y.vn", &["an@x.vn"]));
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    index.settle();
    assert_eq!(problems(&index, 10), [GroupProblem::Domain(Obstacle::DomainNotFound)]);
    index.apply_domain(&key(102), domain(1, "y.vn", name.clone()));
    assert_eq!(reached(&mut index, &name)["nhom@y.vn"], ["an@x.vn"]);
    let moved = Moving { wanted: Some("an.le@x.vn".into()), keep: 90, ..Moving::default() };
    index.apply_mailbox(&key(0), MailboxFact { moving: moved, ..person(1, "an@x.vn") });
    assert_eq!(reached(&mut index, &name)["nhom@y.vn"], ["an.le@x.vn"], "by its former address");
    index.remove_domain(&key(102));
    assert!(reached(&mut index, &name).is_empty());
    // Another system's domain of the same name is no home.
    index.apply_domain(&key(102), DomainFact { system: system_name(1), ..domain(1, "y.vn", name.clone()) });
    index.settle();
    assert!(matches!(&problems(&index, 10)[..], [GroupProblem::Domain(Obstacle::SystemNotFound(_))]));
}

#[test]
fn what_an_unreadable_group_was_it_stays_also_after_a_restart() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    let senders = [Arc::from("@bo.gov.vn")].into();
    let fact = GroupFact { senders, posting: Posting::Members, ..group(9, 10, "nhom@x.vn", &["an@x.vn"]) };
    index.apply_group(&key(10), fact);
    let all = reached(&mut index, &name);
    index.rewrite(&name);
    let shard = index.compile(&name).unwrap().shards.remove(0).1;
    index.group_unreadable(&key(10), &meta(9, 10));
    assert_eq!(reached(&mut index, &name), all);

    let (mut again, _) = served();
    again.remove_system(&name);
    again.apply_system(&name, super::super::tests::system(0, &[]));
    again.group_unreadable(&key(10), &meta(9, 10));
    // Older, and after the same address.
    again.apply_mailbox(&key(0), person(1, "nhom@x.vn"));
    again.settle();
    let existing =
        Existing { shards: 1, groups: shard.groups.clone().into_iter().collect(), ..Existing::default() };
    again.load(&name, Some(existing));
    again.settle();
    let content = again.compile(&name).unwrap().shards.remove(0).1;
    assert_eq!(content.groups, shard.groups);
    let conflict = Problem::AddressConflict(Claimant::Group(key(10)));
    assert_eq!(again.verdict(&key(0)).unwrap().problems, [conflict]);
    assert_eq!(again.group_keys(), [key(10)]);
    again.remove_group(&key(10));
    assert!(reached(&mut again, &name).is_empty());
    assert_eq!(again.verdict(&key(0)).unwrap().problems, []);
}

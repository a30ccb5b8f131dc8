//! Forwards to groups, rule by rule, and what Postfix would make of any directory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    groups::tests::group,
    tests::{key, mailbox, meta, served},
    *,
};
use crate::directory::{Entry, Refusal, Shard};

fn person(uid: u8, address: &str, to: Option<(&str, bool)>) -> MailboxFact {
    let forward = to.map(|(to, copy)| Wish { to: to.into(), copy });
    MailboxFact { meta: meta(i64::from(uid), uid), forward, ..mailbox(1, address, &[]) }
}

fn shard(index: &mut Index, name: &SystemName) -> Shard {
    index.settle();
    index.rewrite(name);
    let shards = index.compile(name).unwrap().shards;
    let (entries, groups) = shards.into_iter().map(|(_, shard)| (shard.entries, shard.groups)).unzip();
    let (entries, groups): (Vec<_>, Vec<_>) = (entries, groups);
    Shard {
        entries: entries.into_iter().flatten().collect(),
        groups: groups.into_iter().flatten().collect(),
        ..Shard::default()
    }
}

/// Where the mail of an address goes.
fn way(index: &mut Index, name: &SystemName, address: &str) -> Option<String> {
    match &shard(index, name).entries[address] {
        Entry::Mailbox(entry) => entry.forward.as_ref().map(|forward| forward.to.clone()),
        Entry::Alias(own) => panic!("an alias of {own}"),
    }
}

fn problem(index: &Index, n: usize) -> Option<ForwardProblem> {
    let problems = index.verdict(&key(n)).unwrap().problems;
    problems.into_iter().find_map(|problem| match problem {
        Problem::Forward(problem) => Some(problem),
        _ => None,
    })
}

#[test]
fn mail_goes_to_a_group_by_any_of_its_addresses_and_follows_it() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn", Some(("n@x.vn", true))));
    index.apply_mailbox(&key(2), person(2, "binh@x.vn", None));
    assert_eq!(way(&mut index, &name, "an@x.vn"), None);
    assert_eq!(problem(&index, 0), Some(ForwardProblem::NotFound("n@x.vn".into())));
    let fact = group(1, 10, "nhom@x.vn", &["binh@x.vn"]);
    index.apply_group(&key(10), GroupFact { aliases: ["n@x.vn".into()].into(), ..fact.clone() });
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("nhom@x.vn"));
    assert_eq!(problem(&index, 0), None);
    let moved = GroupFact { address: "moi@x.vn".into(), aliases: ["n@x.vn".into()].into(), ..fact.clone() };
    index.apply_group(&key(10), moved);
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("moi@x.vn"));
    index.apply_group(&key(10), fact);
    assert_eq!(way(&mut index, &name, "an@x.vn"), None, "the alias is gone");
    index.apply_mailbox(&key(0), person(1, "an@x.vn", Some(("nhom@x.vn", false))));
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("nhom@x.vn"));
    index.remove_group(&key(10));
    assert_eq!(way(&mut index, &name, "an@x.vn"), None);
}

#[test]
fn mail_stays_where_a_group_reaches_nobody_or_leads_outside() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn", Some(("nhom@x.vn", true))));
    index.apply_mailbox(&key(2), person(2, "binh@x.vn", None));
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &["khong@x.vn"]));
    assert_eq!(way(&mut index, &name, "an@x.vn"), None);
    assert_eq!(problem(&index, 0), Some(ForwardProblem::GroupWaits("nhom@x.vn".into())));
    let members = ["binh@x.vn", "dan@example.com"];
    let fact = GroupFact { external: true, ..group(1, 12, "trong@x.vn", &members) };
    index.apply_group(&key(12), fact.clone());
    index.apply_group(&key(10), group(1, 10, "nhom@x.vn", &["trong@x.vn"]));
    assert_eq!(way(&mut index, &name, "an@x.vn"), None, "a group within has somebody outside");
    assert_eq!(problem(&index, 0), Some(ForwardProblem::GroupLeaves("nhom@x.vn".into())));
    index.apply_group(&key(12), GroupFact { external: false, ..fact });
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("nhom@x.vn"), "who is not reached");
    index.apply_mailbox(
        &key(2),
        MailboxFact { refusal: Some(Refusal::Suspended), ..person(2, "binh@x.vn", None) },
    );
    assert_eq!(way(&mut index, &name, "an@x.vn"), None);
}

#[test]
fn a_member_of_a_group_does_not_forward_to_it_by_whatever_way() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn", Some(("ngoai@x.vn", true))));
    index.apply_mailbox(&key(2), person(2, "binh@x.vn", None));
    index.apply_group(&key(10), group(1, 10, "trong@x.vn", &["binh@x.vn"]));
    index.apply_group(&key(12), group(1, 12, "ngoai@x.vn", &["trong@x.vn"]));
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("ngoai@x.vn"));
    // A member of the group within forwards back.
    index.apply_mailbox(&key(2), person(2, "binh@x.vn", Some(("an@x.vn", true))));
    for (n, address) in [(0, "an@x.vn"), (2, "binh@x.vn")] {
        assert_eq!(way(&mut index, &name, address), None, "{address}");
        let problem = problem(&index, n);
        assert!(matches!(problem, Some(ForwardProblem::GroupLoop(_))), "{problem:?}");
    }
    index.apply_mailbox(&key(2), person(2, "binh@x.vn", None));
    assert_eq!(way(&mut index, &name, "an@x.vn").as_deref(), Some("ngoai@x.vn"));
    // It becomes a member itself.
    index.apply_group(&key(10), group(1, 10, "trong@x.vn", &["binh@x.vn", "an@x.vn"]));
    assert_eq!(way(&mut index, &name, "an@x.vn"), None);
    assert_eq!(shard(&mut index, &name).groups["ngoai@x.vn"].recipients, ["an@x.vn", "binh@x.vn"]);
    // Others who forward to a group with a loop in it are not held up by that.
    index.apply_mailbox(&key(4), person(4, "chi@x.vn", Some(("ngoai@x.vn", true))));
    assert_eq!(way(&mut index, &name, "chi@x.vn").as_deref(), Some("ngoai@x.vn"));
}

#[test]
fn a_group_whose_members_forward_to_too_many_waits_as_one_that_reaches_too_many() {
    let (mut index, name) = served();
    // 101 mailboxes, each of which forwards to a group of 100.
    let inner: Vec<String> = (0..100).map(|n| format!("u{n}@x.vn")).collect();
    let outer: Vec<String> = (0..101).map(|n| format!("v{n}@x.vn")).collect();
    for (n, address) in inner.iter().enumerate() {
        index.apply_mailbox(&key(1000 + 2 * n), person(1, address, None));
    }
    for (n, address) in outer.iter().enumerate() {
        index.apply_mailbox(&key(2000 + 2 * n), person(1, address, Some(("trong@x.vn", false))));
    }
    let all = |of: &[String], less: usize| {
        let members: Vec<&str> = of[..of.len() - less].iter().map(String::as_str).collect();
        group(1, 12, "ngoai@x.vn", &members)
    };
    let members: Vec<&str> = inner.iter().map(String::as_str).collect();
    index.apply_group(&key(10), group(1, 10, "trong@x.vn", &members));
    index.apply_group(&key(12), all(&outer, 1));
    assert_eq!(shard(&mut index, &name).groups["ngoai@x.vn"].recipients.len(), 100);
    assert_eq!(index.group_verdict(&key(12)).unwrap().problems, []);
    index.apply_group(&key(12), all(&outer, 0));
    assert_eq!(shard(&mut index, &name).groups["ngoai@x.vn"].recipients.len(), 0);
    let problems = index.group_verdict(&key(12)).unwrap().problems;
    assert_eq!(problems, [GroupProblem::Expands(EXPANDED + 1)]);
    // Two of them stop, which is no change of the group.
    for n in [0, 1] {
        index.apply_mailbox(&key(2000 + 2 * n), person(1, &outer[n], None));
    }
    index.settle();
    let changed = index.compile(&name).unwrap().shards;
    assert!(
        changed
            .iter()
            .any(|(_, shard)| shard.groups.get("ngoai@x.vn").is_some_and(|it| it.recipients.len() == 101))
    );
    assert_eq!(index.group_verdict(&key(12)).unwrap().problems, []);
}

#[test]
fn a_member_that_forwards_back_holds_nobody_up() {
    let (mut index, name) = served();
    let all: Vec<String> = (0..2000).map(|n| format!("u{n}@x.vn")).collect();
    for (n, address) in all.iter().enumerate() {
        let to = (n == 7).then_some(("nhom@x.vn", true));
        index.apply_mailbox(&key(1000 + 2 * n), person(1, address, to));
    }
    let members: Vec<&str> = all.iter().map(String::as_str).collect();
    // A list has a thousand members.
    index.apply_group(&key(10), group(1, 10, "mot@x.vn", &members[..1000]));
    index.apply_group(&key(12), group(1, 12, "hai@x.vn", &members[1000..]));
    index.apply_group(&key(14), group(1, 14, "nhom@x.vn", &["mot@x.vn", "hai@x.vn"]));
    assert_eq!(shard(&mut index, &name).groups["nhom@x.vn"].recipients.len(), 2000);
    assert_eq!(index.group_verdict(&key(14)).unwrap().problems, []);
    assert!(matches!(problem(&index, 1014), Some(ForwardProblem::GroupLoop(_))));
}

/// What Postfix makes of an address: it replaces each by what it leads to, one that leads to itself once, and gives up on a
/// circle or on too many.
fn postfix(shard: &Shard, address: &str) -> Option<BTreeSet<String>> {
    let mut list = vec![address.to_owned()];
    let mut done = BTreeSet::new();
    let mut at = 0;
    while at < list.len() {
        for count in 0.. {
            if count == 1000 || list.len() > 12_000 {
                return None;
            }
            let address = list[at].clone();
            if done.contains(&address) {
                break;
            }
            let targets = match (shard.entries.get(&address), shard.groups.get(&address)) {
                (Some(Entry::Alias(own)), _) => vec![own.clone()],
                (Some(Entry::Mailbox(entry)), _) => match &entry.forward {
                    Some(forward) if forward.copy => vec![address.clone(), forward.to.clone()],
                    Some(forward) => vec![forward.to.clone()],
                    None => break,
                },
                (None, Some(group)) => group.recipients.clone(),
                (None, None) => break,
            };
            if targets.contains(&address) {
                done.insert(address);
            }
            let mut targets = targets.into_iter();
            // A group that reaches nobody is answered with a temporary error.
            list[at] = targets.next()?;
            list.extend(targets);
        }
        at += 1;
    }
    Some(list.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    "[a-g]@x[.]vn"
}

type World = (BTreeMap<String, (Option<String>, bool)>, BTreeMap<String, BTreeSet<String>>);

fn world() -> impl Strategy<Value = World> {
    let forward = (proptest::option::weighted(0.7, "[a-gm-p]@x[.]vn"), any::<bool>());
    let mailboxes = proptest::collection::btree_map(name(), forward, 1..7);
    let members = proptest::collection::btree_set("[a-gm-p]@x[.]vn", 1..4);
    (mailboxes, proptest::collection::btree_map("[m-p]@x[.]vn", members, 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn postfix_never_comes_to_a_circle_and_ends_at_mailboxes_whatever_order_events_have(
        (mailboxes, groups) in world(), other in world(), backwards in any::<bool>()
    ) {
        let (mut index, name) = served();
        let number = |address: &str| usize::from(address.as_bytes()[0]) * 2;
        let apply = |index: &mut Index, (mailboxes, groups): &World| {
            for (address, (to, copy)) in mailboxes {
                let to = to.as_deref().filter(|to| to != address).map(|to| (to, *copy));
                index.apply_mailbox(&key(number(address)), person(address.as_bytes()[0], address, to));
            }
            for (address, members) in groups {
                let members: Vec<&str> = members.iter().map(String::as_str).collect();
                let uid = address.as_bytes()[0];
                index.apply_group(&key(number(address)), group(i64::from(uid), uid, address, &members));
            }
        };
        // What was there before leaves nothing behind.
        apply(&mut index, &other);
        index.settle();
        for address in other.0.keys().filter(|it| !mailboxes.contains_key(*it)) {
            index.remove_mailbox(&key(number(address)));
        }
        for address in other.1.keys().filter(|it| !groups.contains_key(*it)) {
            index.remove_group(&key(number(address)));
        }
        if backwards {
            index.settle();
        }
        let wanted = (mailboxes, groups);
        apply(&mut index, &wanted);
        let found = shard(&mut index, &name);

        let (mut fresh, _) = served();
        for address in wanted.1.keys().rev() {
            let one = (BTreeMap::new(), BTreeMap::from([(address.clone(), wanted.1[address].clone())]));
            apply(&mut fresh, &one);
        }
        for address in wanted.0.keys().rev() {
            let one = (BTreeMap::from([(address.clone(), wanted.0[address].clone())]), BTreeMap::new());
            apply(&mut fresh, &one);
            fresh.settle();
        }
        prop_assert_eq!(&found.entries, &shard(&mut fresh, &name).entries);
        prop_assert_eq!(&found.groups, &shard(&mut fresh, &name).groups);

        for address in wanted.0.keys() {
            let Some(ends) = postfix(&found, address) else { panic!("{address} comes to a circle: {found:?}") };
            prop_assert!(!ends.is_empty() && ends.iter().all(|end| wanted.0.contains_key(end)), "{:?}", ends);
        }
        for (address, group) in &found.groups {
            let ends = postfix(&found, address);
            prop_assert_eq!(ends.is_some(), !group.recipients.is_empty(), "{} {:?}", address, found);
            prop_assert!(ends.iter().flatten().all(|end| wanted.0.contains_key(end)));
        }
    }
}

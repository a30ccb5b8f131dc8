//! Other addresses of groups, rule by rule.

use std::collections::BTreeMap;

use super::{
    super::{
        Existing, MailboxFact, Problem,
        tests::{domain, key, meta, served, system},
    },
    tests::{group, person, problems, reached},
    *,
};
use crate::directory::Retired;

/// The same, reached by these addresses, too.
fn with_aliases(fact: GroupFact, aliases: &[&str]) -> GroupFact {
    GroupFact { aliases: aliases.iter().map(|alias| Arc::from(*alias)).collect(), ..fact }
}

/// The other addresses of mailboxes and groups in the directory.
fn aliases(index: &mut Index, name: &SystemName) -> BTreeMap<String, String> {
    index.settle();
    index.rewrite(name);
    let shards = index.compile(name).unwrap().shards;
    let all = shards.into_iter().flat_map(|(_, shard)| shard.entries);
    let aliases = all.filter_map(|(address, entry)| match entry {
        directory::Entry::Alias(own) => Some((address, own)),
        directory::Entry::Mailbox(_) => None,
    });
    aliases.collect()
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(alias, own)| ((*alias).to_owned(), (*own).to_owned())).collect()
}

#[test]
fn a_group_is_reached_by_its_aliases_and_leaves_them_free() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    let fact = group(1, 10, "nhom@x.vn", &["an@x.vn"]);
    index.apply_group(&key(10), with_aliases(fact.clone(), &["cu@x.vn", "n@x.vn"]));
    index.apply_group(&key(12), group(2, 12, "ngoai@x.vn", &["n@x.vn"]));
    assert_eq!(aliases(&mut index, &name), pairs(&[("cu@x.vn", "nhom@x.vn"), ("n@x.vn", "nhom@x.vn")]));
    let all = reached(&mut index, &name);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["ngoai@x.vn", "nhom@x.vn"], "the list is there once");
    assert_eq!(all["ngoai@x.vn"], ["an@x.vn"], "by an alias of the group within");
    assert_eq!((problems(&index, 10), problems(&index, 12)), (vec![], vec![]));
    // A younger mailbox waits for the address until it is given up.
    index.apply_mailbox(&key(2), person(9, "cu@x.vn"));
    index.settle();
    let conflict = Problem::AddressConflict(Claimant::Group(key(10)));
    assert_eq!(index.verdict(&key(2)).unwrap().problems, [conflict]);
    index.apply_group(&key(10), with_aliases(fact.clone(), &["n@x.vn"]));
    assert_eq!(aliases(&mut index, &name), pairs(&[("n@x.vn", "nhom@x.vn")]));
    assert_eq!(index.verdict(&key(2)).unwrap().problems, []);
    // What was its address becomes an alias, and its own is another one.
    let moved = GroupFact { address: "moi@x.vn".into(), ..fact };
    index.apply_group(&key(10), with_aliases(moved, &["n@x.vn", "nhom@x.vn"]));
    assert_eq!(aliases(&mut index, &name), pairs(&[("n@x.vn", "moi@x.vn"), ("nhom@x.vn", "moi@x.vn")]));
    index.remove_group(&key(10));
    assert!(aliases(&mut index, &name).is_empty());
    assert_eq!(reached(&mut index, &name)["ngoai@x.vn"], [] as [&str; 0]);
}

#[test]
fn of_an_alias_that_another_one_has_the_group_is_told_and_served_without() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), MailboxFact { aliases: ["a@x.vn".into()].into(), ..person(1, "an@x.vn") });
    index.apply_group(&key(10), group(2, 10, "b@x.vn", &["an@x.vn"]));
    let claims = ["a@x.vn", "b@x.vn", "c@nowhere.vn", "d@x.vn"];
    index.apply_group(&key(12), with_aliases(group(3, 12, "nhom@x.vn", &["an@x.vn"]), &claims));
    assert_eq!(aliases(&mut index, &name), pairs(&[("a@x.vn", "an@x.vn"), ("d@x.vn", "nhom@x.vn")]));
    let expected = [
        GroupProblem::AliasConflict("a@x.vn".into(), Claimant::Mailbox(key(0))),
        GroupProblem::AliasConflict("b@x.vn".into(), Claimant::Group(key(10))),
        GroupProblem::AliasDomain("c@nowhere.vn".into()),
    ];
    assert_eq!(problems(&index, 12), expected);
    // A group that has lost its own address has no other.
    index.apply_mailbox(&key(2), person(0, "nhom@x.vn"));
    assert_eq!(aliases(&mut index, &name), pairs(&[("a@x.vn", "an@x.vn")]));
    assert_eq!(problems(&index, 12), [GroupProblem::AddressConflict(Claimant::Mailbox(key(2)))]);
    index.remove_mailbox(&key(2));
    index.remove_group(&key(10));
    let all = pairs(&[("a@x.vn", "an@x.vn"), ("b@x.vn", "nhom@x.vn"), ("d@x.vn", "nhom@x.vn")]);
    assert_eq!(aliases(&mut index, &name), all);
    index.apply_domain(&key(102), domain(1, "nowhere.vn", name.clone()));
    assert_eq!(aliases(&mut index, &name)["c@nowhere.vn"], "nhom@x.vn");
    index.remove_domain(&key(102));
    assert_eq!(aliases(&mut index, &name), all);
}

#[test]
fn an_alias_under_which_a_mailboxs_mail_is_kept_is_not_served_and_the_group_is() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    let fact = with_aliases(group(1, 10, "nhom@x.vn", &["an@x.vn"]), &["cu@x.vn", "n@x.vn"]);
    index.apply_group(&key(10), fact);
    index.settle();
    let both = aliases(&mut index, &name);
    let record = |address: &str| Retired {
        address: address.into(),
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
    index.record(&name, "u98", record("cu@x.vn"));
    index.settle();
    assert!(
        matches!(&problems(&index, 10)[..], [GroupProblem::AliasRetired(alias, _)] if **alias == *"cu@x.vn")
    );
    assert_eq!(aliases(&mut index, &name), pairs(&[("n@x.vn", "nhom@x.vn")]));
    index.strike_off(&name, "u98");
    assert_eq!(aliases(&mut index, &name), both);
    // With the group itself its aliases are not served; the parts of the directory that have them are written.
    index.record(&name, "u99", record("nhom@x.vn"));
    index.settle();
    let compiled = index.compile(&name).unwrap().shards;
    assert!(compiled.iter().all(|(_, shard)| shard.groups.is_empty() && shard.entries.len() == 1));
    index.strike_off(&name, "u99");
    assert_eq!(aliases(&mut index, &name), both);
}

#[test]
fn an_unreadable_group_keeps_its_aliases_also_after_a_restart() {
    let (mut index, name) = served();
    index.apply_mailbox(&key(0), person(1, "an@x.vn"));
    index.apply_group(&key(10), with_aliases(group(9, 10, "nhom@x.vn", &["an@x.vn"]), &["n@x.vn"]));
    index.settle();
    index.rewrite(&name);
    let shard = index.compile(&name).unwrap().shards.remove(0).1;
    index.group_unreadable(&key(10), &meta(9, 10));
    // Older, and after the alias.
    index.apply_mailbox(&key(2), person(2, "n@x.vn"));
    assert_eq!(aliases(&mut index, &name), pairs(&[("n@x.vn", "nhom@x.vn")]));

    let (mut again, _) = served();
    again.remove_system(&name);
    again.apply_system(&name, system(0, &[]));
    again.group_unreadable(&key(10), &meta(9, 10));
    again.apply_mailbox(&key(2), person(2, "n@x.vn"));
    again.settle();
    let (groups, entries) = (shard.groups.into_iter().collect(), shard.entries.into_iter().collect());
    again.load(&name, Some(Existing { shards: 1, groups, entries, ..Existing::default() }));
    assert_eq!(aliases(&mut again, &name), pairs(&[("n@x.vn", "nhom@x.vn")]));
    let conflict = Problem::AddressConflict(Claimant::Group(key(10)));
    assert_eq!(again.verdict(&key(2)).unwrap().problems, [conflict]);
}

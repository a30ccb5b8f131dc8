//! The index against an oracle that looks at everything at once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    groups::tests::group,
    tests::{domain, key, mailbox, meta, system, system_name},
    *,
};
use crate::{
    api::MailboxState,
    directory::{Entry, MailboxEntry, Shard, domain_of},
};

type State = (
    BTreeMap<usize, SystemFact>,
    BTreeMap<usize, (Key, DomainFact)>,
    BTreeMap<usize, (Key, MailboxFact)>,
    BTreeMap<usize, (Key, GroupFact)>,
);
/// What a directory says: domains, entries, and whom each group reaches.
type Content = (BTreeSet<String>, BTreeMap<String, Entry>, BTreeMap<String, Vec<String>>);

#[derive(Clone, Debug)]
enum Op {
    System(usize, Option<SystemFact>),
    Domain(usize, Option<DomainFact>),
    Mailbox(usize, Option<Box<MailboxFact>>),
    Group(usize, Option<GroupFact>),
}

fn address() -> impl Strategy<Value = String> {
    ("[uvw]", "[xyz]").prop_map(|(local, domain)| format!("{local}@{domain}.vn"))
}

fn op() -> impl Strategy<Value = Op> {
    let systems =
        (0..2_usize, proptest::option::weighted(0.8, (0_u8..2, 0..3_usize))).prop_map(|(n, fact)| {
            let tenants: [&[&str]; 3] = [&[], &["a", "b"], &["*"]];
            Op::System(n, fact.map(|(uid, choice)| system(uid, tenants[choice])))
        });
    let domains = (0..5_usize, proptest::option::weighted(0.8, (0..3_i64, "[xy]", 0..2_usize))).prop_map(
        |(n, fact)| {
            Op::Domain(n, fact.map(|(age, name, of)| domain(age, &format!("{name}.vn"), system_name(of))))
        },
    );
    let fact =
        (0..3_i64, address(), proptest::collection::btree_set(address(), 0..3), any::<bool>(), 0_u8..2);
    let mailboxes = (0..7_usize, proptest::option::weighted(0.8, fact)).prop_map(|(n, fact)| {
        Op::Mailbox(
            n,
            fact.map(|(age, own, aliases, active, uid)| {
                let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
                let state = if active { MailboxState::Active } else { MailboxState::Suspended };
                // A change of address is a matter of what was before, so here another address is another object's. Whether
                // it is settled goes with the object, too.
                let letter = |at: usize, first: u8| own.as_bytes()[at] - first;
                let object = meta(age, letter(0, b'u') * 6 + letter(2, b'x') * 2 + uid);
                let moving = Moving { settled: uid == 1, ..Moving::default() };
                Box::new(MailboxFact { state, meta: object, moving, ..mailbox(age, &own, &aliases) })
            }),
        )
    });
    let fact = (
        0..3_i64,
        address(),
        proptest::collection::btree_set(address(), 1..4),
        proptest::collection::btree_set(address(), 0..3),
        any::<bool>(),
        any::<bool>(),
    );
    let groups = (0..4_usize, proptest::option::weighted(0.8, fact)).prop_map(|(n, fact)| {
        Op::Group(
            n,
            fact.map(|(age, own, members, mut aliases, external, has_address)| {
                aliases.remove(&own);
                let aliases = aliases.into_iter().map(Into::into).collect();
                let members: Vec<&str> = members.iter().map(String::as_str).collect();
                // As with mailboxes: another address is another object's, and so is what its status says.
                let uid =
                    own.as_bytes()[0] - b'u' + 3 * (own.as_bytes()[2] - b'x') + 9 * u8::from(has_address);
                GroupFact { aliases, external, has_address, ..group(age, uid, &own, &members) }
            }),
        )
    });
    prop_oneof![1 => systems, 2 => domains, 4 => mailboxes, 3 => groups]
}

fn play(index: &mut Index, state: &mut State, op: Op) {
    match op {
        Op::System(n, Some(fact)) => {
            if index.apply_system(&system_name(n), fact.clone()) {
                index.load(&system_name(n), None);
            }
            state.0.insert(n, fact);
        }
        Op::System(n, None) => {
            index.remove_system(&system_name(n));
            state.0.remove(&n);
        }
        Op::Domain(n, Some(fact)) => {
            index.apply_domain(&key(n), fact.clone());
            state.1.insert(n, (key(n), fact));
        }
        Op::Domain(n, None) => {
            index.remove_domain(&key(n));
            state.1.remove(&n);
        }
        Op::Mailbox(n, Some(fact)) => {
            index.apply_mailbox(&key(n), (*fact).clone());
            state.2.insert(n, (key(n), *fact));
        }
        Op::Mailbox(n, None) => {
            index.remove_mailbox(&key(n));
            state.2.remove(&n);
        }
        Op::Group(n, Some(fact)) => {
            index.apply_group(&key(n), fact.clone());
            state.3.insert(n, (key(n), fact));
        }
        Op::Group(n, None) => {
            index.remove_group(&key(n));
            state.3.remove(&n);
        }
    }
}

/// Whom a group reaches, when `what` says what an address is: a recipient, a group, or neither.
fn reach(
    address: &str,
    what: &impl Fn(&str) -> (Option<String>, Option<GroupFact>, bool),
    external: bool,
    seen: &mut BTreeSet<String>,
) -> BTreeSet<String> {
    match what(address) {
        (Some(recipient), ..) => [recipient].into(),
        (_, Some(group), _) if seen.insert(address.to_owned()) => {
            let members = group.members.iter();
            members.flat_map(|member| reach(member, what, group.external, seen)).collect()
        }
        (None, None, true) if external => [address.to_owned()].into(),
        _ => BTreeSet::new(),
    }
}

/// What the rules say, without any of the index's maps.
fn oracle(state: &State, name: &SystemName) -> Content {
    let admitted = |key: &Key, fact: &DomainFact| {
        state.0.iter().any(|(n, system)| {
            *system_name(*n) == *fact.system
                && (*key.namespace == *fact.system.namespace
                    || system.tenants.iter().any(|tenant| tenant == "*" || *tenant == *key.namespace))
        })
    };
    let age = |(key, fact): &&(Key, DomainFact)| (fact.meta.created, key.clone());
    let standing = |claim: &(Key, DomainFact)| {
        let rivals = state.1.values().filter(|other| {
            other.1.domain == claim.1.domain
                && other.1.system == claim.1.system
                && admitted(&other.0, &other.1)
        });
        rivals.min_by_key(age).is_some_and(|winner| winner.0 == claim.0)
    };
    let place = |namespace: &str, domain: &str| {
        let claims = state.1.values().filter(|claim| {
            *claim.0.namespace == *namespace && *claim.1.domain == *domain && standing(claim)
        });
        claims.min_by_key(age).map(|claim| claim.1.system.clone())
    };
    let here = |key: &Key, address: &str| place(&key.namespace, domain_of(address)).as_deref() == Some(name);
    let has = |address: &str| {
        let mailboxes = state.2.values().filter(|(key, fact)| {
            fact.addresses().any(|claimed| **claimed == *address)
                && here(key, &fact.address)
                && here(key, address)
        });
        let rank = |(key, fact): &&(Key, MailboxFact)| {
            let holds = fact.moving.settled && *fact.address == *address;
            (!holds, fact.meta.created, key.clone())
        };
        let mailbox = mailboxes.min_by_key(rank).map(|it| (rank(&it), Claimant::Mailbox(it.0.clone())));
        let groups = state.3.values().filter(|(key, fact)| {
            fact.addresses().any(|claimed| **claimed == *address)
                && here(key, &fact.address)
                && here(key, address)
        });
        let rank = |(key, fact): &&(Key, GroupFact)| {
            let holds = fact.has_address && *fact.address == *address;
            (!holds, fact.meta.created, key.clone())
        };
        let group = groups.min_by_key(rank).map(|it| (rank(&it), Claimant::Group(it.0.clone())));
        match (mailbox, group) {
            (Some((mailbox, it)), Some((group, _))) if (mailbox.0, mailbox.1) <= (group.0, group.1) => {
                Some(it)
            }
            (mailbox, group) => group.or(mailbox).map(|(_, it)| it),
        }
    };
    let has_mailbox = |address: &str, key: &Key| has(address) == Some(Claimant::Mailbox(key.clone()));
    let mut entries = BTreeMap::new();
    for (key, fact) in state.2.values().filter(|(key, fact)| has_mailbox(&fact.address, key)) {
        for alias in fact.aliases.iter().filter(|alias| has_mailbox(alias, key)) {
            entries.insert(alias.to_string(), Entry::Alias(fact.address.to_string()));
        }
        let (state, quota) = (fact.state, fact.quota.unwrap());
        let uid = fact.meta.uid.to_string();
        let object = format!("{}/{}", key.namespace, key.name);
        let entry = MailboxEntry { uid, object, state, quota, ..MailboxEntry::default() };
        entries.insert(fact.address.to_string(), Entry::Mailbox(entry));
    }
    let domains = state.1.values().filter(|claim| *claim.1.system == *name && standing(claim));
    let domains: BTreeSet<String> = domains.map(|claim| claim.1.domain.to_string()).collect();
    let has_group = |address: &str, key: &Key| has(address) == Some(Claimant::Group(key.clone()));
    let group_at = |address: &str| {
        state
            .3
            .values()
            .find(|(key, fact)| has_group(address, key) && has_group(&fact.address, key))
            .map(|it| it.1.clone())
    };
    let what = |address: &str| {
        let recipient = entries.get(address).map(|entry| match entry {
            Entry::Mailbox(_) => address.to_owned(),
            Entry::Alias(own) => own.clone(),
        });
        (recipient, group_at(address), !domains.contains(domain_of(address)))
    };
    let own = |fact: &GroupFact| fact.address.to_string();
    let all = || state.3.values().filter(|(key, fact)| has_group(&fact.address, key));
    let groups = all().map(|(_, fact)| {
        (own(fact), reach(&fact.address, &what, false, &mut BTreeSet::new()).into_iter().collect())
    });
    let groups = groups.collect();
    let aliases = all().flat_map(|(key, fact)| {
        let had = fact.aliases.iter().filter(|alias| has_group(alias, key));
        had.map(|alias| (alias.to_string(), Entry::Alias(own(fact)))).collect::<Vec<_>>()
    });
    let aliases: Vec<_> = aliases.collect();
    entries.extend(aliases);
    (domains, entries, groups)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_sequence_of_events_gives_the_directory_that_the_rules_give(
        ops in proptest::collection::vec((op(), any::<bool>()), 1..40)
    ) {
        let (mut index, mut state) = (Index::default(), State::default());
        let mut written: BTreeMap<SystemName, (Vec<String>, BTreeMap<u32, Shard>)> = BTreeMap::new();
        let last = ops.len() - 1;
        for (n, (op, settle)) in ops.into_iter().enumerate() {
            play(&mut index, &mut state, op);
            if !settle && n != last {
                continue;
            }
            index.settle();
            for name in [system_name(0), system_name(1)] {
                let Some(system) = index.system(&name) else {
                    written.remove(&*name);
                    continue;
                };
                if system.is_dirty() {
                    let compiled = index.compile(&name).unwrap();
                    let part = written.entry((*name).clone()).or_default();
                    part.0 = compiled.domains;
                    part.1.extend(compiled.shards);
                }
                let (domains, entries, groups) = oracle(&state, &name);
                let part = &written[&*name];
                prop_assert_eq!(part.0.iter().cloned().collect::<BTreeSet<_>>(), domains);
                prop_assert_eq!(&part.1[&0].entries, &entries);
                let reached = part.1[&0].groups.iter();
                let reached = reached.map(|(address, group)| (address.clone(), group.recipients.clone()));
                prop_assert_eq!(reached.collect::<BTreeMap<_, _>>(), groups);
                let own = entries.values().filter(|entry| matches!(entry, Entry::Mailbox(_))).count();
                prop_assert_eq!(index.system(&name).unwrap().mailboxes as usize, own);
            }
            for (key, _) in state.2.values() {
                prop_assert_eq!(index.verdict(key).unwrap().system, index.listed_in(key));
            }
        }
    }
}

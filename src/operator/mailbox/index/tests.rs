//! The index against an oracle that looks at everything at once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    api::{MailDomainStatus, MailboxState},
    directory::{Credential, Entry, MailboxEntry, Shard, domain_of, shard_of},
};

type State =
    (BTreeMap<usize, SystemFact>, BTreeMap<usize, (Key, DomainFact)>, BTreeMap<usize, (Key, MailboxFact)>);

#[derive(Clone, Debug)]
enum Op {
    System(usize, Option<SystemFact>),
    Domain(usize, Option<DomainFact>),
    Mailbox(usize, Option<MailboxFact>),
}

const NAMESPACES: [&str; 2] = ["a", "b"];

fn system_name(n: usize) -> Arc<SystemName> {
    Arc::new(SystemName::new(NAMESPACES[n % 2], "s"))
}

fn key(n: usize) -> Key {
    Arc::new(ObjectName::new(NAMESPACES[n % 2], &format!("o{n}")))
}

fn meta(created: i64, uid: u8) -> Meta {
    Meta { uid: format!("u{uid}").into(), created, generation: 1 }
}

pub(super) fn system(uid: u8, tenants: &[&str]) -> SystemFact {
    let tenants = tenants.iter().map(ToString::to_string).collect();
    SystemFact { uid: format!("s{uid}").into(), hostname: "mx.vn".into(), tenants, stores: 1 }
}

pub(super) fn domain(created: i64, domain: &str, system: Arc<SystemName>) -> DomainFact {
    DomainFact {
        meta: meta(created, 0),
        domain: domain.into(),
        system,
        selector: "mail".into(),
        published: MailDomainStatus::default(),
    }
}

pub(super) fn mailbox(created: i64, address: &str, aliases: &[&str]) -> MailboxFact {
    MailboxFact {
        meta: meta(created, 0),
        address: address.into(),
        aliases: aliases.iter().filter(|alias| **alias != address).map(|alias| Arc::from(*alias)).collect(),
        state: MailboxState::Active,
        quota: Some(1 << 20),
        secret: None,
        shard: Some(0),
        published: Published::default(),
    }
}

fn address() -> impl Strategy<Value = String> {
    ("[uvw]", "[xyz]").prop_map(|(local, domain)| format!("{local}@{domain}.vn"))
}

fn op() -> impl Strategy<Value = Op> {
    let systems = (0..2_usize, proptest::option::weighted(0.8, (0_u8..2, 0..3_usize))).prop_map(|(n, fact)| {
        let tenants: [&[&str]; 3] = [&[], &["a", "b"], &["*"]];
        Op::System(n, fact.map(|(uid, choice)| system(uid, tenants[choice])))
    });
    let domains =
        (0..5_usize, proptest::option::weighted(0.8, (0..3_i64, "[xy]", 0..2_usize))).prop_map(|(n, fact)| {
            Op::Domain(n, fact.map(|(age, name, of)| domain(age, &format!("{name}.vn"), system_name(of))))
        });
    let fact = (0..3_i64, address(), proptest::collection::btree_set(address(), 0..3), any::<bool>(), 0_u8..2);
    let mailboxes =
        (0..7_usize, proptest::option::weighted(0.8, fact)).prop_map(|(n, fact)| {
            Op::Mailbox(
                n,
                fact.map(|(age, own, aliases, active, uid)| {
                    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
                    let state = if active { MailboxState::Active } else { MailboxState::Suspended };
                    MailboxFact { state, meta: meta(age, uid), ..mailbox(age, &own, &aliases) }
                }),
            )
        });
    prop_oneof![1 => systems, 2 => domains, 4 => mailboxes]
}

fn play(index: &mut Index, state: &mut State, op: Op) {
    match op {
        Op::System(n, Some(fact)) => {
            if index.apply_system(&system_name(n), fact.clone()) {
                index.load(&system_name(n), None);
            } else if !index.system(&system_name(n)).unwrap().loaded {
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
            index.apply_mailbox(&key(n), fact.clone());
            state.2.insert(n, (key(n), fact));
        }
        Op::Mailbox(n, None) => {
            index.remove_mailbox(&key(n));
            state.2.remove(&n);
        }
    }
}

/// What the rules say, without any of the index's maps.
fn oracle(state: &State, name: &SystemName) -> (BTreeSet<String>, BTreeMap<String, Entry>) {
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
            other.1.domain == claim.1.domain && other.1.system == claim.1.system && admitted(&other.0, &other.1)
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
        let claims = state.2.values().filter(|(key, fact)| {
            fact.addresses().any(|claimed| **claimed == *address)
                && here(key, &fact.address)
                && here(key, address)
        });
        claims.min_by_key(|(key, fact)| (fact.meta.created, key.clone())).map(|(key, _)| key.clone())
    };
    let mut entries = BTreeMap::new();
    for (key, fact) in state.2.values().filter(|(key, fact)| has(&fact.address).as_ref() == Some(key)) {
        for alias in fact.aliases.iter().filter(|alias| has(alias).as_ref() == Some(key)) {
            entries.insert(alias.to_string(), Entry::Alias(fact.address.to_string()));
        }
        let (state, quota) = (fact.state, fact.quota.unwrap());
        let entry = MailboxEntry { store: 0, state, quota, credential: None };
        entries.insert(fact.address.to_string(), Entry::Mailbox(entry));
    }
    let domains = state.1.values().filter(|claim| *claim.1.system == *name && standing(claim));
    (domains.map(|claim| claim.1.domain.to_string()).collect(), entries)
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
                let (domains, entries) = oracle(&state, &name);
                let part = &written[&*name];
                prop_assert_eq!(part.0.iter().cloned().collect::<BTreeSet<_>>(), domains);
                prop_assert_eq!(&part.1[&0].entries, &entries);
                let own = entries.values().filter(|entry| matches!(entry, Entry::Mailbox(_))).count();
                prop_assert_eq!(index.system(&name).unwrap().mailboxes as usize, own);
            }
            for (key, _) in state.2.values() {
                prop_assert_eq!(index.verdict(key).unwrap().system, index.listed_in(key));
            }
        }
    }
}

fn served() -> (Index, Arc<SystemName>) {
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
    assert_eq!((verdict.system, verdict.problems), (None, vec![Problem::AddressConflict(key(0))]));
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
        [Problem::AliasConflict("an@x.vn".into(), key(0)), Problem::AliasDomain("b@other.vn".into())]
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
    let entry = MailboxEntry { store: 7, state: MailboxState::Active, quota: 1, credential: credential.clone() };
    let entries = [("an@x.vn".to_owned(), Entry::Mailbox(entry))].into();
    index.load(&name, Some(Existing { shards: 4, entries }));
    index.settle();
    assert_eq!(index.wants_source(&key(0)), Some(Some("v1")));
    index.login_confirmed(&key(0));
    index.settle();
    let compiled = index.compile(&name).unwrap();
    assert_eq!(compiled.count, 1, "one entry needs one shard");
    let Entry::Mailbox(entry) = &compiled.shards[0].1.entries["an@x.vn"] else { panic!("no mailbox") };
    assert_eq!((entry.store, &entry.credential), (7, &credential));
}

#[test]
fn a_hash_of_a_former_secret_is_dropped() {
    let (mut index, _) = served();
    index.apply_mailbox(&key(0), mailbox(0, "an@x.vn", &[]));
    index.settle();
    index.login_hashing(&key(0), "v2");
    index.login_hashed(&key(0), Credential { hash: "old".into(), source: "v1".into() });
    assert_eq!(index.mailbox(&key(0)).unwrap().credential, None);
    index.login_hashed(&key(0), Credential { hash: "new".into(), source: "v2".into() });
    assert_eq!(index.mailbox(&key(0)).unwrap().login, Login::Known);
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

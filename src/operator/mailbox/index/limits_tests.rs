//! Limits of domains: rule by rule, and against a model that looks at everything at once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    tests::{domain, key, mailbox, meta, served, system, system_name},
    *,
};
use crate::directory::{Entry, Retired};

/// The mailbox number `n`, as old as that, with so much quota.
fn wants(n: usize, address: &str, quota: u64) -> MailboxFact {
    let n = u8::try_from(n).unwrap();
    MailboxFact { meta: meta(n.into(), n), quota: Some(quota), ..mailbox(0, address, &[]) }
}

fn limit(index: &mut Index, domain_name: &str, mailboxes: Option<u32>, quota: Option<u64>) {
    let limits = Limits { mailboxes, quota };
    let number = if domain_name == "x.vn" { 100 } else { 102 };
    index.apply_domain(&key(number), DomainFact { limits, ..domain(0, domain_name, system_name(0)) });
}

/// The quota of each mailbox in the directory, by address.
fn listed(index: &mut Index, name: &SystemName) -> BTreeMap<String, u64> {
    index.settle();
    index.rewrite(name);
    let all = index.compile(name).unwrap().shards.into_iter().flat_map(|(_, shard)| shard.entries);
    let quota = |(address, entry)| match entry {
        Entry::Mailbox(entry) => Some((address, entry.quota)),
        Entry::Alias(_) => None,
    };
    all.filter_map(quota).collect()
}

fn quotas(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(address, quota)| ((*address).to_owned(), *quota)).collect()
}

fn problems(index: &Index, n: usize) -> Vec<Problem> {
    index.verdict(&key(n)).unwrap().problems
}

#[test]
fn one_mailbox_too_many_is_not_served_and_comes_in_when_another_goes() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", Some(2), None);
    for n in [0, 2, 4, 6] {
        let address = format!("u{n}@x.vn");
        index.apply_mailbox(
            &key(n),
            MailboxFact { aliases: [format!("a{n}@x.vn").into()].into(), ..wants(n, &address, 1) },
        );
    }
    assert_eq!(listed(&mut index, &name), quotas(&[("u0@x.vn", 1), ("u2@x.vn", 1)]));
    let full = Problem::DomainFull(Full::Mailboxes { domain: key(100), most: 2, present: 2 });
    let verdict = index.verdict(&key(4)).unwrap();
    assert_eq!((verdict.system, verdict.problems), (None, vec![full.clone()]));
    index.rewrite(&name);
    let aliases =
        index.compile(&name).unwrap().shards[0].1.entries.keys().filter(|it| it.starts_with('a')).count();
    assert_eq!((aliases, index.system(&name).unwrap().mailboxes), (2, 2), "nor is its alias");
    assert_eq!(index.occupancy(&name, "x.vn"), Occupancy { mailboxes: 2, quota: 2, waiting: 2 });

    index.remove_mailbox(&key(0));
    let changes = index.settle();
    assert!(changes.mailboxes.contains(&key(4)) && changes.domains.contains(&key(100)));
    assert_eq!(listed(&mut index, &name), quotas(&[("u2@x.vn", 1), ("u4@x.vn", 1)]));
    assert_eq!((problems(&index, 4), problems(&index, 6)), (vec![], vec![full]));
    limit(&mut index, "x.vn", None, None);
    assert_eq!(listed(&mut index, &name).len(), 3);
}

#[test]
fn a_late_older_mailbox_takes_nobodys_place() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", Some(1), None);
    index.apply_mailbox(&key(2), wants(2, "young@x.vn", 1));
    index.settle();
    index.apply_mailbox(&key(0), wants(0, "old@x.vn", 1));
    assert_eq!(listed(&mut index, &name), quotas(&[("young@x.vn", 1)]));
}

#[test]
fn what_is_there_stays_when_a_limit_is_lowered_and_nothing_is_added() {
    let (mut index, name) = served();
    for n in [0, 2, 4] {
        index.apply_mailbox(&key(n), wants(n, &format!("u{n}@x.vn"), 10));
    }
    let all = listed(&mut index, &name);
    limit(&mut index, "x.vn", Some(1), Some(5));
    assert_eq!(listed(&mut index, &name), all);
    index.apply_mailbox(&key(6), wants(6, "u6@x.vn", 1));
    index.apply_mailbox(&key(0), wants(0, "u0@x.vn", 11));
    assert_eq!(listed(&mut index, &name), all);
    let refused = Full::Quota { domain: key(100), most: 5, present: 30, wanted: 11 };
    assert_eq!(problems(&index, 0), [Problem::QuotaRefused(refused)]);
    // Less is always taken.
    index.apply_mailbox(&key(0), wants(0, "u0@x.vn", 9));
    assert_eq!(listed(&mut index, &name)["u0@x.vn"], 9);
    assert_eq!(problems(&index, 0), []);
}

#[test]
fn quota_beyond_the_domains_total_waits_until_there_is_room_and_lets_smaller_ones_pass() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", None, Some(10));
    index.apply_mailbox(&key(0), wants(0, "a@x.vn", 6));
    index.apply_mailbox(&key(2), wants(2, "large@x.vn", 5));
    index.apply_mailbox(&key(4), wants(4, "small@x.vn", 3));
    assert_eq!(listed(&mut index, &name), quotas(&[("a@x.vn", 6), ("small@x.vn", 3)]));
    let full = Full::Quota { domain: key(100), most: 10, present: 9, wanted: 5 };
    assert_eq!(problems(&index, 2), [Problem::DomainFull(full)]);
    index.apply_mailbox(&key(0), wants(0, "a@x.vn", 8));
    assert_eq!(listed(&mut index, &name)["a@x.vn"], 6);
    // The raise was older than the newcomer, and its need is smaller.
    index.remove_mailbox(&key(4));
    assert_eq!(listed(&mut index, &name), quotas(&[("a@x.vn", 8)]));
    limit(&mut index, "x.vn", None, Some(13));
    assert_eq!(listed(&mut index, &name), quotas(&[("a@x.vn", 8), ("large@x.vn", 5)]));
}

#[test]
fn nobody_moves_into_a_full_domain_before_there_is_room() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", Some(1), None);
    limit(&mut index, "y.vn", None, None);
    index.apply_mailbox(&key(0), wants(0, "an@x.vn", 1));
    for n in [2, 4] {
        index.apply_mailbox(&key(n), wants(n, &format!("u{n}@y.vn"), 1));
    }
    index.settle();
    for n in [2, 4] {
        index.apply_mailbox(&key(n), wants(n, &format!("u{n}@x.vn"), 1));
    }
    let full = Full::Mailboxes { domain: key(100), most: 1, present: 1 };
    assert_eq!(listed(&mut index, &name), quotas(&[("an@x.vn", 1), ("u2@y.vn", 1), ("u4@y.vn", 1)]));
    assert_eq!(problems(&index, 2), [Problem::Move(Hindrance::Full(full))]);
    limit(&mut index, "x.vn", Some(2), None);
    assert_eq!(
        listed(&mut index, &name),
        quotas(&[("an@x.vn", 1), ("u2@x.vn", 1), ("u4@y.vn", 1)]),
        "the older"
    );
    assert_eq!(index.occupancy(&name, "y.vn").mailboxes, 1);
}

#[test]
fn mailboxes_that_are_applied_again_after_an_accident_have_their_places() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", Some(0), Some(1));
    let record = Retired {
        address: "an@x.vn".into(),
        store: 0,
        quota: 7,
        namespace: "a".into(),
        name: "o0".into(),
        since: 0,
        until: 0,
        in_place: true,
        confirmed: false,
        purge: false,
    };
    index.record(&name, "u99", record);
    index.apply_mailbox(&key(0), wants(0, "an@x.vn", 9));
    index.apply_mailbox(&key(2), wants(2, "binh@x.vn", 9));
    assert_eq!(listed(&mut index, &name), quotas(&[("an@x.vn", 7)]));
}

#[test]
fn a_domain_that_was_away_has_its_mailboxes_and_their_quotas_back() {
    let (mut index, name) = served();
    limit(&mut index, "x.vn", Some(1), Some(4));
    index.apply_mailbox(&key(0), wants(0, "an@x.vn", 3));
    index.apply_mailbox(&key(2), wants(2, "binh@x.vn", 1));
    index.settle();
    index.apply_mailbox(&key(0), wants(0, "an@x.vn", 5));
    assert_eq!(listed(&mut index, &name), quotas(&[("an@x.vn", 3)]));
    index.remove_domain(&key(100));
    index.settle();
    assert_eq!(index.occupancy(&name, "x.vn"), Occupancy::default());
    limit(&mut index, "x.vn", Some(1), Some(4));
    assert_eq!(listed(&mut index, &name), quotas(&[("an@x.vn", 3)]));
    // A system that is made anew counts anew.
    index.apply_system(&name, system(9, &[]));
    index.load(&name, None);
    index.settle();
    assert_eq!(index.occupancy(&name, "x.vn").mailboxes, 1);
}

#[derive(Clone, Debug)]
enum Op {
    Mailbox { n: usize, domain: usize, quota: u64 },
    Gone(usize),
    Limits { domain: usize, mailboxes: Option<u32>, quota: Option<u64> },
    Settle,
    Restart { backwards: bool },
}

const DOMAINS: [&str; 2] = ["x.vn", "y.vn"];

fn op() -> impl Strategy<Value = Op> {
    let limits = (0..2_usize, proptest::option::of(0..5_u32), proptest::option::of(1..20_u64));
    prop_oneof![
        6 => (0..12_usize, 0..2_usize, 1..8_u64).prop_map(|(n, domain, quota)| Op::Mailbox { n, domain, quota }),
        2 => (0..12_usize).prop_map(Op::Gone),
        3 => limits.prop_map(|(domain, mailboxes, quota)| Op::Limits { domain, mailboxes, quota }),
        4 => Just(Op::Settle),
        1 => any::<bool>().prop_map(|backwards| Op::Restart { backwards }),
    ]
}

/// Everything, and the rules applied to all of it.
#[derive(Debug, Default)]
struct Model {
    limits: [Limits; 2],
    /// Domain, wanted and granted quota by number, which is the age.
    mailboxes: BTreeMap<usize, (usize, u64, Option<u64>)>,
}

impl Model {
    fn settle(&mut self) {
        for (domain, limits) in self.limits.iter().enumerate() {
            let most = limits.mailboxes.map_or(usize::MAX, |most| most as usize);
            let total = limits.quota.unwrap_or(u64::MAX);
            for newcomers in [false, true] {
                for n in self.mailboxes.keys().copied().collect::<Vec<_>>() {
                    let here = self.mailboxes.values().filter(|it| it.0 == domain && it.2.is_some());
                    let (count, sum) = (here.clone().count(), here.filter_map(|it| it.2).sum::<u64>());
                    let it = self.mailboxes.get_mut(&n).unwrap();
                    if it.0 != domain || it.2.is_none() != newcomers {
                        continue;
                    }
                    let more = it.1 - it.2.unwrap_or_default();
                    if more == 0 || sum.saturating_add(more) <= total && (!newcomers || count < most) {
                        it.2 = Some(it.1);
                    }
                }
            }
        }
    }

    fn listed(&self) -> BTreeMap<String, u64> {
        let of = |(n, (domain, _, granted)): (&usize, &(usize, u64, Option<u64>))| {
            Some((format!("u{n}@{}", DOMAINS[*domain]), (*granted)?))
        };
        self.mailboxes.iter().filter_map(of).collect()
    }
}

fn fact(n: usize, domain: usize, quota: u64) -> MailboxFact {
    wants(2 * n, &format!("u{n}@{}", DOMAINS[domain]), quota)
}

fn begin(model: &Model) -> (Index, Arc<SystemName>) {
    let (mut index, name) = (Index::default(), system_name(0));
    index.apply_system(&name, system(0, &[]));
    for (n, limits) in model.limits.iter().enumerate() {
        limit(&mut index, DOMAINS[n], limits.mailboxes, limits.quota);
    }
    (index, name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn any_sequence_of_events_and_restarts_seats_whom_the_rules_seat(
        ops in proptest::collection::vec(op(), 1..60)
    ) {
        let mut model = Model::default();
        let (mut index, name) = begin(&model);
        index.load(&name, None);
        let mut directory = std::collections::HashMap::new();
        for op in ops.into_iter().chain([Op::Settle, Op::Restart { backwards: true }]) {
            match op {
                Op::Mailbox { n, domain, quota } => {
                    // Another domain is another object's: a change of address is tried elsewhere.
                    let old = model.mailboxes.get(&n).copied();
                    let (domain, granted) = old.map_or((domain, None), |(domain, _, granted)| (domain, granted));
                    model.mailboxes.insert(n, (domain, quota, granted.map(|granted| granted.min(quota))));
                    index.apply_mailbox(&key(2 * n), fact(n, domain, quota));
                    continue;
                }
                Op::Gone(n) => {
                    model.mailboxes.remove(&n);
                    index.remove_mailbox(&key(2 * n));
                    continue;
                }
                Op::Limits { domain, mailboxes, quota } => {
                    model.limits[domain] = Limits { mailboxes, quota };
                    limit(&mut index, DOMAINS[domain], mailboxes, quota);
                    continue;
                }
                Op::Settle => model.settle(),
                Op::Restart { backwards } => {
                    // What was not settled was not issued; the facts are those of the API.
                    for it in model.mailboxes.values_mut() {
                        it.2 = None;
                    }
                    let mut all: Vec<_> = model.mailboxes.iter().map(|(n, it)| (*n, it.0, it.1)).collect();
                    if backwards {
                        all.reverse();
                    }
                    index = begin(&model).0;
                    for (n, domain, quota) in all {
                        index.apply_mailbox(&key(2 * n), fact(n, domain, quota));
                        let uid = meta(0, u8::try_from(2 * n).unwrap()).uid;
                        let held = directory.get(&format!("u{n}@{}", DOMAINS[domain]));
                        if let Some(Entry::Mailbox(entry)) = held
                            && *entry.uid == *uid
                        {
                            model.mailboxes.get_mut(&n).unwrap().2 = Some(entry.quota.min(quota));
                        }
                    }
                    index.settle();
                    index.load(&name, Some(Existing { shards: 1, entries: directory.clone(), ..Existing::default() }));
                    model.settle();
                }
            }
            prop_assert_eq!(listed(&mut index, &name), model.listed());
            index.rewrite(&name);
            directory = index.compile(&name).unwrap().shards.into_iter().flat_map(|(_, it)| it.entries).collect();
            for (n, name_of) in DOMAINS.iter().enumerate() {
                let here = || model.mailboxes.values().filter(|it| it.0 == n);
                let quota: u128 = here().filter_map(|it| it.2).map(u128::from).sum();
                let occupancy = Occupancy {
                    mailboxes: u32::try_from(here().filter(|it| it.2.is_some()).count()).unwrap(),
                    quota,
                    waiting: u32::try_from(here().filter(|it| it.2 != Some(it.1)).count()).unwrap(),
                };
                prop_assert_eq!(index.occupancy(&name, name_of), occupancy);
            }
            for (n, it) in &model.mailboxes {
                let told = problems(&index, 2 * n);
                let right = match it.2 {
                    None => matches!(&told[..], [Problem::DomainFull(_)]),
                    Some(granted) if granted < it.1 => matches!(&told[..], [Problem::QuotaRefused(_)]),
                    Some(_) => told.is_empty(),
                };
                prop_assert!(right, "{n}: {told:?}");
                prop_assert_eq!(index.verdict(&key(2 * n)).unwrap().system, index.listed_in(&key(2 * n)));
            }
        }
    }
}

//! The plan: what leads to agreement, and that nobody gets another one's mail on the way.

use super::{
    inventory::{Have, Inventory, Quota},
    names::{MailboxName, retired_address},
    plan::*,
    state::Failure,
};
use crate::{
    directory::{MailboxEntry, Retired},
    wire::imap::Command,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

fn entry(uid: &str) -> MailboxEntry {
    MailboxEntry { uid: uid.into(), quota: 2 << 20, ..MailboxEntry::default() }
}

fn have(owner: Option<&str>) -> Have {
    let (owner, quota) = (owner.map(Into::into), Quota::Kib(2048));
    Have { owner, furnished: true, quota, shares: Some(Vec::new()), renamed: false }
}

fn inventory(mailboxes: &[(&str, Option<&str>)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (address, owner) in mailboxes {
        inventory.insert(address, have(*owner));
    }
    inventory
}

fn retired(purge: bool) -> Retired {
    let text = String::new;
    Retired {
        address: text(),
        store: 0,
        quota: 0,
        namespace: text(),
        name: text(),
        since: 0,
        until: 0,
        in_place: false,
        confirmed: false,
        purge,
    }
}

fn create(address: &str, uid: &str) -> Vec<Move> {
    vec![Move::Create(address.into()), Move::Own(address.into(), uid.into())]
}

fn rename(from: &str, to: &str) -> Move {
    Move::Rename(from.into(), to.into())
}

const NOT: fn(&str) -> bool = |_| false;

#[test]
fn a_mailbox_is_made_or_brought_from_where_its_owners_mail_is() {
    let an = entry("u1");
    assert_eq!(moves("an@x", &an, &inventory(&[]), NOT), Ok(create("an@x", "u1")));
    assert_eq!(moves("an@x", &an, &inventory(&[("an@x", Some("u1"))]), NOT), Ok(vec![]));
    let before = inventory(&[("before@x", Some("u1"))]);
    assert_eq!(moves("an@x", &an, &before, NOT), Ok(vec![rename("before@x", "an@x")]));
}

#[test]
fn nobody_gets_the_mail_of_another_owner() {
    let taken = inventory(&[("an@x", Some("u1"))]);
    assert_eq!(moves("an@x", &entry("u2"), &taken, NOT), Err(Failure::OtherOwner));
    let also = inventory(&[("an@x", Some("u1")), ("b@x", Some("u2"))]);
    let adopting = MailboxEntry { adopt: true, ..entry("u2") };
    assert_eq!(moves("an@x", &adopting, &also, NOT), Err(Failure::OtherOwner), "it has mail of its own");
    let nobodys = inventory(&[("an@x", Some(NOBODY))]);
    assert_eq!(moves("an@x", &entry("u2"), &nobodys, NOT), Err(Failure::OtherOwner));
}

#[test]
fn a_retired_predecessor_makes_room_and_keeps_its_mail() {
    let taken = inventory(&[("an@x", Some("u1"))]);
    let expected = [vec![rename("an@x", "u1@retired.invalid")], create("an@x", "u2")].concat();
    assert_eq!(moves("an@x", &entry("u2"), &taken, |owner| owner == "u1"), Ok(expected));
}

#[test]
fn mail_is_taken_over_when_that_was_asked_for_by_name() {
    let own = Move::Own("an@x".into(), "u2".into());
    let taken = inventory(&[("an@x", Some("u1"))]);
    let adopting = MailboxEntry { adopt: true, ..entry("u2") };
    assert_eq!(moves("an@x", &adopting, &taken, NOT), Ok(vec![own.clone()]));
    let heir = MailboxEntry { heir_of: Some("u1".into()), ..entry("u2") };
    assert_eq!(moves("an@x", &heir, &taken, |_| true), Ok(vec![own]), "it was not moved away yet");
    let kept = inventory(&[("u1@retired.invalid", Some("u1"))]);
    let expected =
        vec![Move::Own("u1@retired.invalid".into(), "u2".into()), rename("u1@retired.invalid", "an@x")];
    assert_eq!(moves("an@x", &heir, &kept, NOT), Ok(expected));
    assert_eq!(moves("an@x", &heir, &inventory(&[]), NOT), Err(Failure::NothingToRestore));
    let both = inventory(&[("an@x", Some("u2")), ("u1@retired.invalid", Some("u1"))]);
    assert_eq!(moves("an@x", &heir, &both, NOT), Err(Failure::HasMail));
    let interrupted = inventory(&[("u1@retired.invalid", Some("u2"))]);
    let expected = vec![rename("u1@retired.invalid", "an@x")];
    assert_eq!(moves("an@x", &heir, &interrupted, NOT), Ok(expected));
}

#[test]
fn what_nobody_recorded_is_adopted_and_a_directory_without_owners_moves_nothing() {
    let own = Move::Own("an@x".into(), "u1".into());
    assert_eq!(moves("an@x", &entry("u1"), &inventory(&[("an@x", None)]), NOT), Ok(vec![own]));
    assert_eq!(moves("an@x", &entry(""), &inventory(&[("an@x", Some("u9"))]), NOT), Ok(vec![]));
}

#[test]
fn retired_mail_moves_out_of_the_way_and_is_deleted_only_when_it_is_to_be_purged() {
    let (there, home) = (inventory(&[("an@x", Some("u1"))]), "u1@retired.invalid");
    assert_eq!(retirement("u1", &retired(false), &there), [rename("an@x", home)]);
    let moved = inventory(&[(home, Some("u1"))]);
    assert_eq!(retirement("u1", &retired(false), &moved), []);
    assert_eq!(retirement("u1", &retired(true), &moved), [Move::Delete(home.into())]);
    assert_eq!(retirement("u1", &retired(true), &there), [rename("an@x", home), Move::Delete(home.into())]);
    assert_eq!(retirement("u2", &retired(true), &there), []);
}

#[test]
fn each_difference_has_its_steps() {
    let furnish: Vec<_> = FOLDERS.map(Step::Furnish).into_iter().chain([Step::Subscribe]).collect();
    for (furnished, quota, expected) in [
        (true, Quota::Kib(2048), vec![]),
        (true, Quota::Kib(1), vec![Step::SetQuota(2048)]),
        (true, Quota::None, vec![Step::SetQuota(2048)]),
        (true, Quota::Unknown, vec![]),
        (false, Quota::Unknown, furnish.clone()),
        (false, Quota::None, [vec![Step::SetQuota(2048)], furnish].concat()),
    ] {
        let found = Have { furnished, quota, ..have(None) };
        assert_eq!(steps(&entry("u1"), &found), expected, "{found:?}");
    }
    let odd = MailboxEntry { quota: 1025, ..entry("u1") };
    assert_eq!(steps(&odd, &have(None)), [Step::SetQuota(2)], "rounded up");
}

#[test]
fn what_is_missing_comes_first_and_what_the_directory_does_not_know_is_left_alone() {
    let mailboxes = [("a@x", "ua"), ("b@x", "ub"), ("c@x", "uc"), ("d@x", "ud"), ("dd@x", "ud")];
    let mailboxes = mailboxes.map(|(address, uid)| (address.to_owned(), Arc::new(entry(uid)))).into();
    let retired = [("ur".to_owned(), Arc::new(retired(false))), ("uc".to_owned(), Arc::new(retired(true)))];
    let mut found =
        inventory(&[("c@x", Some("uc")), ("d@x", Some("ud")), ("gone@x", Some("ug")), ("r@x", Some("ur"))]);
    found.insert("a@x", Have { quota: Quota::None, ..have(Some("ua")) });
    let wanted = Wanted { mailboxes, retired: retired.into() };
    assert_eq!(disagreements(&wanted, &found), ["b@x", "a@x", "ur@retired.invalid"]);
}

#[test]
fn commands_name_the_mailbox_of_the_address() {
    let name = MailboxName::of("an@x.vn").unwrap();
    let commands = |step: Move| step.commands().unwrap();
    let make = [
        Command::new("CREATE").string(b"user/an@x.vn"),
        Command::new("SETACL").string(b"user/an@x.vn").raw("anyone p"),
    ];
    assert_eq!(commands(Move::Create("an@x.vn".into())), make);
    let rename = Command::new("RENAME").string(b"user/an@x.vn").string(b"user/u1@retired.invalid");
    assert_eq!(commands(Move::Rename("an@x.vn".into(), retired_address("u1"))), [rename]);
    let own = Command::new("SETMETADATA").string(b"user/an@x.vn").raw("(/private/comment \"u1\")");
    assert_eq!(commands(Move::Own("an@x.vn".into(), "u1".into())), [own]);
    assert_eq!(Move::Create("a/b@x.vn".into()).commands(), None);
    let quota = Command::new("SETQUOTA").string(b"user/an@x.vn").raw("(STORAGE 7)");
    assert_eq!(Step::SetQuota(7).command(&name), Some(quota));
    let folder = Command::new("CREATE").string(b"user/an/Junk@x.vn").raw("(USE (\\Junk))");
    assert_eq!(Step::Furnish(FOLDERS[2]).command(&name), Some(folder));
    assert_eq!(Step::Subscribe.command(&name), None);
}

fn play(inventory: &mut Inventory, step: &Move) {
    match step {
        Move::Create(address) => {
            assert!(inventory.get(address).is_none(), "{address} exists");
            inventory.insert(address, Have::default());
        }
        Move::Own(address, owner) => {
            inventory.change(address, |have| have.owner = Some(owner.as_str().into()));
        }
        Move::Rename(from, to) => {
            assert!(inventory.get(to).is_none() && inventory.get(from).is_some(), "{from} to {to}");
            inventory.rename(from, to);
        }
        Move::Delete(address) => drop(inventory.remove(address)),
    }
}

proptest! {
    /// Whatever Cyrus has and the directory wants: mail changes its owner only to an heir, nothing is lost but what is
    /// to be purged, and what is served is its owner's.
    #[test]
    fn mail_stays_its_owners_whatever_is_wanted(
        owners in proptest::collection::btree_map("[a-c]@x", proptest::option::of("u[1-4]"), 0..4),
        entries in proptest::collection::btree_map("[a-c]@x", ("u[1-6]", proptest::option::of("u[1-4]")), 0..4),
        gone in proptest::collection::btree_map("u[1-4]", any::<bool>(), 0..3),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let owners: BTreeMap<_, _> =
            owners.into_iter().filter(|(_, owner)| owner.as_ref().is_none_or(|owner| seen.insert(owner.clone()))).collect();
        let mut used = std::collections::BTreeSet::new();
        let entries: BTreeMap<_, _> = entries.into_iter().filter(|(_, (uid, heir))| {
            used.insert(uid.clone()) && heir.as_ref().is_none_or(|heir| used.insert(heir.clone()))
        }).collect();
        let mut inventory = Inventory::default();
        for (address, owner) in &owners {
            inventory.insert(address, have(owner.as_deref()));
        }
        let gone: BTreeMap<String, Arc<Retired>> = gone.into_iter()
            .filter(|(uid, _)| !used.contains(uid))
            .map(|(uid, purge)| (uid, Arc::new(retired(purge)))).collect();
        let mut served = BTreeMap::new();
        for _ in 0..3 {
            for (address, (uid, heir)) in &entries {
                let wanted = MailboxEntry { heir_of: heir.clone(), ..entry(uid) };
                if let Ok(moves) = moves(address, &wanted, &inventory, |owner| gone.contains_key(owner)) {
                    for step in &moves {
                        play(&mut inventory, step);
                    }
                    served.insert(address, uid);
                }
            }
            for (uid, retired) in &gone {
                for step in retirement(uid, retired, &inventory) {
                    play(&mut inventory, &step);
                }
            }
        }
        for (address, uid) in served {
            prop_assert_eq!(inventory.get(address).unwrap().owner.as_deref(), Some(uid.as_str()));
        }
        for owner in owners.values().flatten() {
            let heir = entries.values().find(|(_, heir)| heir.as_ref() == Some(owner)).map(|(uid, _)| uid.as_str());
            let purged = gone.get(owner).is_some_and(|retired| retired.purge);
            let there = inventory.place_of(owner).is_some();
            prop_assert!(there || purged || heir.is_some_and(|heir| inventory.place_of(heir).is_some()));
        }
    }
}

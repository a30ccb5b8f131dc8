//! Tests of what becomes of Secrets.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use proptest::prelude::*;

use super::*;
use crate::directory::{Entry, Index, MailboxEntry, Shard, encode_index, encode_shard, shard_of};

fn secret(issued: u64, content: Vec<u8>) -> Secret {
    let data = [(ISSUED, issued.to_string().into_bytes()), (CONTENT, content)];
    let data = data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value))).collect();
    Secret { data: Some(data), ..Secret::default() }
}

fn index(shards: u32, issued: u64, domains: &[&str]) -> Secret {
    let domains = domains.iter().map(ToString::to_string).collect();
    secret(
        issued,
        encode_index(&Index { shards, domains, token_key: "a".repeat(64), ..Index::default() }).unwrap(),
    )
}

fn mailbox(store: u32) -> Entry {
    let entry = MailboxEntry { store, quota: 1, ..MailboxEntry::default() };
    Entry::Mailbox(entry)
}

/// The Secret of one shard of a directory that holds `entries`.
fn shard(count: u32, position: u32, issued: u64, entries: &[(&str, Entry)]) -> Secret {
    let mine = |(address, _): &&(&str, Entry)| shard_of(address, count) == position;
    let entries = entries.iter().filter(mine).map(|(a, e)| ((*a).to_owned(), e.clone())).collect();
    secret(issued, encode_shard(&Shard { entries, ..Shard::default() }).unwrap())
}

struct World {
    folder: tempfile::TempDir,
    keeper: Keeper,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Self::start(folder.path());
        Self { folder, keeper }
    }

    fn start(folder: &std::path::Path) -> Keeper {
        let system = SystemName::new("n", "s");
        Keeper::start(system.clone(), Replica::new(system), Disk::open(folder).unwrap())
    }

    fn restart(mut self) -> Self {
        self.keeper = Self::start(self.folder.path());
        self
    }

    fn all(&mut self, count: u32, issued: u64, entries: &[(&str, Entry)]) {
        for position in 0..count {
            let part = Part::Shard { count, position };
            self.keeper.take(part, Some(shard(count, position, issued, entries)));
        }
    }

    fn store_of(&self, address: &str) -> Option<u32> {
        self.keeper.replica.find(address).map(|found| found.entry.store)
    }
}

#[test]
fn nothing_is_answered_before_all_shards_are_there() {
    let mut world = World::new();
    world.keeper.take(Part::Index, Some(index(2, 1, &["x.vn"])));
    let entries = [("an@x.vn", mailbox(3)), ("ba@x.vn", Entry::Alias("an@x.vn".into()))];
    world.keeper.take(Part::Shard { count: 2, position: 0 }, Some(shard(2, 0, 1, &entries)));
    assert!(!world.keeper.replica.loaded() && world.keeper.replica.domains().is_empty());
    world.all(2, 1, &entries);
    assert!(world.keeper.replica.loaded() && world.keeper.replica.has_domain("x.vn"));
    let found = world.keeper.replica.find("ba@x.vn").unwrap();
    assert_eq!((found.address.as_str(), found.entry.store), ("an@x.vn", 3));
    assert_eq!(world.keeper.replica.mailboxes_of_store(3).len(), 1);
    let issued = [("s-directory", 1), ("s-directory-2-0", 1), ("s-directory-2-1", 1)];
    let issued: BTreeMap<_, _> = issued.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    assert_eq!(world.keeper.replica.issued(), issued);
}

#[test]
fn a_restart_needs_the_disk_alone() {
    let mut world = World::new();
    world.keeper.take(Part::Index, Some(index(2, 1, &["x.vn"])));
    world.all(2, 1, &[("an@x.vn", mailbox(3))]);
    let world = world.restart();
    assert_eq!(world.store_of("an@x.vn"), Some(3));
    assert!(world.keeper.replica.token_key().is_some());
}

#[test]
fn an_older_issue_is_refused_also_after_a_restart_and_a_deleted_one_stays() {
    let mut world = World::new();
    world.keeper.take(Part::Index, Some(index(1, 5, &["x.vn"])));
    world.all(1, 5, &[("an@x.vn", mailbox(5))]);
    world = world.restart();
    world.all(1, 4, &[("an@x.vn", mailbox(4))]);
    world.keeper.take(Part::Index, Some(index(1, 4, &[])));
    world.keeper.take(Part::Shard { count: 1, position: 0 }, None);
    world.keeper.take(Part::Index, None);
    assert_eq!(world.store_of("an@x.vn"), Some(5));
    assert!(world.keeper.replica.has_domain("x.vn"));
    world.all(1, 6, &[("an@x.vn", mailbox(6))]);
    assert_eq!(world.store_of("an@x.vn"), Some(6));
}

#[test]
fn a_new_number_of_shards_serves_once_it_is_complete_and_a_crash_before_changes_nothing() {
    let mut world = World::new();
    world.keeper.take(Part::Index, Some(index(1, 1, &["x.vn"])));
    world.all(1, 1, &[("an@x.vn", mailbox(1))]);
    world.keeper.take(Part::Index, Some(index(2, 2, &["x.vn", "y.vn"])));
    let new = [("an@x.vn", mailbox(2)), ("bo@y.vn", mailbox(2))];
    world.keeper.take(Part::Shard { count: 2, position: 1 }, Some(shard(2, 1, 2, &new)));
    // The old directory is still kept up to date.
    world.all(1, 2, &[("an@x.vn", mailbox(7))]);
    assert_eq!((world.store_of("an@x.vn"), world.keeper.replica.has_domain("y.vn")), (Some(7), false));
    assert_eq!(world.keeper.parts().len(), 4);
    world = world.restart();
    assert_eq!(world.store_of("an@x.vn"), Some(7));

    world.keeper.take(Part::Index, Some(index(2, 2, &["x.vn", "y.vn"])));
    world.all(2, 2, &new);
    assert_eq!((world.store_of("an@x.vn"), world.keeper.replica.has_domain("y.vn")), (Some(2), true));
    assert_eq!(world.keeper.parts().len(), 3);
    let system = SystemName::new("n", "s");
    assert!(Disk::open(world.folder.path()).unwrap().load(&system.directory_shard(1, 0)).is_none());
    assert_eq!(world.restart().store_of("bo@y.vn"), Some(2));
}

#[test]
fn a_bad_secret_changes_nothing() {
    let mut world = World::new();
    world.keeper.take(Part::Index, Some(index(1, 1, &["x.vn"])));
    world.all(1, 1, &[("an@x.vn", mailbox(1))]);
    for bad in [Secret::default(), secret(9, b"junk".to_vec()), index(3, 9, &[]), index(0, 9, &[])] {
        world.keeper.take(Part::Index, Some(bad.clone()));
        world.keeper.take(Part::Shard { count: 1, position: 0 }, Some(bad));
    }
    assert_eq!(world.store_of("an@x.vn"), Some(1));
    assert!(world.keeper.replica.has_domain("x.vn"));
}

proptest! {
    /// Whatever comes in whatever order, the highest issue of each shard is what is held.
    #[test]
    fn the_newest_issue_of_each_shard_wins(offers in prop::collection::vec((0_u32..2, 1_u64..6), 2..20)) {
        let mut world = World::new();
        world.keeper.take(Part::Index, Some(index(2, 1, &["x.vn"])));
        world.all(2, 0, &[]);
        for (position, issued) in &offers {
            let part = Part::Shard { count: 2, position: *position };
            world.keeper.take(part, Some(shard(2, *position, *issued, &[])));
        }
        for position in 0..2 {
            let newest = offers.iter().filter(|(p, _)| *p == position).map(|(_, n)| *n).max().unwrap_or(0);
            prop_assert_eq!(world.keeper.replica.issued()[&format!("s-directory-2-{position}")], newest);
        }
    }
}

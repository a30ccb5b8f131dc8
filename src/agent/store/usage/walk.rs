//! A round through all folders of the spool: those whose index changed since the last one are read.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    sync::Arc,
};

use super::folder::{self, Error, Figures, Mark};
use crate::wire::cyrus::Place;

/// Mail that its owner wrote or put away: nobody waits to have it read.
const UNREAD_MATTERS_NOT: [&str; 4] = ["Drafts", "Sent", "Junk", "Trash"];
/// What is in there came from the owner's own programs.
const NOT_RECEIVED: [&str; 2] = ["Drafts", "Sent"];

/// What a mailbox holds in all its folders. Times are seconds of Unix time; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    /// Bytes.
    pub used: u64,
    /// Messages.
    pub messages: u32,
    /// Messages that the owner has not read, but for Junk, Trash, Drafts and Sent.
    pub unseen: u32,
    /// When the oldest of these came.
    pub oldest_unseen: u32,
    /// When the latest message came.
    pub received: u32,
}

/// What is known of a folder.
struct Known {
    mark: Mark,
    /// The mailbox that it is counted for; none if it is nobody's.
    address: Option<Arc<str>>,
    figures: Figures,
    round: u32,
}

/// The folders as they were found last.
#[derive(Default)]
pub(super) struct Folders {
    known: HashMap<Box<str>, Known>,
    addresses: HashSet<Arc<str>>,
    round: u32,
}

/// What a round found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The mailboxes that changed; those without a folder are gone.
    pub totals: HashMap<Arc<str>, Option<Total>>,
    /// Folders that could not be read, and of one of them the reason.
    pub unread: usize,
    pub trouble: Option<String>,
}

impl Folders {
    /// Looks at each folder under `spool`, at `now` (seconds of Unix time).
    ///
    /// # Errors
    /// The folders cannot be listed. Nothing is said to be gone then.
    pub(super) fn round(&mut self, spool: &Path, now: i64) -> io::Result<Found> {
        self.round += 1;
        let (mut touched, mut found) = (HashSet::new(), Found::default());
        // Of a store that has no mailbox yet.
        let root = spool.join("uuid");
        if !root.try_exists()? {
            return Ok(found);
        }
        for first in fs::read_dir(root)? {
            for second in fs::read_dir(first?.path())? {
                for entry in fs::read_dir(second?.path())? {
                    let entry = entry?;
                    let Ok(id) = entry.file_name().into_string() else { continue };
                    if let Err(error) = self.look(&id, &entry.path(), now, &mut touched) {
                        found.unread += 1;
                        found.trouble.get_or_insert_with(|| format!("{id}: {error}"));
                    }
                }
            }
        }
        let round = self.round;
        self.known.retain(|_, known| {
            let there = known.round == round;
            touched.extend(known.address.clone().filter(|_| !there));
            there
        });
        found.totals = self.totals(touched);
        Ok(found)
    }

    fn look(
        &mut self,
        id: &str,
        path: &Path,
        now: i64,
        touched: &mut HashSet<Arc<str>>,
    ) -> Result<(), Error> {
        let round = self.round;
        let mark = folder::mark(path, now);
        // One that cannot be read is counted as it was; one without an index is none.
        if let (Some(known), Err(_) | Ok(Some(_))) = (self.known.get_mut(id), &mark) {
            known.round = round;
        }
        let Some(mark) = mark? else { return Ok(()) };
        if self.known.get(id).is_some_and(|known| known.mark == mark && mark != Mark::default()) {
            return Ok(());
        }
        let place = folder::place(path)?.filter(|place| place.mail);
        let until = u32::try_from(now).unwrap_or(u32::MAX);
        let figures = match &place {
            Some(place) => counted(place, folder::figures(path, until)?),
            None => Figures::default(),
        };
        let address = place.map(|place| self.intern(place.address));
        let old = self.known.get(id);
        let latest = old.map_or(0, |old| old.figures.latest).max(figures.latest);
        let figures = Figures { latest, ..figures };
        if old.is_none_or(|old| old.figures != figures || old.address != address) {
            touched.extend(address.clone());
            touched.extend(old.and_then(|old| old.address.clone()));
        }
        self.known.insert(id.into(), Known { mark, address, figures, round });
        Ok(())
    }

    fn intern(&mut self, address: String) -> Arc<str> {
        let address: Arc<str> =
            self.addresses.get(address.as_str()).cloned().unwrap_or_else(|| address.into());
        self.addresses.insert(address.clone());
        address
    }

    /// One pass over all folders, however many mailboxes changed.
    fn totals(&mut self, touched: HashSet<Arc<str>>) -> HashMap<Arc<str>, Option<Total>> {
        let mut totals: HashMap<_, Option<Total>> =
            touched.into_iter().map(|address| (address, None)).collect();
        if totals.is_empty() {
            return totals;
        }
        for known in self.known.values() {
            if let Some(total) = known.address.as_ref().and_then(|address| totals.get_mut(address)) {
                *total = Some(total.unwrap_or_default().with(known.figures));
            }
        }
        self.addresses.retain(|address| totals.get(address).is_none_or(Option::is_some));
        totals
    }
}

impl Total {
    fn with(self, folder: Figures) -> Self {
        let oldest = [self.oldest_unseen, folder.oldest_unseen].into_iter().filter(|at| *at > 0).min();
        Self {
            used: self.used + folder.used,
            messages: self.messages.saturating_add(folder.messages),
            unseen: self.unseen.saturating_add(folder.unseen),
            oldest_unseen: oldest.unwrap_or_default(),
            received: self.received.max(folder.latest),
        }
    }
}

/// Of a folder's figures those that count.
fn counted(place: &Place, mut figures: Figures) -> Figures {
    let is_one_of = |names: &[&str]| place.top.as_deref().is_some_and(|top| names.contains(&top));
    if is_one_of(&UNREAD_MATTERS_NOT) {
        (figures.unseen, figures.oldest_unseen) = (0, 0);
    }
    if is_one_of(&NOT_RECEIVED) {
        figures.latest = 0;
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cyrus::testing::{Told, header, index};

    const NOW: i64 = 4_000_000_000;

    fn put(spool: &Path, id: &str, name: &str, messages: &[(u32, bool)]) {
        let path = spool.join("uuid").join(&id[..1]).join(&id[1..2]).join(id);
        fs::create_dir_all(&path).unwrap();
        let told =
            messages.iter().map(|(date, seen)| Told { date: *date, size: 10, seen: *seen, expunged: false });
        fs::write(path.join("cyrus.index"), index(&told.collect::<Vec<_>>())).unwrap();
        fs::write(path.join("cyrus.header"), header(name)).unwrap();
    }

    fn told(found: &Found) -> Vec<(String, Option<Total>)> {
        let mut told: Vec<_> =
            found.totals.iter().map(|(address, total)| (address.to_string(), *total)).collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    }

    fn total(used: u64, messages: u32, unseen: u32, oldest_unseen: u32, received: u32) -> Total {
        Total { used, messages, unseen, oldest_unseen, received }
    }

    #[test]
    fn a_mailbox_is_the_sum_of_its_folders_and_only_what_changed_is_told() {
        let spool = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        assert!(told(&folders.round(spool.path(), NOW).unwrap()).is_empty(), "a new store");
        put(spool.path(), "ab1", "x.vn!user.an", &[(100, true), (200, false)]);
        put(spool.path(), "ab2", "x.vn!user.an.Junk", &[(150, false)]);
        put(spool.path(), "ac3", "x.vn!user.an.Sent", &[(900, true)]);
        put(spool.path(), "ad4", "x.vn!user.binh", &[]);
        put(spool.path(), "ad5", "x.vn!DELETED.user.an.6B04D33E", &[(1, false)]);
        let found = folders.round(spool.path(), NOW).unwrap();
        let expected = [
            ("an@x.vn".into(), Some(total(40, 4, 1, 200, 200))),
            ("binh@x.vn".into(), Some(total(0, 0, 0, 0, 0))),
        ];
        assert_eq!(told(&found), expected);
        assert!(told(&folders.round(spool.path(), NOW).unwrap()).is_empty());

        put(spool.path(), "ad4", "x.vn!user.binh", &[(300, false)]);
        let found = folders.round(spool.path(), NOW).unwrap();
        assert_eq!(told(&found), [("binh@x.vn".into(), Some(total(10, 1, 1, 300, 300)))]);
        // It was read and expunged for good: when it came is known all the same.
        put(spool.path(), "ad4", "x.vn!user.binh", &[]);
        assert_eq!(
            told(&folders.round(spool.path(), NOW).unwrap()),
            [("binh@x.vn".into(), Some(total(0, 0, 0, 0, 300)))]
        );
    }

    #[test]
    fn a_mailbox_that_is_renamed_or_gone_leaves_nothing_behind() {
        let spool = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        put(spool.path(), "ab1", "x.vn!user.an", &[(100, true)]);
        folders.round(spool.path(), NOW).unwrap();
        put(spool.path(), "ab1", "x.vn!user.an^le", &[(100, true), (101, true)]);
        let found = folders.round(spool.path(), NOW).unwrap();
        assert_eq!(
            told(&found),
            [("an.le@x.vn".into(), Some(total(20, 2, 0, 0, 101))), ("an@x.vn".into(), None)]
        );
        fs::remove_dir_all(spool.path().join("uuid/a/b/ab1")).unwrap();
        assert_eq!(told(&folders.round(spool.path(), NOW).unwrap()), [("an.le@x.vn".into(), None)]);
        assert!(folders.known.is_empty() && folders.addresses.is_empty());
    }

    #[test]
    fn what_is_torn_is_counted_as_it_was_and_read_at_the_next_round() {
        let spool = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        put(spool.path(), "ab1", "x.vn!user.an", &[(100, true)]);
        put(spool.path(), "ab2", "x.vn!user.an.A", &[(100, true)]);
        folders.round(spool.path(), NOW).unwrap();
        let path = spool.path().join("uuid/a/b/ab1/cyrus.index");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..200]).unwrap();
        put(spool.path(), "ab2", "x.vn!user.an.A", &[(100, true), (102, true)]);
        let found = folders.round(spool.path(), NOW).unwrap();
        assert_eq!(
            (told(&found), found.unread),
            (vec![("an@x.vn".into(), Some(total(30, 3, 0, 0, 102)))], 1)
        );
        assert!(found.trouble.unwrap().contains("ab1"));
        put(spool.path(), "ab1", "x.vn!user.an", &[(100, true), (103, true)]);
        let found = folders.round(spool.path(), NOW).unwrap();
        assert_eq!(told(&found), [("an@x.vn".into(), Some(total(40, 4, 0, 0, 103)))]);
    }
}

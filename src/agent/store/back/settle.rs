//! What becomes of a mailbox of which two stores have different versions. Two lists come in, what has to be done on the
//! serving one goes out. Pure.
//!
//! A message is known by its journal id, else by its content (GUID): redelivered it has another GUID, copied or moved the
//! same. A record that both have (folder, UID, GUID, and when it was saved) is a *twin*. In order of importance:
//!
//! 1. A message is not lost: one that lives in the former primary's list, and that the present one does not know, is
//!    appended. When in doubt it is kept.
//! 2. *Deleted on either side wins*: in one list there is no live record of it, and one that was expunged there and not on
//!    both sides alike. An expunge that both have, by number and time, is no news: it was replicated.
//! 3. Moves and copies that only the former primary knows are done again, as long as the present one still has a twin of
//!    what was moved.
//! 4. Flags are those of the side that changed the record last.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::listing::{Flags, Folder, Mailbox, Message};

/// A store forgets expunged records after 30 days: a record that the other lacks says nothing when it is almost as old.
const FORGOTTEN: u32 = 20 * 24 * 3600;

/// What has to be done on the present primary, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a folder.
    Create {
        /// What its owner calls it.
        path: String,
    },
    /// Add a message.
    Append {
        /// Folder and UID of it on the former primary.
        from: (String, u32),
        /// The folder, by its path.
        path: String,
        /// The message.
        message: Message,
        /// UIDs of records with its content in that folder, beside which it is wanted.
        besides: Vec<u32>,
        /// No record of it is known: then one that came meanwhile is it.
        new: bool,
    },
    /// Change flags.
    Flag {
        /// The folder's unique id.
        folder: String,
        /// The message in it.
        message: (u32, String),
        /// Flags to add.
        add: Flags,
        /// Flags to take away.
        remove: Flags,
    },
    /// Delete a message.
    Expunge {
        /// The folder's unique id.
        folder: String,
        /// UID and GUID of the message in it.
        message: (u32, String),
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What has to be done.
    pub actions: Vec<Action>,
    /// The former primary has nothing that Cyrus would bring back when it follows.
    pub contained: bool,
}

/// Settles what the former primary `former` has against what the `present` one has, at `now` (Unix seconds).
#[must_use]
pub fn settle(former: &Mailbox, present: &Mailbox, now: u32) -> Settlement {
    let sides = Sides { former: Side::of(former), present: Side::of(present), now };
    let mut work = Work::default();
    for (id, folder) in &sides.former.folders {
        if folder.mail && !folder.deleted && !sides.present.folders.contains_key(id) {
            work.need(sides.path_for(folder), &sides);
        }
    }
    for group in Sides::groups(former, present).into_values() {
        group.settle(&sides, &mut work);
    }
    let actions = work.into_actions();
    let contained = actions.is_empty() && sides.contained();
    Settlement { actions, contained }
}

type Entry<'a> = (&'a Folder, &'a Message);

fn is_live((folder, message): &Entry) -> bool {
    !folder.deleted && !message.expunged
}

/// One store's list, to be looked into.
struct Side<'a> {
    folders: BTreeMap<&'a str, &'a Folder>,
    records: HashMap<(&'a str, u32), Entry<'a>>,
    paths: HashSet<&'a str>,
}

impl<'a> Side<'a> {
    fn of(mailbox: &'a Mailbox) -> Self {
        let folders: BTreeMap<_, _> = mailbox.folders.iter().map(|it| (it.id.as_str(), it)).collect();
        let records = folders.values().flat_map(|folder| {
            folder.messages.iter().map(|message| ((folder.id.as_str(), message.uid), (*folder, message)))
        });
        let live = folders.values().filter(|folder| !folder.deleted);
        Self {
            records: records.collect(),
            paths: live.map(|folder| folder.path.as_str()).collect(),
            folders: folders.clone(),
        }
    }

    /// The record that is the same message at the same place. What is appended may get the very UID that it had on the
    /// other store, but not at the same time.
    fn twin(&self, (folder, message): &Entry<'a>) -> Option<Entry<'a>> {
        let found = self.records.get(&(folder.id.as_str(), message.uid)).copied();
        found.filter(|(_, twin)| (&twin.guid, twin.saved) == (&message.guid, message.saved))
    }
}

struct Sides<'a> {
    former: Side<'a>,
    present: Side<'a>,
    now: u32,
}

impl<'a> Sides<'a> {
    /// All records by message, those of mail alone.
    fn groups(former: &'a Mailbox, present: &'a Mailbox) -> BTreeMap<&'a str, Group<'a>> {
        let entries = |mailbox: &'a Mailbox| {
            let mail = mailbox.folders.iter().filter(|folder| folder.mail);
            mail.flat_map(|folder| folder.messages.iter().map(move |message| (folder, message)))
        };
        // Where one side could not read the headers the other knows the id.
        let all = entries(former).chain(entries(present));
        let ids: HashMap<&str, &str> =
            all.filter_map(|(_, it)| Some((it.guid.as_str(), it.id.as_deref()?))).collect();
        let key = |message: &'a Message| ids.get(message.guid.as_str()).copied().unwrap_or(&message.guid);
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for entry in entries(former) {
            groups.entry(key(entry.1)).or_default().former.push(entry);
        }
        for entry in entries(present) {
            groups.entry(key(entry.1)).or_default().present.push(entry);
        }
        groups
    }

    /// Where on the present primary the messages of the former's `folder` belong.
    fn path_for(&self, folder: &'a Folder) -> &'a str {
        let same = self.present.folders.get(folder.id.as_str()).filter(|same| !same.deleted);
        same.map_or(&folder.path, |same| &same.path)
    }

    /// Whether a record that does not live tells of a deletion which the other side does not know of.
    fn is_news(&self, (folder, message): &Entry<'a>, twin: Option<Entry<'a>>) -> bool {
        match twin {
            Some(twin) if is_live(&twin) => true,
            Some((other, twin)) if folder.deleted || other.deleted => {
                folder.deleted != other.deleted && !(message.expunged && twin.expunged)
            }
            Some((_, twin)) => (message.modseq, message.updated) != (twin.modseq, twin.updated),
            // A deleted folder's messages are not deleted one by one.
            None => !folder.deleted && message.updated.saturating_add(FORGOTTEN) > self.now,
        }
    }

    fn contained(&self) -> bool {
        self.former.folders.values().all(|folder| {
            self.present.folders.get(folder.id.as_str()).is_some_and(|other| {
                let same = folder.deleted == other.deleted && folder.validity == other.validity;
                let named = folder.deleted || folder.path == other.path;
                let behind = folder.last_uid <= other.last_uid && folder.modseq <= other.modseq;
                let has = |message: &Message| {
                    self.present.twin(&(folder, message)).is_some_and(|(_, twin)| follows(message, twin))
                };
                same && named && behind && folder.messages.iter().all(has)
            })
        })
    }
}

/// Whether Cyrus takes `later` over `record` without a question.
fn follows(record: &Message, later: &Message) -> bool {
    let same =
        (record.updated, record.expunged, &record.flags) == (later.updated, later.expunged, &later.flags);
    match record.modseq.cmp(&later.modseq) {
        std::cmp::Ordering::Less => !record.expunged || later.expunged,
        std::cmp::Ordering::Equal => same,
        std::cmp::Ordering::Greater => false,
    }
}

/// All records of a message.
#[derive(Default)]
struct Group<'a> {
    former: Vec<Entry<'a>>,
    present: Vec<Entry<'a>>,
}

impl<'a> Group<'a> {
    fn settle(&self, sides: &Sides<'a>, work: &mut Work) {
        let lives = |entries: &[Entry]| entries.iter().any(is_live);
        match (lives(&self.former), lives(&self.present)) {
            (true, false) if !self.is_deleted_on_present(sides) => self.append(self.living(), sides, work),
            (false, true) if self.is_deleted_on_former(sides) => self.expunge_all(work),
            (true, true) => {
                self.move_along(sides, work);
                self.flag(sides, work);
            }
            _ => {}
        }
    }

    fn living(&self) -> Vec<Entry<'a>> {
        self.former.iter().copied().filter(is_live).collect()
    }

    fn is_deleted_on_present(&self, sides: &Sides<'a>) -> bool {
        self.present.iter().any(|entry| !is_live(entry) && sides.is_news(entry, sides.former.twin(entry)))
    }

    fn is_deleted_on_former(&self, sides: &Sides<'a>) -> bool {
        self.former.iter().any(|entry| {
            let twin = sides.present.twin(entry);
            let counts = !entry.0.deleted || twin.as_ref().is_some_and(is_live);
            !is_live(entry) && counts && sides.is_news(entry, twin)
        })
    }

    fn append(&self, entries: Vec<Entry<'a>>, sides: &Sides<'a>, work: &mut Work) {
        for entry in entries {
            let path = sides.path_for(entry.0);
            let besides = self
                .present
                .iter()
                .filter(|(folder, it)| !folder.deleted && folder.path == path && it.guid == entry.1.guid);
            let besides = besides.map(|(_, it)| it.uid).collect();
            work.append(entry, sides, (besides, self.present.is_empty()));
        }
    }

    /// Every copy, but what was made on the present primary of a message that both had: somebody worked on it.
    fn expunge_all(&self, work: &mut Work) {
        let known: HashSet<&str> = self.former.iter().map(|(_, it)| it.guid.as_str()).collect();
        let redelivered = !self.present.iter().any(|(_, it)| known.contains(it.guid.as_str()));
        for entry in self.present.iter().filter(|entry| is_live(entry)) {
            if redelivered || known.contains(entry.1.guid.as_str()) {
                work.expunge(entry);
            }
        }
    }

    /// The former primary has it at places of which the present one does not know.
    fn move_along(&self, sides: &Sides<'a>, work: &mut Work) {
        let twins: Vec<_> =
            self.present.iter().filter_map(|it| Some((*it, sides.former.twin(it)?))).collect();
        let mut missing = self.living();
        missing.retain(|entry| self.at(entry, sides).next().is_none());
        if twins.is_empty() {
            // It was delivered anew, and that stays alone; or an earlier try did not come to its end.
            missing.retain(|entry| self.present.iter().any(|(_, it)| it.guid == entry.1.guid));
        } else if !twins.iter().any(|(there, _)| is_live(there)) {
            // Somebody moved it on the present primary.
            return;
        }
        let stays = !missing.is_empty()
            || self.living().iter().any(|entry| self.at(entry, sides).any(|there| is_live(&there)));
        self.append(missing, sides, work);
        for (there, twin) in twins.iter().filter(|(there, twin)| is_live(there) && !is_live(twin)) {
            // Within a folder a move changes nothing but the UID.
            let is_place = self.living().iter().any(|entry| Self::is_at(entry, there, sides));
            if stays && !is_place && !twin.0.deleted && sides.is_news(twin, Some(*there)) {
                work.expunge(there);
            }
        }
    }

    /// The records of the same content that the present primary has where this one of the former's belongs, but those that
    /// are gone on both sides.
    fn at(&self, entry: &Entry<'a>, sides: &Sides<'a>) -> impl Iterator<Item = Entry<'a>> {
        self.present.iter().copied().filter(|there| {
            let gone = || !is_live(there) && sides.former.twin(there).is_some_and(|twin| !is_live(&twin));
            Self::is_at(entry, there, sides) && !gone()
        })
    }

    fn is_at(entry: &Entry<'a>, there: &Entry<'a>, sides: &Sides<'a>) -> bool {
        let (folder, message) = there;
        let path = sides.path_for(entry.0);
        message.guid == entry.1.guid && (folder.id == entry.0.id || (!folder.deleted && folder.path == path))
    }

    fn flag(&self, sides: &Sides<'a>, work: &mut Work) {
        for (entry, there) in self.living().iter().filter_map(|it| Some((*it, sides.present.twin(it)?))) {
            let (mine, theirs) = (entry.1, there.1);
            let add = mine.flags.without(&theirs.flags);
            let remove = theirs.flags.without(&mine.flags);
            match mine.updated.cmp(&theirs.updated) {
                _ if !is_live(&there) => {}
                std::cmp::Ordering::Greater => work.flag(&there, add, remove),
                std::cmp::Ordering::Equal => work.flag(&there, add, Flags::default()),
                std::cmp::Ordering::Less => {}
            }
        }
    }
}

/// Actions by kind.
#[derive(Default)]
struct Work {
    folders: BTreeSet<String>,
    appends: BTreeMap<(String, String), Action>,
    flags: Vec<Action>,
    expunges: Vec<Action>,
}

impl Work {
    fn need(&mut self, path: &str, sides: &Sides) {
        if !sides.present.paths.contains(path) {
            self.folders.insert(path.to_owned());
        }
    }

    fn append<'a>(
        &mut self,
        (folder, message): Entry<'a>,
        sides: &Sides<'a>,
        (besides, new): (Vec<u32>, bool),
    ) {
        let path = sides.path_for(folder).to_owned();
        self.need(&path, sides);
        let from = (folder.id.clone(), message.uid);
        let at = (path.clone(), message.guid.clone());
        self.appends.entry(at).or_insert(Action::Append {
            from,
            path,
            message: message.clone(),
            besides,
            new,
        });
    }

    fn flag(&mut self, (folder, message): &Entry, add: Flags, remove: Flags) {
        if add != remove {
            let message = (message.uid, message.guid.clone());
            self.flags.push(Action::Flag { folder: folder.id.clone(), message, add, remove });
        }
    }

    fn expunge(&mut self, (folder, message): &Entry) {
        let message = (message.uid, message.guid.clone());
        self.expunges.push(Action::Expunge { folder: folder.id.clone(), message });
    }

    fn into_actions(self) -> Vec<Action> {
        let folders = self.folders.into_iter().map(|path| Action::Create { path });
        folders.chain(self.appends.into_values()).chain(self.flags).chain(self.expunges).collect()
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;

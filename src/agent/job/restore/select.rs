//! Which messages of a mailbox are asked for, as far as its manifest tells, and where each goes. Pure.

use std::collections::{BTreeSet, HashSet};

use crate::{
    agent::store::restore::{Owned, protocol::Flags},
    api::restore::{Filter, Target},
    backup::manifest::{Contents, Folder, Guid, Message, encoded},
};

/// What Cyrus calls the kind of a folder for mail.
const MAIL: &str = "e";

/// A folder of a snapshot from which messages come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its unique id.
    pub id: String,
    /// Its path as people see it.
    pub folder: String,
    /// Where its messages go, as Cyrus names it to the owner.
    pub path: String,
    /// Messages in it, whether they are asked for or not.
    pub messages: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are asked for, by UID.
    pub items: Vec<Item>,
}

/// A message that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its UID in the snapshot, by which its file is named.
    pub uid: u32,
    /// The SHA-1 of its file.
    pub guid: String,
    /// When it was delivered, Unix seconds.
    pub date: u32,
    /// Bytes of its file.
    pub size: u32,
    /// Its flags.
    pub flags: Flags,
}

/// The messages of a mailbox that fit, as far as the manifest tells; headers are not in it.
#[must_use]
pub fn select(contents: &Contents, filter: &Filter, target: Option<&Target>) -> Vec<Source> {
    let live = live(contents);
    let mut sources = Vec::new();
    // The same content twice in a folder is one message.
    let mut taken: HashSet<(String, Guid)> = HashSet::new();
    for (folder, messages) in &contents.folders {
        if !is_asked_for(folder, filter) {
            continue;
        }
        let path = path(folder, target);
        let mut fits = |message: &&Message| {
            let gone = folder.deleted || message.expunged;
            // What was moved is expunged where it was.
            let asked = !gone || (filter.expunged && !live.contains(&message.guid));
            asked && is_in_time(message, filter) && taken.insert((path.clone(), message.guid))
        };
        let items: Vec<_> = messages.iter().filter(&mut fits).map(item).collect();
        if !items.is_empty() {
            let bytes = messages.iter().map(|message| u64::from(message.size)).sum();
            let (id, folder, messages) = (folder.id.clone(), folder.folder.clone(), messages.len());
            sources.push(Source { id, folder, path, messages, bytes, items });
        }
    }
    sources
}

fn live(contents: &Contents) -> HashSet<Guid> {
    let folders = contents.folders.iter().filter(|(folder, _)| !folder.deleted && folder.kind == MAIL);
    let messages = folders.flat_map(|(_, messages)| messages).filter(|message| !message.expunged);
    messages.map(|message| message.guid).collect()
}

fn item(message: &Message) -> Item {
    let flags: BTreeSet<_> = message.flags.iter().cloned().collect();
    Item {
        uid: message.uid,
        guid: message.guid.to_string(),
        date: message.date,
        size: message.size,
        flags: Flags(flags),
    }
}

/// Whether a folder may have messages that are asked for.
#[must_use]
pub fn is_asked_for(folder: &Folder, filter: &Filter) -> bool {
    let named = filter.folder.as_deref().is_none_or(|wanted| is_within(&folder.folder, wanted));
    folder.kind == MAIL && named && (filter.expunged || !folder.deleted)
}

/// Whether `folder` is the other, or below it. `INBOX` may be written in any case.
fn is_within(folder: &str, wanted: &str) -> bool {
    if wanted.eq_ignore_ascii_case("INBOX") && folder == "INBOX" {
        return true;
    }
    folder.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a message was delivered when it has to be.
#[must_use]
pub fn is_in_time(message: &Message, filter: &Filter) -> bool {
    let date = i64::from(message.date);
    filter.after.as_ref().is_none_or(|after| date >= after.0.as_second())
        && filter.before.as_ref().is_none_or(|before| date < before.0.as_second())
}

/// Where messages of a folder go, as Cyrus names it to the owner.
fn path(folder: &Folder, target: Option<&Target>) -> String {
    let own = own_path(folder);
    match target.and_then(|target| target.folder.as_deref()).map(encoded) {
        None => own,
        Some(below) if own == "INBOX" => below,
        Some(below) => format!("{below}/{own}"),
    }
}

/// What the owner's folder is called; of one that was deleted, without the time that Cyrus adds to its name.
fn own_path(folder: &Folder) -> String {
    match Owned::inner(&folder.name) {
        Some(Owned { path, deleted: false, .. }) => path,
        Some(Owned { path, .. }) => path.rsplit_once('/').map_or("INBOX", |(path, _)| path).to_owned(),
        None => encoded(&folder.folder),
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;

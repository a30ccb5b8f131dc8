//! What is different between two manifests of a mailbox.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{Contents, Folder, Message};

/// A difference, from the first to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The second lacks a folder, which held so many messages.
    FolderGone(Folder, u64),
    /// The second has a folder more, which holds so many messages.
    FolderNew(Folder, u64),
    /// A folder has another path, is deleted now, or is no longer.
    FolderMoved(Folder, Folder),
    /// A folder's UIDs are not those of the first: its messages cannot be compared by them.
    UidValidity(Folder, Folder),
    /// The second lacks a message of this folder.
    Gone(Folder, Message),
    /// The second has a message more in this folder.
    New(Folder, Message),
    /// Another message has the UID: its digest or its size is different.
    Content(Folder, Message, Message),
    /// Flags, date or being expunged are different.
    Marks(Folder, Message, Message),
}

impl Change {
    /// Whether mail is lost by it: a message that was not expunged is not there, or is another.
    #[must_use]
    pub fn loses_mail(&self) -> bool {
        match self {
            Self::FolderGone(folder, messages) => !folder.deleted && *messages > 0,
            Self::Gone(_, message) | Self::Content(_, message, _) => !message.expunged,
            Self::UidValidity(..) => true,
            Self::FolderNew(..) | Self::FolderMoved(..) | Self::New(..) | Self::Marks(..) => false,
        }
    }
}

/// The differences, folder by folder in the order of their ids, each by UID.
#[must_use]
pub fn difference(first: &Contents, second: &Contents) -> Vec<Change> {
    let by_id = |contents: &'_ Contents| -> BTreeMap<String, usize> {
        contents.folders.iter().enumerate().map(|(at, (folder, _))| (folder.id.clone(), at)).collect()
    };
    let (ours, theirs) = (by_id(first), by_id(second));
    let mut changes = Vec::new();
    for (id, at) in &ours {
        let (folder, messages) = &first.folders[*at];
        match theirs.get(id).map(|at| &second.folders[*at]) {
            None => changes.push(Change::FolderGone(folder.clone(), live(messages))),
            Some(other) => folders((folder, messages), (&other.0, &other.1), &mut changes),
        }
    }
    let new = theirs.iter().filter(|(id, _)| !ours.contains_key(*id)).map(|(_, at)| &second.folders[*at]);
    changes.extend(new.map(|(folder, messages)| Change::FolderNew(folder.clone(), live(messages))));
    changes
}

fn live(messages: &[Message]) -> u64 {
    messages.iter().filter(|message| !message.expunged).count() as u64
}

type Side<'a> = (&'a Folder, &'a [Message]);

fn folders(first: Side<'_>, second: Side<'_>, changes: &mut Vec<Change>) {
    let (folder, other) = (first.0, second.0);
    if folder.uid_validity != other.uid_validity {
        changes.push(Change::UidValidity(folder.clone(), other.clone()));
        return;
    }
    if folder != other {
        changes.push(Change::FolderMoved(folder.clone(), other.clone()));
    }
    let (mut ours, mut theirs) = (first.1.iter().peekable(), second.1.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.uid.cmp(&b.uid),
        };
        let a = if order.is_le() { ours.next() } else { None };
        let b = if order.is_ge() { theirs.next() } else { None };
        changes.extend(message(folder, a, b));
    }
}

fn message(folder: &Folder, a: Option<&Message>, b: Option<&Message>) -> Option<Change> {
    match (a, b) {
        (Some(a), None) => Some(Change::Gone(folder.clone(), a.clone())),
        (None, Some(b)) => Some(Change::New(folder.clone(), b.clone())),
        (Some(a), Some(b)) if (a.guid, a.size) != (b.guid, b.size) => {
            Some(Change::Content(folder.clone(), a.clone(), b.clone()))
        }
        (Some(a), Some(b)) if a != b => Some(Change::Marks(folder.clone(), a.clone(), b.clone())),
        _ => None,
    }
}

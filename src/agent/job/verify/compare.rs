//! What Cyrus serves of a mailbox, compared with its manifest. Pure.
//!
//! The names in Cyrus' list of mailboxes were copied first, and the folders after them, so that two differences are none: a folder
//! that was renamed or deleted in between is listed under its former name, and one that was made in between is not listed. Hence
//! folders are compared by their unique ids, and the latter is known by its UIDVALIDITY, which is the time at which it was made.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    findings::{Findings, Kind},
    responses::Fetched,
    session::Opened,
};
use crate::backup::manifest::{Contents, Folder, Head, Message};

/// So long before the volume was frozen a folder may have been made by clocks that differ: milliseconds.
const CLOCKS: i64 = 60_000;

/// What Cyrus says of the folders of a mailbox.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Those that were opened, by their ids, with their names.
    pub opened: BTreeMap<String, (Vec<u8>, Opened)>,
    /// Those that are listed and cannot be opened: their names, and why.
    pub refused: Vec<(Vec<u8>, String)>,
}

/// Whether Cyrus should serve a folder to its owner.
#[must_use]
pub fn is_served(folder: &Folder) -> bool {
    !folder.deleted && folder.kind.starts_with('e')
}

/// Compares folders and the numbers of their messages.
pub fn folders(head: &Head, contents: &Contents, served: &Served, findings: &mut Findings) {
    let mailbox = contents.mailbox.as_deref();
    let mut known = BTreeSet::new();
    for (folder, messages) in &contents.folders {
        known.insert(folder.id.as_str());
        if is_served(folder)
            && let Some(what) = difference(head, folder, messages, served)
        {
            findings.add(Kind::Folder, mailbox, format!("folder {}: {what}", folder.id));
        }
    }
    for (name, why) in &served.refused {
        findings.add(Kind::Folder, mailbox, format!("Cyrus cannot open {}: {why}", name.escape_ascii()));
    }
    for id in served.opened.keys().filter(|id| !known.contains(id.as_str())) {
        findings.add(Kind::Folder, mailbox, format!("folder {id} is not in the manifest"));
    }
}

fn difference(head: &Head, folder: &Folder, messages: &[Message], served: &Served) -> Option<String> {
    let Some((_, opened)) = served.opened.get(&folder.id) else {
        // One that cannot be opened is told by its name.
        let told = !served.refused.is_empty() || was_made_meanwhile(head, folder);
        return (!told).then(|| "Cyrus does not have it".to_owned());
    };
    let (is, was) = (opened.uid_validity, folder.uid_validity);
    if is != was {
        return Some(format!("its UIDVALIDITY is {is}, and was {was}"));
    }
    let (is, was) = (u64::from(opened.exists), live(messages));
    (is != was).then(|| format!("it has {is} messages, and had {was}"))
}

/// Whether it was made while the volume was frozen.
fn was_made_meanwhile(head: &Head, folder: &Folder) -> bool {
    let made = i64::from(folder.uid_validity).saturating_mul(1000);
    let lag = head.lag.and_then(|lag| i64::try_from(lag).ok()).unwrap_or_default();
    made.saturating_add(lag).saturating_add(CLOCKS) >= head.frozen
}

fn live(messages: &[Message]) -> u64 {
    messages.iter().filter(|message| !message.expunged).count() as u64
}

/// Compares messages that were read: all of `asked`, in order, should have come.
pub fn messages(
    mailbox: Option<&str>,
    folder: &Folder,
    all: &[Message],
    asked: &[u32],
    came: &[Fetched],
    findings: &mut Findings,
) {
    let came: BTreeMap<u32, &Fetched> = came.iter().map(|fetched| (fetched.uid, fetched)).collect();
    for uid in asked {
        let found = all.binary_search_by_key(uid, |message| message.uid).ok().map(|at| &all[at]);
        let what = match (found, came.get(uid)) {
            (Some(message), Some(fetched)) => unlike(message, fetched),
            _ => Some("is not served"),
        };
        if let Some(what) = what {
            findings.add(Kind::Message, mailbox, format!("UID {uid} in folder {} {what}", folder.id));
        }
    }
}

fn unlike(message: &Message, fetched: &Fetched) -> Option<&'static str> {
    if fetched.guid != Some(message.guid) {
        return Some("has another content");
    }
    // Who opens a folder first sees what is recent.
    let flags = |flags: &[String]| -> BTreeSet<String> {
        flags.iter().filter(|flag| *flag != "\\Recent").cloned().collect()
    };
    (flags(&fetched.flags) != flags(&message.flags)).then_some("has other flags")
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;

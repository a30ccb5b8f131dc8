//! What a store has of a mailbox on its disk, what was deleted and is still kept included. Read only, beside a running Cyrus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::protocol::Mailbox;
use crate::agent::store::{
    back::{
        carry::file_of,
        listing::{contents, hex},
    },
    provision::Owned,
};

/// The folders of a mailbox with their ids.
pub type Folders = Vec<(Owned, String)>;

/// What lives in each folder for mail, and what there is at all. It blocks.
///
/// # Errors
/// A folder's files cannot be read.
pub fn mailbox(spool: &Path, folders: &Folders) -> io::Result<Mailbox> {
    let mut mailbox = Mailbox::default();
    for (folder, id) in folders.iter().filter(|(folder, _)| is_for_mail(&folder.path)) {
        let mut live = BTreeSet::new();
        for (_, guid, lives) in contents(spool, id)? {
            if lives && !folder.deleted {
                live.insert(guid.clone());
            }
            mailbox.kept.insert(guid);
        }
        if !folder.deleted {
            mailbox.folders.insert(folder.path.clone(), live);
        }
    }
    Ok(mailbox)
}

/// Programs' folders have names that no mail client makes.
fn is_for_mail(path: &str) -> bool {
    !path.starts_with('#') && !path.contains("/#")
}

/// The messages with these contents that are there in whole, live or not. It blocks.
///
/// # Errors
/// A folder's files cannot be read.
pub fn kept(
    spool: &Path,
    folders: &Folders,
    guids: &BTreeSet<String>,
) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for (_, id) in folders {
        for (uid, guid, _) in contents(spool, id)? {
            if guids.contains(&guid)
                && !found.contains_key(&guid)
                && let Ok(bytes) = fs::read(file_of(spool, id, uid)?)
                && is(&bytes, &guid)
            {
                found.insert(guid, bytes);
            }
        }
    }
    Ok(found)
}

/// Whether a message has this content.
#[must_use]
pub fn is(bytes: &[u8], guid: &str) -> bool {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()) == guid
}

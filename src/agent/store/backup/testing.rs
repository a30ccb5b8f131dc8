//! Spools like Cyrus', for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;

use crate::wire::cyrus::testing::{Kept, header, kept};

pub(in crate::agent) const EXPUNGED: u32 = 1 << 31;
pub(super) const UNLINKED: u32 = 1 << 30;
pub(super) const SEEN: u32 = 1 << 4;

pub(super) fn sha1(text: &str) -> [u8; 20] {
    aws_lc_rs::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().try_into().unwrap()
}

/// A folder with these messages: their flags and their content.
pub(in crate::agent) fn put(root: &Path, id: &str, name: &str, messages: &[(u32, &str)]) -> PathBuf {
    let path = root.join("spool/uuid").join(&id[..1]).join(&id[1..2]).join(id);
    fs::create_dir_all(&path).unwrap();
    let head = header(name);
    let list = format!("I {id} U ($A $B)");
    let at = head.windows(4).position(|window| window == b"I 8f").unwrap();
    let head = [&head[..at], list.as_bytes(), &head[at + 4..]].concat();
    let told: Vec<_> = (1..)
        .zip(messages)
        .map(|(uid, (flags, text))| Kept {
            uid,
            guid: sha1(text),
            date: 100 + uid,
            size: u32::try_from(text.len()).unwrap(),
            flags: *flags,
            keywords: 2,
        })
        .collect();
    fs::write(path.join("cyrus.index"), kept(7, &head, &told)).unwrap();
    fs::write(path.join("cyrus.header"), head).unwrap();
    for (kept, (flags, text)) in told.iter().zip(messages) {
        if flags & UNLINKED == 0 {
            fs::write(path.join(format!("{}.", kept.uid)), text).unwrap();
        }
    }
    path
}

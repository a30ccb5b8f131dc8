//! Manifests and Cyrus' answers, for tests.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::backup::manifest::{Folder, Guid, Message};

pub(super) fn sha1(text: &str) -> Guid {
    Guid(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().try_into().unwrap())
}

pub(super) fn folder(id: &str) -> Folder {
    Folder {
        folder: id.into(),
        name: format!("x.vn!user.an.{id}"),
        id: id.into(),
        kind: "e".into(),
        uid_validity: 7,
        deleted: false,
    }
}

pub(super) fn message(uid: u32) -> Message {
    let flags = vec!["\\Seen".to_owned(), "$Label1".to_owned()];
    Message { uid, guid: sha1(&uid.to_string()), date: 1, size: 1, flags, expunged: false }
}

//! Whether a message of a manifest has its file, and whether that is the message.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    path::Path,
    time::SystemTime,
};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::backup::manifest::{Guid, Message};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The folder cannot be read: it is not in the manifest.
    Unread(String),
    /// A message has no file. One that was expunged may lose it at any time.
    Missing {
        /// Its UID.
        uid: u32,
        /// Whether it was expunged.
        expunged: bool,
    },
    /// A message's file has another size.
    Size {
        /// Its UID.
        uid: u32,
        /// The size of the file.
        is: u64,
    },
    /// A message's file is another message.
    Digest {
        /// Its UID.
        uid: u32,
        /// The file's digest.
        is: Guid,
    },
    /// A message's file cannot be read.
    Unreadable {
        /// Its UID.
        uid: u32,
        /// Why.
        why: String,
    },
}

/// How well files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether each is there, with its size.
    Present,
    /// Whether its SHA-1 is that of the index, too.
    Digest,
    /// The same of files that were made since then, and whether others are there. A file system that does not know when a file
    /// was made has only new ones.
    Since(SystemTime),
}

impl Depth {
    fn reads(self, about: &Metadata) -> bool {
        match self {
            Self::Present => false,
            Self::Digest => true,
            Self::Since(then) => about.created().map_or(true, |made| made >= then),
        }
    }
}

/// What is wrong with a message's file, if something is.
#[must_use]
pub fn wrong(folder: &Path, message: &Message, depth: Depth) -> Option<Wrong> {
    let uid = message.uid;
    let path = folder.join(format!("{uid}."));
    let unreadable = |error: &io::Error| match error.kind() {
        ErrorKind::NotFound => Wrong::Missing { uid, expunged: message.expunged },
        _ => Wrong::Unreadable { uid, why: error.to_string() },
    };
    match fs::symlink_metadata(&path) {
        Err(error) => return Some(unreadable(&error)),
        Ok(about) if !about.is_file() || about.len() != u64::from(message.size) => {
            return Some(Wrong::Size { uid, is: about.len() });
        }
        Ok(about) if !depth.reads(&about) => return None,
        Ok(_) => {}
    }
    match digest(&path) {
        Ok(is) if is == message.guid => None,
        Ok(is) => Some(Wrong::Digest { uid, is }),
        Err(error) => Some(unreadable(&error)),
    }
}

/// The SHA-1 of a file.
fn digest(path: &Path) -> io::Result<Guid> {
    let (mut file, mut context) = (File::open(path)?, Context::new(&SHA1_FOR_LEGACY_USE_ONLY));
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    let digest = context.finish();
    digest.as_ref().try_into().map(Guid).map_err(|_| io::Error::other("a digest of 20 bytes was expected"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_that_were_made_before_are_only_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1."), "another").unwrap();
        let message =
            Message { uid: 1, guid: Guid([0; 20]), date: 1, size: 7, flags: Vec::new(), expunged: false };
        let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
        let found = |depth| wrong(folder.path(), &message, depth);
        assert!(matches!(found(Depth::Since(now - hour)), Some(Wrong::Digest { .. })));
        // Where the file system knows.
        let knows = fs::metadata(folder.path().join("1.")).unwrap().created().is_ok();
        assert_eq!(found(Depth::Since(now + hour)).is_none(), knows);
        fs::remove_file(folder.path().join("1.")).unwrap();
        assert!(matches!(found(Depth::Since(now + hour)), Some(Wrong::Missing { .. })));
    }
}

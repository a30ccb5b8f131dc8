//! A volume like a store's, with files like Cyrus 3.10's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

const GREETING: &[u8] = b"\xa1\x02\x8b\rCyrus mailbox header\n\
    \"The best thing about this system was that it had lots of goals.\"\n\t--Jim Morris on Andrew\n";

pub(crate) struct Volume(pub(crate) PathBuf);

impl Volume {
    pub(crate) fn new(path: PathBuf) -> Self {
        for folder in ["conf", "sieve", "spool"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        fs::write(path.join("conf/mailboxes.db"), "names").unwrap();
        Self(path)
    }

    pub(crate) fn folder(&self, id: &str) -> PathBuf {
        self.0.join("spool/uuid").join(&id[..1]).join(&id[1..2]).join(id)
    }

    /// A folder with these messages, UIDs from 1.
    pub(crate) fn put(&self, id: &str, name: &str, messages: &[&str]) {
        let folder = self.folder(id);
        fs::create_dir_all(&folder).unwrap();
        // Cyrus quotes what is no atom.
        let name = if name.contains(' ') { format!("\"{name}\"") } else { name.to_owned() };
        let list = format!("%(T e N {name} I {id} A %(an lrs) U ($Label1))\n");
        let header = [GREETING, list.as_bytes()].concat();
        let mut index = vec![0; 160];
        let numbers = [
            (0, 7),
            (8, 19),
            (12, 160),
            (16, 112),
            (20, u32::try_from(messages.len()).unwrap()),
            (44, 9),
            (96, crc32fast::hash(&header)),
        ];
        fill(&mut index, &numbers);
        for (uid, message) in (1_u32..).zip(messages) {
            let mut record = vec![0; 112];
            let size = u32::try_from(message.len()).unwrap();
            record[60..80].copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, message.as_bytes()).as_ref());
            fill(&mut record, &[(0, uid), (4, 1_764_000_000 + uid), (12, size), (32, 1 << 4), (36, 1)]);
            index.extend(record);
            let path = folder.join(format!("{uid}."));
            // Cyrus writes a message once.
            if !path.exists() {
                fs::write(path, message).unwrap();
            }
        }
        fs::write(folder.join("cyrus.header"), header).unwrap();
        fs::write(folder.join("cyrus.index"), index).unwrap();
        fs::write(folder.join("cyrus.cache"), b"\0\0\0\x07").unwrap();
    }
}

/// Writes numbers at their offsets, and the checksum at the end.
fn fill(bytes: &mut [u8], numbers: &[(usize, u32)]) {
    for (at, number) in numbers {
        bytes[*at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    let end = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_be_bytes());
}

/// The files under a folder, each with its content.
pub(crate) fn contents(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(root).unwrap().display().to_string();
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

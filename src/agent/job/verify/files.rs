//! All files of a restored snapshot, compared with its manifest: each message has its file, and each file is the message it
//! should be. Nothing is changed.
//!
//! What was expunged when the volume was frozen may have no file: Cyrus cleans up when it likes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    findings::{Findings, Kind},
    scratch::Scratch,
};
use crate::{
    agent::store::backup::{
        check::{Depth, Wrong, wrong},
        folders,
    },
    backup::manifest::{
        Contents, Entry, Folder, Head, INDEX, IndexReader, MailboxReader, Message, ReadError,
    },
    job::Counted,
    journal::plain::hex,
};

/// What was found.
#[derive(Debug, Default)]
pub struct Compared {
    /// Of which store the snapshot is; none if the index of the manifests cannot be read.
    pub head: Option<Head>,
    /// The mailboxes whose manifests can be read.
    pub mailboxes: Vec<Entry>,
    /// What is wrong.
    pub findings: Findings,
    /// How much was compared.
    pub counted: Counted,
}

/// Compares. `told` is asked after each mailbox, with how much is done and how many messages there are, and ends the work by
/// saying no.
///
/// # Errors
/// The spool cannot be listed, or the work was ended.
pub fn compare(scratch: &Scratch, told: impl FnMut(&Counted, u64) -> bool) -> io::Result<Compared> {
    let mut compared = Compared::default();
    let entries = match index(&scratch.manifest()) {
        Ok((head, entries)) => {
            compared.head = Some(head);
            entries
        }
        Err(error) => {
            compared.findings.add(Kind::Manifest, None, format!("{INDEX}: {error}"));
            return Ok(compared);
        }
    };
    let mut known = BTreeSet::new();
    compared.mailboxes(scratch, entries, &mut known, told)?;
    compared.unlisted(&scratch.spool(), &known)?;
    Ok(compared)
}

/// The index.
fn index(manifest: &Path) -> Result<(Head, Vec<Entry>), ReadError> {
    let mut reader = IndexReader::new(File::open(manifest.join(INDEX))?)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok((reader.head().clone(), entries))
}

/// The manifest of a mailbox, if it is what the index says.
///
/// # Errors
/// Why it is not, in words.
pub fn mailbox(manifest: &Path, entry: &Entry) -> Result<Contents, String> {
    let told = |error: &dyn std::error::Error| format!("{}: {error}", entry.file);
    let bytes = fs::read(manifest.join(&entry.file)).map_err(|error| told(&error))?;
    if hex(&Sha256::digest(&bytes)) != entry.sha256 {
        return Err(format!("{}: its checksum is not that of the index", entry.file));
    }
    MailboxReader::new(bytes.as_slice()).and_then(MailboxReader::contents).map_err(|error| told(&error))
}

impl Compared {
    fn mailboxes(
        &mut self,
        scratch: &Scratch,
        entries: Vec<Entry>,
        known: &mut BTreeSet<String>,
        mut told: impl FnMut(&Counted, u64) -> bool,
    ) -> io::Result<()> {
        let all: u64 = entries.iter().map(|entry| entry.counts.messages).sum();
        for entry in entries {
            self.counted.messages += entry.counts.messages;
            match mailbox(&scratch.manifest(), &entry) {
                Ok(contents) => {
                    for (folder, messages) in &contents.folders {
                        known.insert(folder.id.clone());
                        self.folder(&scratch.spool(), entry.mailbox.as_deref(), folder, messages);
                    }
                    self.mailboxes.push(entry);
                }
                Err(why) => self.findings.add(Kind::Manifest, entry.mailbox.as_deref(), why),
            }
            if !told(&self.counted, all) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "it was asked to end"));
            }
        }
        Ok(())
    }

    fn folder(&mut self, spool: &Path, mailbox: Option<&str>, folder: &Folder, messages: &[Message]) {
        let path = directory(spool, &folder.id);
        for message in messages {
            let of = |what: &str| format!("{what} of UID {} in folder {}", message.uid, folder.id);
            let found = wrong(&path, message, Depth::Digest);
            self.counted.files +=
                u64::from(matches!(found, None | Some(Wrong::Digest { .. } | Wrong::Size { .. })));
            match found {
                None | Some(Wrong::Missing { expunged: true, .. }) => {}
                Some(Wrong::Missing { .. }) => {
                    self.findings.add(Kind::FileMissing, mailbox, of("the file"));
                }
                Some(Wrong::Size { is, .. }) => {
                    let what = of(&format!("{is} bytes in place of {}", message.size));
                    self.findings.add(Kind::FileDiffers, mailbox, what);
                }
                Some(Wrong::Digest { .. }) => self.findings.add(Kind::FileDiffers, mailbox, of("the digest")),
                Some(Wrong::Unreadable { why, .. } | Wrong::Unread(why)) => {
                    self.findings.add(Kind::FileDiffers, mailbox, of(&why));
                }
            }
        }
    }

    /// Folders that are there and that no manifest has. Of a mailbox whose manifest is damaged they are not known.
    fn unlisted(&mut self, spool: &Path, known: &BTreeSet<String>) -> io::Result<()> {
        if self.findings.has(Kind::Manifest) {
            return Ok(());
        }
        for path in folders(spool)? {
            let id = path.file_name().unwrap_or_default().to_string_lossy();
            if !known.contains(&*id) && path.join("cyrus.index").exists() {
                self.findings.add(Kind::Folder, None, format!("folder {id} is in no manifest"));
            }
        }
        Ok(())
    }
}

/// Where the files of a folder are.
fn directory(spool: &Path, id: &str) -> PathBuf {
    let part = |at: usize| id.get(at..=at).unwrap_or("-");
    spool.join("uuid").join(part(0)).join(part(1)).join(id)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;

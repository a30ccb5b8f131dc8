//! Writes the manifest of a frozen spool, and makes sure that each message has its file. Files under `spool/uuid` come in;
//! `manifest/` beside it and what is wrong come out. Nothing else is touched.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    MANIFEST,
    check::{Depth, Wrong, wrong},
    local::folders,
};
use crate::{
    backup::{
        judge::Frozen,
        manifest::{Entry, Folder, Guid, Head, INDEX, IndexWriter, MailboxWriter, Message, Owner, file_name},
    },
    journal::plain::hex,
    wire::cyrus::{FolderHeader, Index},
};

/// So many things that are wrong are named; all are counted.
pub const MOST: usize = 1000;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In whose mailbox, if it is known.
    pub mailbox: Option<String>,
    /// In which folder, by its unique id.
    pub folder: String,
    /// What.
    pub what: Wrong,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// What the judge wants to know, but for the number of files.
    pub frozen: Frozen,
    /// What is wrong, at most [`MOST`].
    pub problems: Vec<Problem>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Mailboxes that are done.
    pub mailboxes: u64,
    /// Mailboxes that there are.
    pub of: u64,
    /// Messages of those that are done.
    pub messages: u64,
}

/// A folder on the disk.
struct Found {
    path: PathBuf,
    header: FolderHeader,
    owner: Owner,
}

/// Surveys the frozen copy in `root`, and writes its manifest. `progress` is told after each mailbox, and ends the work by
/// returning false.
///
/// # Errors
/// The folders cannot be listed, the manifest cannot be written, or the work was ended. What is wrong with folders and
/// messages is no error.
pub fn survey(
    root: &Path,
    head: &Head,
    depth: Depth,
    mut progress: impl FnMut(Progress) -> bool,
) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mailboxes = survey.find(&root.join("spool"))?;
    let target = root.join(MANIFEST);
    match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(target.join("mailboxes"))?,
    }
    let mut index = IndexWriter::new(BufWriter::new(File::create(target.join(INDEX))?), head)?;
    let of = mailboxes.len() as u64;
    for (done, (mailbox, folders)) in (1..).zip(mailboxes) {
        let entry = survey.mailbox(&target, mailbox.as_deref(), folders, depth)?;
        survey.frozen.mailboxes += u64::from(mailbox.is_some());
        survey.frozen.counts.add_all(&entry.counts);
        index.entry(&entry)?;
        if !progress(Progress { mailboxes: done, of, messages: survey.frozen.counts.messages }) {
            return Err(io::Error::new(ErrorKind::Interrupted, "it was asked to end"));
        }
    }
    index.finish()?.flush()?;
    Ok(survey)
}

impl Survey {
    /// The folders of each mailbox, nobody's first.
    fn find(&mut self, spool: &Path) -> io::Result<BTreeMap<Option<String>, Vec<Found>>> {
        let mut mailboxes: BTreeMap<_, Vec<Found>> = BTreeMap::new();
        for path in folders(spool)? {
            match fs::read(path.join("cyrus.header")).map(|file| FolderHeader::parse(&file)) {
                Ok(Ok(header)) => {
                    let owner = Owner::of(&header.name);
                    mailboxes.entry(owner.mailbox.clone()).or_default().push(Found { path, header, owner });
                }
                // A directory without an index is no folder: it was just deleted, or made.
                Err(error) if error.kind() == ErrorKind::NotFound && !path.join("cyrus.index").exists() => {}
                Ok(Err(error)) => self.unread(None, &path, &error.to_string()),
                Err(error) => self.unread(None, &path, &error.to_string()),
            }
        }
        Ok(mailboxes)
    }

    fn mailbox(
        &mut self,
        target: &Path,
        mailbox: Option<&str>,
        mut folders: Vec<Found>,
        depth: Depth,
    ) -> io::Result<Entry> {
        // By name, so that the file is the same as long as nothing changes.
        folders.sort_by(|a, b| (&a.header.name, &a.header.id).cmp(&(&b.header.name, &b.header.id)));
        let file = file_name(mailbox);
        let out = Hashed { out: BufWriter::new(File::create(target.join(&file))?), sum: Sha256::new() };
        let mut writer = MailboxWriter::new(out, mailbox)?;
        for found in &folders {
            match read(found) {
                Ok((folder, messages)) => {
                    writer.folder(&folder)?;
                    for message in &messages {
                        writer.message(message)?;
                        self.message(found, message, depth);
                    }
                }
                Err(why) => self.unread(mailbox, &found.path, &why),
            }
        }
        let (mut out, counts) = writer.finish()?;
        out.flush()?;
        let sha256 = hex(&out.sum.finalize());
        Ok(Entry { mailbox: mailbox.map(str::to_owned), file, sha256, counts })
    }

    fn message(&mut self, found: &Found, message: &Message, depth: Depth) {
        let expunged = message.expunged;
        let Some(wrong) = wrong(&found.path, message, depth) else {
            self.frozen.found += 1;
            return;
        };
        if matches!(wrong, Wrong::Missing { .. }) && expunged {
            self.frozen.cleaned += 1;
        } else {
            self.frozen.wrong += 1;
        }
        self.problem(found.owner.mailbox.as_deref(), &found.path, wrong);
    }

    fn unread(&mut self, mailbox: Option<&str>, path: &Path, why: &str) {
        self.frozen.unread += 1;
        self.problem(mailbox, path, Wrong::Unread(why.to_owned()));
    }

    fn problem(&mut self, mailbox: Option<&str>, path: &Path, what: Wrong) {
        if self.problems.len() < MOST {
            let folder = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.problems.push(Problem { mailbox: mailbox.map(str::to_owned), folder, what });
        }
    }
}

/// What the index says of a folder.
fn read(found: &Found) -> Result<(Folder, Vec<Message>), String> {
    let file = fs::read(found.path.join("cyrus.index")).map_err(|error| format!("cyrus.index: {error}"))?;
    let index = Index::parse(&file).map_err(|error| format!("cyrus.index: {error}"))?;
    let FolderHeader { name, id, kind, keywords } = &found.header;
    if found.path.file_name().is_none_or(|directory| directory != id.as_str()) {
        return Err(format!("cyrus.header names the id {id}, which is another directory's"));
    }
    let (mut messages, mut last) = (Vec::new(), 0);
    for record in index.records() {
        let record = record.map_err(|error| format!("cyrus.index: {error}"))?;
        if record.uid <= last {
            return Err(format!("cyrus.index: UID {} follows {last}", record.uid));
        }
        last = record.uid;
        if !record.unlinked {
            messages.push(Message {
                uid: record.uid,
                guid: Guid(record.guid),
                date: record.internal_date,
                size: record.size,
                flags: record.flags(keywords).map(str::to_owned).collect(),
                expunged: record.expunged,
            });
        }
    }
    let folder = Folder {
        folder: found.owner.folder.clone(),
        name: name.clone(),
        id: id.clone(),
        kind: kind.clone(),
        uid_validity: index.header.uid_validity,
        deleted: found.owner.deleted,
    };
    Ok((folder, messages))
}

/// Sums what it writes.
struct Hashed<W> {
    out: W,
    sum: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;

//! What a store has of a mailbox: its folders, and each message in them, expunged ones included.
//!
//! The files of Cyrus come in, values go out. Nothing is written; Cyrus may be running.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::Path,
    thread::sleep,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    agent::store::{
        door::holds::{Scan, headers, journal_id, path_of},
        provision::Owned,
    },
    wire::cyrus::{Error as FileError, FLAGS, Index, Label, Record},
};

/// A file that Cyrus is writing is read again so often, after such a pause.
const TRIES: (usize, Duration) = (10, Duration::from_millis(20));

/// A mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Its address.
    pub address: String,
    /// Its folders.
    pub folders: Vec<Folder>,
}

/// A folder of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its unique id, the same on both stores.
    pub id: String,
    /// What its owner calls it.
    pub path: String,
    /// It was deleted, and Cyrus still keeps it.
    pub deleted: bool,
    /// Whether it is for mail, and not for scripts or the like.
    pub mail: bool,
    /// UIDVALIDITY.
    pub validity: u32,
    /// The highest UID that was given.
    pub last_uid: u32,
    /// The highest number of a change.
    pub modseq: u64,
    /// Its messages.
    pub messages: Vec<Message>,
}

/// A message in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// SHA-1 of its file, in hexadecimal digits.
    pub guid: String,
    /// The journal's id, if it came through the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was delivered, Unix seconds.
    pub date: u32,
    /// When it came into the folder, Unix seconds.
    pub saved: u32,
    /// When its record was changed last, Unix seconds.
    pub updated: u32,
    /// The number of its last change.
    pub modseq: u64,
    /// Bytes of its file.
    pub size: u32,
    /// Whether it was expunged.
    pub expunged: bool,
    /// Its flags.
    pub flags: Flags,
}

/// Flags of a message as IMAP names them, keywords included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(pub BTreeSet<String>);

impl Flags {
    /// Those that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    fn of(record: &Record, keywords: &[String]) -> Self {
        let bit = |number: u32, at: usize| number >> (at % 32) & 1 == 1;
        let system = FLAGS.iter().enumerate().filter(|(at, _)| bit(record.flags, *at));
        let own = keywords.iter().enumerate().filter(|(at, name)| {
            record.keywords.get(at / 32).is_some_and(|it| bit(*it, *at)) && is_atom(name)
        });
        let system = system.map(|(_, name)| (*name).to_owned());
        Self(system.chain(own.map(|(_, name)| name.clone())).collect())
    }
}

/// What may stand in a list of flags as it is; an empty place is called `NIL`.
fn is_atom(word: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    !word.is_empty() && word != "NIL" && word.bytes().all(good)
}

/// Reads the folder `id` below `spool`, and the address that it belongs to; nothing if it has no files or is nobody's. It
/// blocks.
///
/// # Errors
/// Its files cannot be read or are damaged.
pub fn folder(spool: &Path, id: &str) -> io::Result<Option<(String, Folder)>> {
    let Some(files) = path_of(spool, id) else { return Ok(None) };
    let Some((label, mut folder)) = patiently(id, || read(&files))? else { return Ok(None) };
    let Some(Owned { address, path, deleted }) = Owned::inner(&label.name) else { return Ok(None) };
    // Programs' folders have names that no mail client makes.
    folder.mail = label.mail && !path.starts_with('#') && !path.contains("/#");
    (folder.id, folder.path, folder.deleted) = (id.to_owned(), path, deleted);
    Ok(Some((address, folder)))
}

/// Reads those of the folders `ids` that belong to `address`. It blocks.
///
/// # Errors
/// As for [`folder`].
pub fn mailbox<'a>(
    spool: &Path,
    address: &str,
    ids: impl IntoIterator<Item = &'a String>,
) -> io::Result<Mailbox> {
    let mut folders = Vec::new();
    for id in ids {
        folders.extend(folder(spool, id)?.filter(|(of, _)| of == address).map(|(_, folder)| folder));
    }
    Ok(Mailbox { address: address.to_owned(), folders })
}

/// Whether all of the folders `ids` that have messages on the disk are in what was read: one without an index, or whose
/// header names another mailbox, would be taken for none and be deleted with its messages. It blocks.
///
/// # Errors
/// One is missing, and which.
pub fn is_whole(spool: &Path, mailbox: &Mailbox, ids: &[String]) -> io::Result<()> {
    let read = |id: &&String| mailbox.folders.iter().any(|folder| folder.id == **id);
    for id in ids.iter().filter(|id| !read(id)) {
        let Some(files) = path_of(spool, id).and_then(|path| fs::read_dir(path).ok()) else { continue };
        let mut names = files.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        if names.any(|name| name.strip_suffix('.').is_some_and(|uid| uid.parse::<u32>().is_ok())) {
            return Err(io::Error::other(format!(
                "folder {id}: it has messages, and no index or no name of this mailbox"
            )));
        }
    }
    Ok(())
}

/// What `work` reads of the folder `id`, in which Cyrus may be writing; nothing if it is not there.
fn patiently<T>(id: &str, work: impl Fn() -> Result<T, Scan>) -> io::Result<Option<T>> {
    let mut tries = TRIES.0;
    loop {
        match work() {
            Ok(found) => return Ok(Some(found)),
            Err(Scan::Io(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(Scan::File(FileError::Torn)) if tries > 0 => tries -= 1,
            Err(Scan::Io(error)) => return Err(io::Error::other(format!("folder {id}: {error}"))),
            Err(Scan::File(error)) => return Err(io::Error::other(format!("folder {id}: {error}"))),
        }
        sleep(TRIES.1);
    }
}

fn read(files: &Path) -> Result<(Label, Folder), Scan> {
    // A folder without messages has no cache.
    let cache = match File::open(files.join("cyrus.cache")) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        cache => Some(cache?),
    };
    let index = fs::read(files.join("cyrus.index"))?;
    let label = Label::parse(&fs::read(files.join("cyrus.header"))?)?;
    let index = Index::parse(&index)?;
    if let Some(cache) = &cache {
        let mut generation = [0; 4];
        cache.read_exact_at(&mut generation, 0)?;
        if u32::from_be_bytes(generation) != index.generation {
            return Err(FileError::Torn.into());
        }
    }
    let message = |record: Result<Record, FileError>| {
        let record = record?;
        Ok(message(&record, cache.as_ref(), &label))
    };
    let messages = index.records().map(message).collect::<Result<_, FileError>>()?;
    let (validity, last_uid) = (index.header.uid_validity, index.header.last_uid);
    let (id, path) = (String::new(), String::new());
    let modseq = index.header.modseq;
    let folder = Folder { id, path, deleted: false, mail: true, validity, last_uid, modseq, messages };
    Ok((label, folder))
}

/// One whose headers cannot be read is known by its content alone.
fn message(record: &Record, cache: Option<&File>, label: &Label) -> Message {
    let headers = cache.and_then(|cache| headers(cache, record).ok()).unwrap_or_default();
    Message {
        uid: record.uid,
        guid: hex(&record.guid),
        id: journal_id(&headers).map(|id| String::from_utf8_lossy(id).into_owned()),
        date: record.internal_date,
        saved: record.saved,
        updated: record.updated,
        modseq: record.modseq,
        size: record.size,
        expunged: record.expunged,
        flags: Flags::of(record, &label.keywords),
    }
}

/// A message of a folder: its UID, its content's SHA-1 in hexadecimal digits, and whether it lives.
pub type Content = (u32, String, bool);

/// What the folder `id` has. It blocks.
///
/// # Errors
/// As for [`folder`].
pub fn contents(spool: &Path, id: &str) -> io::Result<Vec<Content>> {
    let Some(files) = path_of(spool, id) else { return Ok(Vec::new()) };
    let found = patiently(id, || {
        let index = fs::read(files.join("cyrus.index"))?;
        let content = |record: Result<Record, FileError>| {
            let record = record?;
            Ok((record.uid, hex(&record.guid), !record.expunged))
        };
        Ok(Index::parse(&index)?.records().map(content).collect::<Result<Vec<_>, FileError>>()?)
    })?;
    Ok(found.unwrap_or_default())
}

/// The messages of the folder `id` with this content: their UIDs, and whether they live. It blocks.
///
/// # Errors
/// As for [`folder`].
pub fn with_content(spool: &Path, id: &str, guid: &str) -> io::Result<Vec<(u32, bool)>> {
    let all = contents(spool, id)?.into_iter().filter(|(_, of, _)| of == guid);
    Ok(all.map(|(uid, _, lives)| (uid, lives)).collect())
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cyrus::testing::{Listed, header_with, listed};

    #[test]
    fn a_folder_is_read_with_its_messages_ids_and_flags() {
        let spool = tempfile::tempdir().unwrap();
        let files = spool.path().join("uuid/a/b/ab1");
        fs::create_dir_all(&files).unwrap();
        let message = |uid, headers| Listed {
            uid,
            date: 100 + uid,
            saved: 150 + uid,
            updated: 200 + uid,
            modseq: (1 << 33) + u64::from(uid),
            guid: [u8::try_from(uid).unwrap(); 20],
            headers,
            ..Listed::default()
        };
        let first = Listed { flags: 0b10010, keywords: [0b1011, 0, 0, 0], ..message(3, "Subject: x\r\n") };
        let second = Listed { expunged: true, ..message(4, "Subject: y\r\nJournal-Id: J4\r\n") };
        let (index, cache) = listed(&[first, second]);
        fs::write(files.join("cyrus.index"), index).unwrap();
        fs::write(files.join("cyrus.cache"), cache).unwrap();
        let keywords = "($Forwarded NIL Junk \"b c\")";
        fs::write(files.join("cyrus.header"), header_with("x.vn!user.an.Work", keywords)).unwrap();
        let (address, read) = folder(spool.path(), "ab1").unwrap().unwrap();
        assert_eq!(address, "an@x.vn");
        assert_eq!(
            (read.path.as_str(), read.mail, read.last_uid, read.modseq),
            ("Work", true, 4, (1 << 33) + 4)
        );
        let [one, two] = &read.messages[..] else { panic!("{read:?}") };
        assert_eq!(
            (one.uid, one.date, one.saved, one.updated, one.modseq),
            (3, 103, 153, 203, (1 << 33) + 3)
        );
        assert_eq!((one.guid.as_str(), &one.id), ("0303030303030303030303030303030303030303", &None));
        assert_eq!(one.flags.0, ["$Forwarded", "\\Flagged", "\\Seen"].map(str::to_owned).into());
        assert_eq!((two.expunged, two.id.as_deref(), two.flags.0.len()), (true, Some("J4"), 0));
        assert_eq!(with_content(spool.path(), "ab1", &one.guid).unwrap(), [(3, true)]);
        assert_eq!(with_content(spool.path(), "ab1", &two.guid).unwrap(), [(4, false)]);
        assert_eq!(with_content(spool.path(), "ab1", "00").unwrap(), []);
        assert_eq!(folder(spool.path(), "ab2").unwrap(), None);
        fs::write(files.join("cyrus.header"), header_with("x.vn!user.an.#sieve", "()")).unwrap();
        let ids = ["ab1".to_owned(), "ab2".to_owned()];
        let own = mailbox(spool.path(), "an@x.vn", &ids).unwrap();
        assert!(own.folders.len() == 1 && !own.folders[0].mail);
        assert_eq!(mailbox(spool.path(), "binh@x.vn", &ids).unwrap().folders, []);
    }

    #[test]
    fn a_damaged_folder_is_an_error_that_names_it() {
        let spool = tempfile::tempdir().unwrap();
        let files = spool.path().join("uuid/a/b/ab1");
        fs::create_dir_all(&files).unwrap();
        let (index, _) = listed(&[Listed { uid: 1, ..Listed::default() }]);
        fs::write(files.join("cyrus.index"), &index[..200]).unwrap();
        fs::write(files.join("cyrus.header"), header_with("x.vn!user.an", "()")).unwrap();
        let error = folder(spool.path(), "ab1").unwrap_err().to_string();
        assert!(error.starts_with("folder ab1: "), "{error}");
    }

    #[test]
    fn a_folder_with_messages_that_was_not_read_is_an_error_that_names_it() {
        let spool = tempfile::tempdir().unwrap();
        let (files, ids) = (spool.path().join("uuid/a/b/ab1"), ["ab1".to_owned(), "ab2".to_owned()]);
        fs::create_dir_all(&files).unwrap();
        let none = Mailbox { address: "an@x.vn".into(), folders: Vec::new() };
        fs::write(files.join("cyrus.cache"), "x").unwrap();
        assert!(is_whole(spool.path(), &none, &ids).is_ok(), "nothing is in it");
        fs::write(files.join("7."), "From: x").unwrap();
        let error = is_whole(spool.path(), &none, &ids).unwrap_err().to_string();
        assert!(error.starts_with("folder ab1: it has messages"), "{error}");
        let (index, cache) = listed(&[Listed { uid: 7, ..Listed::default() }]);
        fs::write(files.join("cyrus.index"), index).unwrap();
        fs::write(files.join("cyrus.cache"), cache).unwrap();
        fs::write(files.join("cyrus.header"), header_with("x.vn!user.an", "()")).unwrap();
        let whole = mailbox(spool.path(), "an@x.vn", &ids).unwrap();
        assert!(is_whole(spool.path(), &whole, &ids).is_ok());
        let others = mailbox(spool.path(), "binh@x.vn", &ids).unwrap();
        assert!(is_whole(spool.path(), &others, &ids).is_err(), "its header names another");
    }
}

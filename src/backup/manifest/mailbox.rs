//! The manifest of one mailbox: its folders, each followed by its messages by UID.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};

use super::{
    Counts, Guid, ReadError, VERSION,
    lines::{Lines, Source},
};

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    manifest: u32,
    mailbox: Option<String>,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Folder {
    /// Its path as people see it: `INBOX`, `Sent`, `Cơ quan/2026`.
    pub folder: String,
    /// Its name in Cyrus' own notation.
    pub name: String,
    /// Its unique id. Its files are in `spool/uuid/X/Y/ID`, with the first two letters of the id.
    pub id: String,
    /// `e` for mail; others for calendars, address books, scripts, subscriptions.
    pub kind: String,
    /// What UIDs are valid with.
    pub uid_validity: u32,
    /// Whether it was deleted, and is kept for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its UID. Its file is `UID.` in its folder's directory.
    pub uid: u32,
    /// The SHA-1 of its file.
    pub guid: Guid,
    /// When it was delivered: Unix time in seconds.
    pub date: u32,
    /// Bytes of its file.
    pub size: u32,
    /// Its flags and keywords, as IMAP names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Whether it was expunged, and its file is kept for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expunged: bool,
}

/// A line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A folder; the messages that follow are in it.
    Folder(Folder),
    /// A message of the last folder.
    Message(Message),
}

/// Writes a manifest.
pub struct MailboxWriter<W: Write> {
    lines: Lines<W>,
    order: Order,
    counts: Counts,
}

impl<W: Write> MailboxWriter<W> {
    /// Begins one of a mailbox; none for the folders that belong to nobody.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: W, mailbox: Option<&str>) -> io::Result<Self> {
        let mut lines = Lines::new(out)?;
        lines.put(&First { manifest: VERSION, mailbox: mailbox.map(str::to_owned) })?;
        Ok(Self { lines, order: Order::default(), counts: Counts::default() })
    }

    /// Begins a folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn folder(&mut self, folder: &Folder) -> io::Result<()> {
        self.order.folder();
        self.counts.folders += 1;
        self.lines.put(folder)
    }

    /// Adds a message to the last folder.
    ///
    /// # Errors
    /// It cannot be written, or does not come in the order of UIDs.
    pub fn message(&mut self, message: &Message) -> io::Result<()> {
        if !self.order.message(message.uid) {
            let why = format!("UID {} does not come in order, or in no folder", message.uid);
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        self.counts.add(message);
        self.lines.put(message)
    }

    /// Ends it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<(W, Counts)> {
        Ok((self.lines.finish(&self.counts)?, self.counts))
    }
}

/// Messages come after a folder, with rising UIDs.
#[derive(Default)]
struct Order(Option<u32>);

impl Order {
    fn folder(&mut self) {
        self.0 = Some(0);
    }

    fn message(&mut self, uid: u32) -> bool {
        let fits = self.0.is_some_and(|last| uid > last);
        if fits {
            self.0 = Some(uid);
        }
        fits
    }
}

/// Reads a manifest.
pub struct MailboxReader<R: Read> {
    source: Source<R>,
    order: Order,
    counts: Counts,
    mailbox: Option<String>,
}

impl<R: Read> MailboxReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It cannot be read, or is no manifest.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut source = Source::new(input)?;
        let counts = Counts::default();
        if source.next(&counts)?.is_none() {
            return Err(ReadError::Truncated);
        }
        let first: First = source.parse()?;
        if first.manifest != VERSION {
            return Err(ReadError::Version(first.manifest));
        }
        Ok(Self { source, order: Order::default(), counts, mailbox: first.mailbox })
    }

    /// Whose it is; none for the folders that belong to nobody.
    #[must_use]
    pub fn mailbox(&self) -> Option<&str> {
        self.mailbox.as_deref()
    }

    /// What came so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The next folder or message; none at the end, which was checked then.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        let Some(line) = self.source.next(&self.counts)? else { return Ok(None) };
        if line.starts_with(b"{\"uid\"") {
            let message: Message = self.source.parse()?;
            if !self.order.message(message.uid) {
                return Err(self.source.damaged("its UID does not come in order"));
            }
            self.counts.add(&message);
            return Ok(Some(Item::Message(message)));
        }
        let folder = self.source.parse()?;
        self.order.folder();
        self.counts.folders += 1;
        Ok(Some(Item::Folder(folder)))
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn contents(mut self) -> Result<Contents, ReadError> {
        let mut folders: Vec<(Folder, Vec<Message>)> = Vec::new();
        while let Some(item) = self.next_item()? {
            match item {
                Item::Folder(folder) => folders.push((folder, Vec::new())),
                Item::Message(message) => {
                    // There is one: the order was checked.
                    if let Some((_, messages)) = folders.last_mut() {
                        messages.push(message);
                    }
                }
            }
        }
        Ok(Contents { mailbox: self.mailbox, folders })
    }
}

/// A mailbox in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Whose it is.
    pub mailbox: Option<String>,
    /// Its folders, each with its messages by UID.
    pub folders: Vec<(Folder, Vec<Message>)>,
}

//! The index: of which store the snapshot is, when it was frozen, and a line for each mailbox.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::{
    Counts, ReadError, VERSION,
    lines::{Lines, Source},
};

/// Of which store, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Namespace and name of the system.
    pub system: String,
    /// The shard.
    pub shard: u32,
    /// The pod whose volume was frozen.
    pub pod: String,
    /// Names the run.
    pub run: String,
    /// When the volume was frozen: Unix time in milliseconds.
    pub frozen: i64,
    /// How far the volume was behind the primary then, in milliseconds; none if it was the primary's, or is not known.
    pub lag: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct First {
    manifest: u32,
    #[serde(flatten)]
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Version {
    manifest: u32,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its address; none for the folders that belong to nobody.
    pub mailbox: Option<String>,
    /// Its manifest, seen from the index.
    pub file: String,
    /// The SHA-256 of that file.
    pub sha256: String,
    /// What it holds.
    pub counts: Counts,
}

/// What the last line counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    mailboxes: u64,
    counts: Counts,
}

impl Totals {
    fn add(&mut self, entry: &Entry) {
        self.mailboxes += 1;
        self.counts.add_all(&entry.counts);
    }
}

/// Writes an index.
pub struct IndexWriter<W: Write> {
    lines: Lines<W>,
    totals: Totals,
}

impl<W: Write> IndexWriter<W> {
    /// Begins one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: W, head: &Head) -> io::Result<Self> {
        let mut lines = Lines::new(out)?;
        lines.put(&First { manifest: VERSION, head: head.clone() })?;
        Ok(Self { lines, totals: Totals::default() })
    }

    /// Adds a mailbox.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.totals.add(entry);
        self.lines.put(entry)
    }

    /// Ends it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.lines.finish(&self.totals)
    }
}

/// Reads an index.
pub struct IndexReader<R: Read> {
    source: Source<R>,
    head: Head,
    totals: Totals,
}

impl<R: Read> IndexReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It cannot be read, or is no index.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut source = Source::new(input)?;
        let totals = Totals::default();
        if source.next(&totals)?.is_none() {
            return Err(ReadError::Truncated);
        }
        // First the version: later ones may say other things.
        let Version { manifest } = source.parse()?;
        if manifest != VERSION {
            return Err(ReadError::Version(manifest));
        }
        let First { head, .. } = source.parse()?;
        Ok(Self { source, head, totals })
    }

    /// Of which store, and when.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What all mailboxes hold that came so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.totals.counts
    }

    /// The next mailbox; none at the end, which was checked then.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.source.next(&self.totals)?.is_none() {
            return Ok(None);
        }
        let entry = self.source.parse()?;
        self.totals.add(&entry);
        Ok(Some(entry))
    }
}

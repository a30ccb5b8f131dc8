//! `cyrus.index`, version 19 (Cyrus 3.10): a header of 160 bytes, then a record of 112 bytes for each message, expunged
//! ones included, until they are cleaned up. All numbers are big-endian; offsets are those of `imap/mailbox.h`.
//!
//! What a message's owner has read stands in its record, and so in the header's count; what others have read who may see
//! the folder stands elsewhere (`mailbox_internal_seen`).

use super::{Error, checked, number};

const VERSION: u32 = 19;
/// Bytes of the header.
pub const HEADER: usize = 160;
/// Bytes of a record.
pub const RECORD: usize = 112;
const EXPUNGED: u32 = 1 << 31;
/// Its file is gone, too.
const UNLINKED: u32 = 1 << 30;
const SEEN: u32 = 1 << 4;
/// Flags of the protocol (RFC 9051) as the record's bits have them, lowest first.
pub const FLAGS: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Seen"];
/// Bytes of the digest that names a message's content.
pub const GUID: usize = 20;

/// What the header says of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The generation, which the cache file shares.
    pub generation: u32,
    /// Records that follow.
    pub records: u32,
    /// Bytes of its messages, as quotas count them.
    pub used: u64,
    /// Its messages.
    pub messages: u32,
    /// Those that its owner has not read.
    pub unseen: u32,
    /// The highest UID that was given.
    pub last_uid: u32,
    /// The highest number of a change.
    pub modseq: u64,
    /// What UIDs are valid with.
    pub uid_validity: u32,
    /// The checksum of the folder's `cyrus.header`.
    pub header_sum: u32,
}

impl Header {
    /// Reads it from the beginning of a file.
    ///
    /// # Errors
    /// The file is torn, or of another version.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let version = number(file, 8)?;
        let shape = (number(file, 12)? as usize, number(file, 16)? as usize);
        if version != VERSION || shape != (HEADER, RECORD) {
            return Err(Error::Version(version));
        }
        checked(file.get(..HEADER).ok_or(Error::Torn)?, HEADER - 4)?;
        Ok(Self {
            generation: number(file, 0)?,
            records: number(file, 20)?,
            used: long(file, 32)?,
            messages: number(file, 60)?,
            unseen: number(file, 124)?,
            last_uid: number(file, 28)?,
            modseq: long(file, 72)?,
            uid_validity: number(file, 44)?,
            header_sum: number(file, 96)?,
        })
    }
}

fn long(bytes: &[u8], at: usize) -> Result<u64, Error> {
    Ok(u64::from(number(bytes, at)?) << 32 | u64::from(number(bytes, at + 4)?))
}

/// A folder's index.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    /// The generation, which the cache file shares.
    pub generation: u32,
    /// What its header says.
    pub header: Header,
    records: &'a [u8],
}

/// A message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its UID.
    pub uid: u32,
    /// When it was delivered: Unix time in seconds. Copies keep it.
    pub internal_date: u32,
    /// Where its entry in the cache file begins, and the checksum of that.
    pub cache: (u32, u32),
    /// Whether it was expunged.
    pub expunged: bool,
    /// Whether its file is gone, which comes some time after it was expunged.
    pub unlinked: bool,
    /// Whether its owner has read it.
    pub seen: bool,
    /// Bytes of its file.
    pub size: u32,
    /// When it came into this folder, in whatever way: Unix time in seconds. Replication keeps it.
    pub saved: u32,
    /// When the record was changed last: Unix time in seconds. Replication keeps it.
    pub updated: u32,
    /// The number of its last change.
    pub modseq: u64,
    /// SHA-1 of its file.
    pub guid: [u8; GUID],
    /// Its [`FLAGS`], a bit for each.
    pub flags: u32,
    /// Its keywords, a bit for each of those that the folder's header names: the lowest of the first number is the first.
    pub keywords: [u32; 4],
}

impl Record {
    /// Reads one of [`RECORD`] bytes.
    ///
    /// # Errors
    /// It is torn.
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        checked(record, RECORD - 4)?;
        let flags = number(record, 32)?;
        Ok(Self {
            uid: number(record, 0)?,
            internal_date: number(record, 4)?,
            cache: (number(record, 24)?, number(record, 104)?),
            expunged: flags & (EXPUNGED | UNLINKED) != 0,
            unlinked: flags & UNLINKED != 0,
            seen: flags & SEEN != 0,
            size: number(record, 12)?,
            saved: number(record, 52)?,
            updated: number(record, 28)?,
            modseq: long(record, 80)?,
            guid: record.get(60..60 + GUID).and_then(|guid| guid.try_into().ok()).ok_or(Error::Torn)?,
            flags: flags & ((1 << FLAGS.len()) - 1),
            keywords: [number(record, 36)?, number(record, 40)?, number(record, 44)?, number(record, 48)?],
        })
    }

    /// Its flags as IMAP names them. `keywords` are those of the folder's header; one that is not in there has no name.
    pub fn flags<'a>(&self, keywords: &'a [Option<String>]) -> impl Iterator<Item = &'a str> {
        let (system, bits) = (self.flags, self.keywords);
        let known = (0..).zip(FLAGS).filter(move |(bit, _)| system & (1 << bit) != 0).map(|(_, name)| name);
        let set = move |at: usize| bits.get(at / 32).is_some_and(|word| word & (1 << (at % 32)) != 0);
        let own = keywords.iter().enumerate().filter(move |(at, _)| set(*at));
        known.chain(own.filter_map(|(_, name)| name.as_deref()))
    }
}

impl<'a> Index<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The file is torn, or of another version.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let header = Header::parse(file)?;
        let length = RECORD.checked_mul(header.records as usize).ok_or(Error::Torn)?;
        let records = file[HEADER..].get(..length).ok_or(Error::Torn)?;
        Ok(Self { generation: header.generation, header, records })
    }

    /// The messages, in the order of their UIDs.
    pub fn records(self) -> impl Iterator<Item = Result<Record, Error>> + 'a {
        self.records.chunks_exact(RECORD).map(Record::parse)
    }
}

//! `cyrus.index`, version 19 (Cyrus 3.10): a header of 160 bytes, then a record of 112 bytes for each message, expunged
//! ones included, until they are cleaned up. All numbers are big-endian; offsets are those of `imap/mailbox.h`.

use super::{Error, checked, number};

const VERSION: u32 = 19;
const HEADER: usize = 160;
const RECORD: usize = 112;
const EXPUNGED: u32 = 1 << 31;

/// A folder's index.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    /// The generation, which the cache file shares.
    pub generation: u32,
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
}

impl<'a> Index<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The file is torn, or of another version.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let version = number(file, 8)?;
        let shape = (number(file, 12)? as usize, number(file, 16)? as usize);
        if version != VERSION || shape != (HEADER, RECORD) {
            return Err(Error::Version(version));
        }
        checked(file.get(..HEADER).ok_or(Error::Torn)?, HEADER - 4)?;
        let length = RECORD.checked_mul(number(file, 20)? as usize).ok_or(Error::Torn)?;
        let records = file[HEADER..].get(..length).ok_or(Error::Torn)?;
        Ok(Self { generation: number(file, 0)?, records })
    }

    /// The messages, in the order of their UIDs.
    pub fn records(self) -> impl Iterator<Item = Result<Record, Error>> + 'a {
        self.records.chunks_exact(RECORD).map(|record| {
            checked(record, RECORD - 4)?;
            Ok(Record {
                uid: number(record, 0)?,
                internal_date: number(record, 4)?,
                cache: (number(record, 24)?, number(record, 104)?),
                expunged: number(record, 32)? & EXPUNGED != 0,
            })
        })
    }
}

//! `cyrus.cache`: the generation, then an entry for each message: ten items, each its length and as many bytes, padded to
//! four. The fifth are headers as they came, all but those that begin with `X-`.

use super::{Error, number};

const ITEMS: usize = 10;
const HEADERS: usize = 4;

/// The headers in the entry at `offset`, whose checksum is `sum`. `file` is the cache file, or a part of it that begins at
/// the entry's begin and reaches over its end.
///
/// # Errors
/// The entry is torn.
pub fn cached_headers(file: &[u8], offset: usize, sum: u32) -> Result<&[u8], Error> {
    let entry = file.get(offset..).ok_or(Error::Torn)?;
    let (mut at, mut headers) = (0_usize, &entry[..0]);
    for item in 0..ITEMS {
        let length = number(entry, at)? as usize;
        let content = entry.get(at + 4..).and_then(|rest| rest.get(..length)).ok_or(Error::Torn)?;
        if item == HEADERS {
            headers = content;
        }
        at = length
            .checked_next_multiple_of(4)
            .and_then(|padded| at.checked_add(4 + padded))
            .ok_or(Error::Torn)?;
    }
    let whole = entry.get(..at).ok_or(Error::Torn)?;
    if crc32fast::hash(whole) == sum { Ok(headers) } else { Err(Error::Torn) }
}

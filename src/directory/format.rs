//! Bytes of the directory: JSON, sorted, compressed by zstd. The same value gives the same bytes.

use std::io::Read;

use serde::{Serialize, de::DeserializeOwned};

use super::{Index, Shard};

/// A decoded part may not be larger than this: a Secret is 1 MiB at most, and zstd of JSON seldom exceeds 1:20.
const LARGEST: u64 = 64 << 20;

/// Why bytes are not a part of the directory.
#[derive(thiserror::Error, Debug)]
pub enum FormatError {
    /// Compression or decompression failed, or the content is too large.
    #[error("the directory's bytes cannot be decompressed: {0}")]
    Compression(#[from] std::io::Error),
    /// The content is not what this release writes.
    #[error("the directory's content cannot be read: {0}")]
    Content(#[from] serde_json::Error),
}

/// The bytes of an index.
///
/// # Errors
/// Only if memory runs out inside the compressor.
pub fn encode_index(index: &Index) -> Result<Vec<u8>, FormatError> {
    encode(index)
}

/// The bytes of a shard.
///
/// # Errors
/// Only if memory runs out inside the compressor.
pub fn encode_shard(shard: &Shard) -> Result<Vec<u8>, FormatError> {
    encode(shard)
}

/// The index in these bytes.
///
/// # Errors
/// Bytes that [`encode_index`] did not make.
pub fn decode_index(bytes: &[u8]) -> Result<Index, FormatError> {
    decode(bytes)
}

/// The shard in these bytes.
///
/// # Errors
/// Bytes that [`encode_shard`] did not make.
pub fn decode_shard(bytes: &[u8]) -> Result<Shard, FormatError> {
    decode(bytes)
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, FormatError> {
    Ok(zstd::encode_all(serde_json::to_vec(value)?.as_slice(), 3)?)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
    let mut text = Vec::new();
    zstd::Decoder::new(bytes)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::MailboxState,
        directory::{Credential, Entry, MailboxEntry},
    };
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            "[a-z]{1,8}@x[.]vn".prop_map(Entry::Alias),
            (0_u32..64, any::<bool>(), any::<u64>(), proptest::option::of("[ -~]{0,40}")).prop_map(
                |(store, active, quota, hash)| {
                    Entry::Mailbox(MailboxEntry {
                        store,
                        state: if active { MailboxState::Active } else { MailboxState::Suspended },
                        quota,
                        credential: hash.map(|hash| Credential { hash, source: "s".into() }),
                        ..MailboxEntry::default()
                    })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_the_bytes_are_the_same_each_time(
            entries in proptest::collection::btree_map("[a-z]{1,8}@x[.]vn", entry(), 0..20)
        ) {
            let shard = Shard { entries, ..Shard::default() };
            let bytes = encode_shard(&shard).unwrap();
            prop_assert_eq!(&bytes, &encode_shard(&shard).unwrap());
            prop_assert_eq!(decode_shard(&bytes).unwrap(), shard);
        }

        #[test]
        fn any_bytes_are_an_error_and_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_shard(&bytes).is_err());
            prop_assert!(decode_index(&bytes).is_err());
        }
    }
}

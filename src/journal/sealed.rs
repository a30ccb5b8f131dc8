//! Segments as they are stored: [`plain`](super::plain) content in an age file with a label.
//!
//! A segment is made in memory and read as a stream. Whoever may write (a gateway) needs public keys only, and cannot read
//! what it wrote.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient, stream::StreamReader};
use bytes::Bytes;

use super::{
    label::{Label, Reads, Writes},
    plain::{Decoder, EncodeError, Entry, Head, Name, PlainError, encode, length},
    stream::{CHUNK, Measured, Pieces, TAG, UNKNOWN},
};

/// How every age file begins, whatever its version.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/";

/// A segment cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// An envelope cannot be written down.
    #[error(transparent)]
    Entry(#[from] EncodeError),
    /// age does not encrypt for these recipients.
    #[error("encryption for the journal's keys: {0}")]
    Encrypt(#[from] EncryptError),
    /// age failed.
    #[error("encryption: {0}")]
    Output(#[from] io::Error),
}

/// Makes a segment, in pieces that may be sent one after the other. The pieces of the messages are dropped as they are
/// encrypted, so that a long message is not held twice.
///
/// # Errors
/// An envelope cannot be written down, or there is no key to encrypt for.
pub fn seal(
    name: &Name,
    entries: Vec<Entry>,
    keys: &[age::x25519::Recipient],
) -> Result<Vec<Bytes>, SealError> {
    if keys.is_empty() {
        return Err(SealError::Encrypt(EncryptError::MissingRecipients));
    }
    let label = Writes(name.clone(), length(name, &entries)?);
    let recipients =
        keys.iter().map(|key| key as &dyn Recipient).chain(std::iter::once(&label as &dyn Recipient));
    let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(Pieces::default())?;
    encode(name, entries, &mut writer)?;
    Ok(writer.finish()?.finish())
}

/// What is wrong with a segment, and with which.
#[derive(Debug, thiserror::Error)]
#[error("journal segment {segment}: {fault}")]
pub struct SegmentError {
    /// Which.
    pub segment: Name,
    /// What.
    pub fault: Fault,
}

/// What is wrong with a segment.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is something else.
    #[error("this is no segment of a journal")]
    NotASegment,
    /// A later release wrote it.
    #[error("it has format {0}, which this release does not read: read it with a later release")]
    Newer(u64),
    /// Its end is missing.
    #[error("it is truncated")]
    Truncated,
    /// Bytes of it were changed.
    #[error("it was altered")]
    Altered,
    /// It is encrypted for other keys.
    #[error("none of the given keys opens it")]
    WrongKey,
    /// It was renamed, or put in another's place.
    #[error("it is segment {0}, which was put in the place of another")]
    Misplaced(Name),
    /// Whoever wrote it did not follow the format.
    #[error("{0}")]
    Content(PlainError),
    /// It could not be read, or the output failed.
    #[error(transparent)]
    Input(io::Error),
}

/// A segment that is being read.
pub struct Segment<R: Read> {
    name: Name,
    content: Content<R>,
}

impl<R: BufRead> Segment<R> {
    /// Opens the segment that is stored under `name`.
    ///
    /// # Errors
    /// It is damaged, of a later release, or for other keys.
    pub fn open(name: &Name, input: R, keys: &[age::x25519::Identity]) -> Result<Self, SegmentError> {
        let content =
            opened(name, input, keys).map_err(|fault| SegmentError { segment: name.clone(), fault })?;
        Ok(Self { name: name.clone(), content })
    }

    /// The next entry's envelope; none after the last, once the trailer was checked.
    ///
    /// # Errors
    /// The segment is damaged.
    pub fn head(&mut self) -> Result<Option<Head>, SegmentError> {
        self.content.head().map_err(|error| SegmentError { segment: self.name.clone(), fault: error.into() })
    }

    /// Writes the message that belongs to the last head, and checks it. Until this returns, nothing of it is certain.
    ///
    /// # Errors
    /// The segment is damaged, or the output fails.
    pub fn message(&mut self, output: &mut impl Write) -> Result<(), SegmentError> {
        self.content
            .message(output)
            .map_err(|error| SegmentError { segment: self.name.clone(), fault: error.into() })
    }
}

type Content<R> = Decoder<BufReader<StreamReader<Measured<R>>>>;

fn opened<R: BufRead>(
    name: &Name,
    mut input: R,
    keys: &[age::x25519::Identity],
) -> Result<Content<R>, Fault> {
    let start = input.fill_buf().map_err(Fault::Input)?;
    let compared = start.len().min(MAGIC.len());
    if start[..compared] != MAGIC[..compared] {
        return Err(Fault::NotASegment);
    }
    let left = Arc::new(AtomicU64::new(UNKNOWN));
    let label = Reads::default();
    let keys = keys.iter().map(|key| key as &dyn Identity);
    let decryptor = Decryptor::new_buffered(Measured { input, left: Arc::clone(&left) })?;
    let stream =
        match (decryptor.decrypt(std::iter::once(&label as &dyn Identity).chain(keys)), label.found()) {
            (Err(DecryptError::NoMatchingKeys) | Ok(_), Some(Label::Other(version))) => {
                return Err(Fault::Newer(version));
            }
            (stream, _) => stream?,
        };
    let Some(Label::Known { name: labelled, length }) = label.found() else { return Err(Fault::NotASegment) };
    if labelled != *name {
        return Err(Fault::Misplaced(labelled));
    }
    // Even an empty content has a chunk.
    left.store(length.saturating_add(TAG * length.div_ceil(CHUNK).max(1)), Ordering::Relaxed);
    let content = Decoder::new(BufReader::new(stream))?;
    if content.name() != name {
        return Err(Fault::Misplaced(content.name().clone()));
    }
    Ok(content)
}

impl From<DecryptError> for Fault {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NoMatchingKeys => Self::WrongKey,
            // age itself has a version 2.
            DecryptError::UnknownFormat => Self::Newer(2),
            DecryptError::Io(error) => PlainError::Input(error).into(),
            _ => Self::Altered,
        }
    }
}

impl From<PlainError> for Fault {
    fn from(error: PlainError) -> Self {
        match error {
            PlainError::Newer(version) => Self::Newer(version),
            PlainError::Input(error) if error.kind() == ErrorKind::UnexpectedEof => Self::Truncated,
            PlainError::Input(error) if error.kind() == ErrorKind::InvalidData => Self::Altered,
            PlainError::Input(error) => Self::Input(error),
            error => Self::Content(error),
        }
    }
}

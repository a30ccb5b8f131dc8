//! What the fuzz targets share. The codecs are compiled from their sources, not by way of the
//! operator's crate: they need three small dependencies, it needs a Kubernetes client.

#[path = "../../src/wire/mod.rs"]
pub mod wire;

#[path = "../../src/journal/plain/mod.rs"]
pub mod journal;

use bytes::BytesMut;
use std::fmt::Debug;
use tokio_util::codec::Decoder;

/// Decodes the input cut into pieces, whose length the first byte says, and whole; both must give the
/// same values and end alike. `buffered` is how many bytes the decoder may leave undecoded.
pub fn same_however_cut<D>(input: &[u8], make: impl Fn() -> D, buffered: usize)
where
    D: Decoder<Item: Debug>,
{
    let Some((step, bytes)) = input.split_first() else { return };
    let whole = decode(make(), [bytes], usize::MAX);
    let pieces = decode(make(), bytes.chunks(usize::from(*step).max(1)), buffered);
    assert_eq!(whole, pieces);
}

/// What came out, and whether it ended in an error.
fn decode<'a, D>(
    mut decoder: D,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    buffered: usize,
) -> (Vec<String>, bool)
where
    D: Decoder<Item: Debug>,
{
    let (mut buffer, mut items) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(item)) => items.push(format!("{item:?}")),
                Ok(None) => break,
                Err(_) => return (items, true),
            }
        }
        assert!(buffer.len() <= buffered, "{} bytes are held", buffer.len());
    }
    (items, false)
}

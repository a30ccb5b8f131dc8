//! What the codecs' tests share: running a decoder over bytes cut at arbitrary places.

use bytes::BytesMut;
use proptest::prelude::*;
use tokio_util::codec::Decoder;

/// Feeds the pieces one after another and returns what came out, and whether it ended in an error.
pub(super) fn decode_pieces<D: Decoder>(decoder: &mut D, pieces: &[Vec<u8>]) -> (Vec<D::Item>, bool) {
    let (mut buffer, mut items) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(_) => return (items, true),
            }
        }
    }
    (items, false)
}

/// Decodes the bytes given whole.
pub(super) fn decode_whole<D: Decoder>(decoder: &mut D, bytes: &[u8]) -> (Vec<D::Item>, bool) {
    decode_pieces(decoder, &[bytes.to_vec()])
}

/// The bytes cut into pieces at arbitrary places.
pub(super) fn cut(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    (bytes, prop::collection::vec(any::<prop::sample::Index>(), 0..8)).prop_map(|(bytes, cuts)| {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
    })
}

//! Message data: sent and received again it is the same, however cut; received raw it is the same, however cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mail_operator_fuzz::wire::lmtp::{DotDecoder, DotEncoder};

fn received(wire: &[u8], step: usize) -> (BytesMut, Option<usize>, bool) {
    let (mut decoder, mut out) = (DotDecoder::default(), BytesMut::new());
    for (index, piece) in wire.chunks(step).enumerate() {
        let progress = decoder.decode(piece, &mut out);
        if progress.ended {
            return (out, Some(index * step + progress.consumed), decoder.has_bare_newline());
        }
        assert_eq!(progress.consumed, piece.len());
    }
    (out, None, decoder.has_bare_newline())
}

fuzz_target!(|input: &[u8]| {
    let Some((step, message)) = input.split_first() else { return };
    let step = usize::from(*step).max(1);
    assert_eq!(received(message, step), received(message, message.len().max(1)));

    let (mut encoder, mut wire) = (DotEncoder::default(), BytesMut::new());
    message.chunks(step).for_each(|piece| encoder.encode(piece, &mut wire));
    encoder.finish(&mut wire);
    let (out, end, _) = received(&wire, step);
    assert_eq!(end, Some(wire.len()));
    let rest = out.strip_prefix(message).expect("the message begins with what was sent");
    assert!(rest.is_empty() || rest == b"\r\n");
});

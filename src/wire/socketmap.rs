//! Postfix's `socketmap` tables, server side (`socketmap_table(5)`).
//!
//! Requests `<length>:<map> <key>,` come in as netstrings; replies go out as netstrings. It must not
//! fold or interpret keys: which of them are equal is the directory's business.

use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;
use tokio_util::codec::{Decoder, Encoder};

/// Longest request, in bytes.
pub const MAX_LENGTH: usize = 100_000;
/// Longest reply, in bytes: Postfix' `socketmap_max_reply_size`, as its configuration has it.
pub const MAX_REPLY: usize = 2_000_000;
const MAX_DIGITS: usize = 6;

/// One look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Name of the map, as in `socketmap:unix:path:NAME`.
    pub map: Bytes,
    /// The key as Postfix sent it: not folded, possibly with spaces, possibly not UTF-8.
    pub key: Bytes,
}

/// The answer to one look-up. Postfix makes `451` of the three failures alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The key was found; the data, not empty.
    Ok(Bytes),
    /// The key does not exist: the one answer that lets Postfix refuse with `550`.
    NotFound,
    /// Try again later, with a reason for Postfix's log.
    Temp(Cow<'static, str>),
    /// The answer took too long, with a reason for Postfix's log.
    Timeout(Cow<'static, str>),
    /// The request can never be answered, with a reason for Postfix's log.
    Perm(Cow<'static, str>),
}

/// Why a connection cannot go on. Postfix connects again and answers `451` meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The length is missing, has a leading zero or other signs, or exceeds [`MAX_LENGTH`].
    #[error("socketmap: bad length of a netstring")]
    Length,
    /// The content is not followed by a comma.
    #[error("socketmap: netstring without its comma")]
    Comma,
    /// The request has no space between map and key.
    #[error("socketmap: request without map and key")]
    NoKey,
    /// A reply of this many bytes exceeds [`MAX_REPLY`]; nothing was written.
    #[error("socketmap: reply of {0} bytes is too long")]
    ReplyTooLong(usize),
    /// The connection failed.
    #[error("socketmap: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes requests, encodes replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Request;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Request>, Error> {
        let Some(mut map) = take_netstring(src)? else { return Ok(None) };
        let space = map.iter().position(|byte| *byte == b' ').ok_or(Error::NoKey)?;
        let key = map.split_off(space).slice(1..);
        Ok(Some(Request { map, key }))
    }
}

impl Encoder<Reply> for Codec {
    type Error = Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        let (status, text) = match &reply {
            Reply::Ok(data) => ("OK ", &data[..]),
            Reply::NotFound => ("NOTFOUND ", &b""[..]),
            Reply::Temp(reason) => ("TEMP ", reason.as_bytes()),
            Reply::Timeout(reason) => ("TIMEOUT ", reason.as_bytes()),
            Reply::Perm(reason) => ("PERM ", reason.as_bytes()),
        };
        let length = status.len() + text.len();
        if length > MAX_REPLY {
            return Err(Error::ReplyTooLong(length));
        }
        dst.reserve(length + MAX_DIGITS + 3);
        dst.put_slice(length.to_string().as_bytes());
        dst.put_u8(b':');
        dst.put_slice(status.as_bytes());
        dst.put_slice(text);
        dst.put_u8(b',');
        Ok(())
    }
}

fn take_netstring(src: &mut BytesMut) -> Result<Option<Bytes>, Error> {
    let Some(colon) = src.iter().take(MAX_DIGITS + 1).position(|byte| *byte == b':') else {
        let started = src.len() <= MAX_DIGITS && src.iter().all(u8::is_ascii_digit);
        return if started { Ok(None) } else { Err(Error::Length) };
    };
    let length = parse_length(&src[..colon]).ok_or(Error::Length)?;
    let end = colon + 1 + length;
    match src.get(end) {
        None => {
            src.reserve(end + 1 - src.len());
            Ok(None)
        }
        Some(b',') => {
            let mut frame = src.split_to(end + 1).freeze();
            frame.truncate(end);
            Ok(Some(frame.split_off(colon + 1)))
        }
        Some(_) => Err(Error::Comma),
    }
}

fn parse_length(digits: &[u8]) -> Option<usize> {
    let canonical =
        digits == b"0" || (digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0'));
    let length = std::str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()?;
    (length <= MAX_LENGTH).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cut, decode_pieces, decode_whole};
    use super::*;
    use proptest::prelude::*;

    fn request(map: &'static str, key: &'static [u8]) -> Request {
        Request { map: Bytes::from_static(map.as_bytes()), key: Bytes::from_static(key) }
    }

    fn encoded(reply: Reply) -> Result<BytesMut, Error> {
        let mut out = BytesMut::new();
        Codec.encode(reply, &mut out).map(|()| out)
    }

    #[test]
    fn what_postfix_sends_is_understood_and_keys_stay_as_they_are() {
        let (items, failed) =
            decode_whole(&mut Codec, b"20:mailbox U1@DOM.test ,13:alias \"a b\"@d,9:sender \xff\xfe,");
        assert!(!failed);
        assert_eq!(
            items,
            [
                request("mailbox", b"U1@DOM.test "),
                request("alias", b"\"a b\"@d"),
                request("sender", b"\xff\xfe")
            ]
        );
    }

    #[test]
    fn bad_frames_are_errors_and_not_waits() {
        for bytes in [
            &b"x"[..],
            b":",
            b"1234567",
            b"100001:",
            b"007:abc def,",
            b"3:a b;",
            b"3:abc,",
            b"0:,",
            b"-1:",
            b"+3:a b,",
        ] {
            assert!(decode_whole(&mut Codec, bytes).1, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn replies_are_netstrings() {
        assert_eq!(encoded(Reply::Ok(Bytes::from_static(b"u@d"))).unwrap(), "6:OK u@d,");
        assert_eq!(encoded(Reply::NotFound).unwrap(), "9:NOTFOUND ,");
        assert_eq!(encoded(Reply::Temp("not ready".into())).unwrap(), "14:TEMP not ready,");
        assert_eq!(encoded(Reply::Timeout("slow".into())).unwrap(), "12:TIMEOUT slow,");
        assert_eq!(encoded(Reply::Perm("no such map".into())).unwrap(), "16:PERM no such map,");
    }

    #[test]
    fn a_reply_that_postfix_would_not_read_is_refused_here() {
        assert!(encoded(Reply::Ok(Bytes::from(vec![b'a'; MAX_REPLY - 3]))).is_ok());
        assert!(matches!(
            encoded(Reply::Ok(Bytes::from(vec![b'a'; MAX_REPLY - 2]))),
            Err(Error::ReplyTooLong(_))
        ));
    }

    proptest! {
        #[test]
        fn any_request_survives_any_cut(map in "[a-z]{1,9}", key: Vec<u8>, cuts: Vec<prop::sample::Index>) {
            let content = [map.as_bytes(), b" ", &key[..]].concat();
            let bytes = [content.len().to_string().as_bytes(), b":", &content[..], b","].concat();
            let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len())).chain([0, bytes.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<_> = at.windows(2).map(|w| bytes[w[0]..w[1]].to_vec()).collect();
            let (items, failed) = decode_pieces(&mut Codec, &pieces);
            prop_assert!(!failed);
            prop_assert_eq!(items, vec![Request { map: map.into(), key: key.into() }]);
        }

        #[test]
        fn any_bytes_give_the_same_result_however_cut(pieces in cut("[0-9:, a]{0,40}".prop_map(String::into_bytes))) {
            prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)), format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
        }

        #[test]
        fn no_bytes_panic(pieces in cut(any::<Vec<u8>>())) {
            decode_pieces(&mut Codec, &pieces);
        }
    }
}

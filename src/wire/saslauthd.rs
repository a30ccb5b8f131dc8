//! The protocol of Cyrus SASL's `saslauthd`, server side (`saslauthd(8)`, `lib/checkpw.c`).
//!
//! Four strings, each with a 16-bit big-endian length, come in; `OK` or `NO`, with such a length, goes
//! out; then the connection is closed. It must not show the password to anyone but the caller.
//! An unanswered, closed connection is `454` at Postfix, `NO` is `535`: a failure of ours is never `NO`.

use super::secret::Secret;
use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Longest of the four strings, in bytes. The client's buffer for all four is 8 KiB.
pub const MAX_FIELD: usize = 8192;

/// A question: is this the password of that login?
#[derive(Clone, Debug)]
pub struct Request {
    /// What the user typed, up to the last `@` if Postfix asks, whole if Cyrus asks.
    pub login: Bytes,
    /// The password as typed.
    pub password: Secret,
    /// Who asks: `smtp`, `imap`, `pop`, `sieve`, `http`, `lmtp`.
    pub service: Bytes,
    /// What the user typed after the last `@` if Postfix asks, else empty.
    pub realm: Bytes,
}

impl Request {
    /// The login as the user typed it: login and realm joined by `@`. Nothing is left out, so that
    /// `u@d@x` never becomes somebody's `u@d`. Not folded.
    #[must_use]
    pub fn address(&self) -> Bytes {
        if self.realm.is_empty() {
            return self.login.clone();
        }
        Bytes::from([&self.login[..], b"@", &self.realm[..]].concat())
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The password is right and the login may use this service.
    Ok,
    /// It is not, for whatever reason: the reason is not told.
    No,
}

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the strings has this many bytes, more than [`MAX_FIELD`].
    #[error("saslauthd: a field of {0} bytes is too long")]
    FieldTooLong(usize),
    /// The connection failed.
    #[error("saslauthd: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes the request, encodes the reply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Request;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Request>, Error> {
        let (mut ends, mut at) = ([0; 4], 0);
        for end in &mut ends {
            let Some(&[high, low]) = src.get(at..at + 2) else { return Ok(None) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length > MAX_FIELD {
                return Err(Error::FieldTooLong(length));
            }
            at += 2 + length;
            *end = at;
        }
        if src.len() < at {
            return Ok(None);
        }
        let frame = src.split_to(at).freeze();
        let [login, password, service, realm] = ends;
        Ok(Some(Request {
            login: frame.slice(2..login),
            password: Secret::new(frame.slice(login + 2..password)),
            service: frame.slice(password + 2..service),
            realm: frame.slice(service + 2..realm),
        }))
    }
}

impl Encoder<Reply> for Codec {
    type Error = Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        dst.put_u16(2);
        dst.put_slice(match reply {
            Reply::Ok => b"OK",
            Reply::No => b"NO",
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cut, decode_pieces, decode_whole};
    use super::*;
    use proptest::prelude::*;

    fn frame(fields: [&[u8]; 4]) -> Vec<u8> {
        fields
            .iter()
            .flat_map(|field| [&u16::try_from(field.len()).unwrap().to_be_bytes()[..], field].concat())
            .collect()
    }

    fn only(bytes: &[u8]) -> Request {
        let (mut items, failed) = decode_whole(&mut Codec, bytes);
        assert!(!failed && items.len() == 1);
        items.remove(0)
    }

    #[test]
    fn postfix_and_cyrus_ask_for_the_same_address() {
        let postfix = only(b"\0\x02u1\0\x02pw\0\x04smtp\0\x08dom.test");
        let cyrus = only(b"\0\x0bu1@dom.test\0\x02pw\0\x04imap\0\0");
        assert_eq!(postfix.address(), "u1@dom.test");
        assert_eq!(cyrus.address(), "u1@dom.test");
        assert_eq!(postfix.password.expose(), b"pw");
        assert_eq!(postfix.service, "smtp");
    }

    #[test]
    fn a_second_at_sign_is_not_dropped() {
        assert_eq!(only(&frame([b"u1@dom.test", b"pw", b"smtp", b"x"])).address(), "u1@dom.test@x");
    }

    #[test]
    fn the_password_is_not_in_debug_output() {
        assert!(!format!("{:?}", only(&frame([b"u", b"hunter2", b"smtp", b""]))).contains("hunter2"));
    }

    #[test]
    fn a_field_that_is_too_long_is_an_error_before_it_arrives() {
        assert!(decode_whole(&mut Codec, &[0x20, 0x01]).1);
        assert!(!decode_whole(&mut Codec, &[0x20, 0x00]).1);
    }

    #[test]
    fn replies_carry_their_length() {
        let mut out = BytesMut::new();
        Codec.encode(Reply::Ok, &mut out).unwrap();
        Codec.encode(Reply::No, &mut out).unwrap();
        assert_eq!(&out[..], b"\0\x02OK\0\x02NO");
    }

    proptest! {
        #[test]
        fn any_request_survives_any_cut(
            (fields, pieces) in any::<[Vec<u8>; 4]>().prop_flat_map(|fields| {
                let bytes = frame([&fields[0], &fields[1], &fields[2], &fields[3]]);
                (Just(fields), cut(Just(bytes)))
            })
        ) {
            let (items, failed) = decode_pieces(&mut Codec, &pieces);
            prop_assert!(!failed && items.len() == 1);
            let request = &items[0];
            prop_assert_eq!([&request.login[..], request.password.expose(), &request.service[..], &request.realm[..]],
                [&fields[0][..], &fields[1][..], &fields[2][..], &fields[3][..]]);
        }

        #[test]
        fn any_bytes_give_the_same_result_however_cut(pieces in cut(prop::collection::vec(prop_oneof![4 => Just(0u8), 2 => 0u8..6, 1 => any::<u8>()], 0..80))) {
            prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)), format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
        }
    }
}

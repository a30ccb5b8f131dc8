//! Dovecot's authentication protocol, server side (its `doc/auth-protocol.txt`; Postfix's `xsasl_dovecot_server.c`), as
//! far as Postfix speaks it.
//!
//! Lines of tab-separated fields come in as [`Command`]s; [`Reply`]s go out as lines. The mechanisms PLAIN and LOGIN are
//! read here, too. Postfix takes `FAIL` for `535` and a closed connection for `454`, so a failure of ours is never a
//! `FAIL`. It must not show a password to anyone but the caller.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::secret::Secret;

/// Longest line, in bytes: Postfix's own limit of a response is 12,288.
pub const MAX_LINE: usize = 16_384;

/// What the server says before anything else: its version, what it understands, and that it is ready.
pub const GREETING: &str =
    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n";

/// How the client shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// User name and password, each asked for.
    Login,
}

/// What Postfix says.
#[derive(Clone, Debug)]
pub enum Command {
    /// A log-in begins.
    Auth {
        /// Its number; replies repeat it.
        id: u64,
        /// None if it is one that was not offered.
        mechanism: Option<Mechanism>,
        /// Where the client is; none if that is no IP address.
        client: Option<IpAddr>,
        /// What the client sent along, decoded.
        response: Option<Secret>,
    },
    /// The client's next response, decoded.
    Continue(u64, Secret),
    /// Something that needs no answer.
    Other,
}

/// What Postfix is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// [`GREETING`].
    Greeting,
    /// The client is this user, an address without control characters.
    Ok(u64, String),
    /// It is not.
    Fail(u64),
    /// The client is asked this.
    Continue(u64, &'static str),
}

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is longer than [`MAX_LINE`].
    #[error("sasl: a line is too long")]
    LineTooLong,
    /// A line is none of the protocol's.
    #[error("sasl: a line is not understood")]
    Malformed,
    /// The connection failed.
    #[error("sasl: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes commands, encodes replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Command;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Command>, Error> {
        let Some(end) = src.iter().take(MAX_LINE + 1).position(|byte| *byte == b'\n') else {
            return if src.len() > MAX_LINE { Err(Error::LineTooLong) } else { Ok(None) };
        };
        let line = src.split_to(end + 1).freeze();
        parse(&line[..end]).map(Some).ok_or(Error::Malformed)
    }
}

fn parse(line: &[u8]) -> Option<Command> {
    let mut fields = line.split(|byte| *byte == b'\t');
    match fields.next()? {
        b"AUTH" => {
            let id = number(fields.next()?)?;
            let mechanism = match fields.next()?.to_ascii_uppercase().as_slice() {
                b"PLAIN" => Some(Mechanism::Plain),
                b"LOGIN" => Some(Mechanism::Login),
                _ => None,
            };
            let (mut client, mut response) = (None, None);
            for field in fields {
                if let Some(address) = field.strip_prefix(b"rip=") {
                    client = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
                } else if let Some(text) = field.strip_prefix(b"resp=") {
                    response = Some(decode(text)?);
                }
            }
            Some(Command::Auth { id, mechanism, client, response })
        }
        b"CONT" => {
            Some(Command::Continue(number(fields.next()?)?, decode(fields.next().unwrap_or_default())?))
        }
        _ => Some(Command::Other),
    }
}

impl Encoder<Reply> for Codec {
    type Error = Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        let line = match reply {
            Reply::Greeting => GREETING.to_owned(),
            Reply::Ok(id, user) if user.chars().any(char::is_control) => format!("FAIL\t{id}\n"),
            Reply::Ok(id, user) => format!("OK\t{id}\tuser={user}\n"),
            Reply::Fail(id) => format!("FAIL\t{id}\n"),
            Reply::Continue(id, text) => format!("CONT\t{id}\t{}\n", BASE64_STANDARD.encode(text)),
        };
        dst.extend_from_slice(line.as_bytes());
        Ok(())
    }
}

/// Login and password of a message of PLAIN; none if it is no such message, or asks to act as somebody else.
#[must_use]
pub fn plain(message: &Secret) -> Option<(Bytes, Secret)> {
    let mut parts = message.expose().split(|byte| *byte == 0);
    let (authorize, login, password) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && (authorize.is_empty() || authorize == login);
    whole.then(|| (Bytes::copy_from_slice(login), Secret::new(password.to_vec())))
}

fn decode(text: &[u8]) -> Option<Secret> {
    BASE64_STANDARD.decode(text).ok().map(Secret::new)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cut, decode_pieces, decode_whole};
    use super::*;
    use proptest::prelude::*;

    fn only(line: &str) -> Option<Command> {
        let (mut items, _) = decode_whole(&mut Codec, format!("{line}\n").as_bytes());
        items.pop()
    }

    #[test]
    fn what_postfix_sends_is_understood() {
        let line = "AUTH\t3\tPLAIN\tservice=smtp\tnologin\tlip=10.0.0.1\trip=203.0.113.7\tsecured\tresp=AGFuQHgudm4AcHc=";
        let Some(Command::Auth { id, mechanism, client, response }) = only(line) else { panic!("no AUTH") };
        assert_eq!((id, mechanism, client), (3, Some(Mechanism::Plain), "203.0.113.7".parse().ok()));
        let (login, password) = plain(&response.unwrap()).unwrap();
        assert_eq!((&login[..], password.expose()), (&b"an@x.vn"[..], &b"pw"[..]));
        let Some(Command::Continue(4, response)) = only("CONT\t4\tcHc=") else { panic!("no CONT") };
        assert_eq!(response.expose(), b"pw");
        assert!(matches!(only("VERSION\t1\t1"), Some(Command::Other)));
        let odd = only("AUTH\t1\tCRAM-MD5\trip=unknown");
        assert!(matches!(odd, Some(Command::Auth { mechanism: None, client: None, response: None, .. })));
    }

    #[test]
    fn what_is_none_of_the_protocol_is_an_error() {
        for line in ["AUTH", "AUTH\t+1\tPLAIN", "AUTH\t1\tPLAIN\tresp=?", "CONT\tx\t", "CONT"] {
            assert!(only(line).is_none(), "{line}");
        }
        assert!(decode_whole(&mut Codec, &vec![b'A'; MAX_LINE + 1]).1);
    }

    #[test]
    fn a_message_of_plain_has_three_parts_and_asks_for_no_other_account() {
        let read = |text: &str| plain(&Secret::new(text.to_owned())).map(|(login, _)| login);
        assert_eq!(read("an\0an\0pw"), Some("an".into()));
        for bad in ["", "an", "\0an", "binh\0an\0pw", "\0an\0p\0w"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn replies_are_lines_and_a_user_cannot_add_one() {
        let text = |reply| {
            let mut out = BytesMut::new();
            Codec.encode(reply, &mut out).unwrap();
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(text(Reply::Ok(1, "an@x.vn".into())), "OK\t1\tuser=an@x.vn\n");
        assert_eq!(text(Reply::Ok(1, "an\nOK\t1".into())), "FAIL\t1\n");
        assert_eq!(text(Reply::Continue(2, "Username:")), "CONT\t2\tVXNlcm5hbWU6\n");
        assert!(text(Reply::Greeting).ends_with("DONE\n"));
    }

    #[test]
    fn the_password_is_not_in_debug_output() {
        assert!(!format!("{:?}", only("CONT\t4\tcHc=")).contains("pw"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_result_however_cut(pieces in cut(prop::collection::vec(prop_oneof![
            prop::sample::select(b"AUTHCON\t\n1=resp".to_vec()), any::<u8>()], 0..120))) {
            prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)), format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
        }
    }
}

//! ManageSieve (RFC 5804) up to the log-in, server side.
//!
//! Bytes of a client come in, commands go out. What is said after the log-in is the store's, and passes unread.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

use super::secret::Secret;

/// Longest command in bytes, literals included.
pub const MAX_COMMAND: usize = 8 << 10;

/// What a client asks before it is logged in.
#[derive(Debug)]
pub enum Command {
    /// To go on encrypted.
    StartTls,
    /// To log in by this mechanism, in upper case, with a first response if it has one.
    Authenticate(String, Option<Secret>),
    /// A response of a mechanism alone; none if it is not base64.
    Response(Option<Secret>),
    /// What the server can do.
    Capability,
    /// Nothing.
    Noop,
    /// To end.
    Logout,
    /// Something for which it must be logged in, or nothing known.
    Other,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command is longer than [`MAX_COMMAND`].
    #[error("managesieve: a command is too long")]
    TooLong,
    /// The connection failed.
    #[error("managesieve: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Command;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Command>, Error> {
        let Some((words, end)) = words(src)? else { return Ok(None) };
        src.advance(end);
        Ok(Some(command(words)))
    }
}

/// A word of a command: an atom, or a string.
enum Word {
    Atom(Vec<u8>),
    Text(Vec<u8>),
}

fn command(words: Vec<Word>) -> Command {
    let mut words = words.into_iter();
    let verb = match words.next() {
        Some(Word::Atom(verb)) => verb.to_ascii_uppercase(),
        Some(Word::Text(text)) if words.next().is_none() => return Command::Response(decode(&text)),
        _ => return Command::Other,
    };
    match (verb.as_slice(), words.next(), words.next()) {
        (b"STARTTLS", None, None) => Command::StartTls,
        (b"CAPABILITY", None, None) => Command::Capability,
        (b"NOOP", _, None) => Command::Noop,
        (b"LOGOUT", None, None) => Command::Logout,
        (b"AUTHENTICATE", Some(Word::Text(mechanism)), response) => {
            let mechanism = String::from_utf8_lossy(&mechanism).to_ascii_uppercase();
            match response {
                None => Command::Authenticate(mechanism, None),
                // What is not base64 is no response to PLAIN either.
                Some(Word::Text(text)) => Command::Authenticate(
                    mechanism,
                    Some(decode(&text).unwrap_or_else(|| Secret::new(Vec::new()))),
                ),
                Some(Word::Atom(_)) => Command::Other,
            }
        }
        _ => Command::Other,
    }
}

fn decode(text: &[u8]) -> Option<Secret> {
    BASE64_STANDARD.decode(text).ok().map(Secret::new)
}

/// The words of the first command, and where it ends; none if it has not arrived whole.
fn words(src: &[u8]) -> Result<Option<(Vec<Word>, usize)>, Error> {
    let (mut words, mut at) = (Vec::new(), 0);
    let more = || if src.len() < MAX_COMMAND { Ok(None) } else { Err(Error::TooLong) };
    while let Some(byte) = src.get(at).filter(|_| at < MAX_COMMAND) {
        match byte {
            b'\n' => return Ok(Some((words, at + 1))),
            b'\r' | b' ' | b'\t' => at += 1,
            b'"' => {
                let Some((text, end)) = quoted(src, at) else { return more() };
                words.push(Word::Text(text));
                at = end;
            }
            b'{' => match literal(src, at)? {
                Some((text, end)) => {
                    words.push(Word::Text(text));
                    at = end;
                }
                None => return more(),
            },
            _ => {
                let rest = &src[at..];
                let end = rest.iter().position(|byte| b" \t\r\n\"".contains(byte)).unwrap_or(rest.len());
                words.push(Word::Atom(rest[..end].to_vec()));
                at += end;
            }
        }
    }
    if at >= MAX_COMMAND { Err(Error::TooLong) } else { more() }
}

fn quoted(src: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut text, mut at) = (Vec::new(), start + 1);
    loop {
        match src.get(at)? {
            b'"' => return Some((text, at + 1)),
            b'\\' => {
                text.push(*src.get(at + 1)?);
                at += 2;
            }
            byte => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

/// `{5+}` or `{5}`, a line end, and so many bytes.
fn literal(src: &[u8], start: usize) -> Result<Option<(Vec<u8>, usize)>, Error> {
    let rest = &src[start..];
    let Some(line) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let digits = rest[1..line].strip_suffix(b"\r").unwrap_or(&rest[1..line]);
    let digits = digits.strip_suffix(b"}").unwrap_or(digits);
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
    let length = length.filter(|length| *length < MAX_COMMAND).ok_or(Error::TooLong)?;
    let begin = start + line + 1;
    Ok(src.get(begin..begin + length).map(|text| (text.to_vec(), begin + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{cut, decode_pieces, decode_whole};
    use proptest::prelude::*;

    /// Commands as text, secrets included.
    fn all(bytes: &[u8]) -> Vec<String> {
        let (items, failed) = decode_whole(&mut Codec, bytes);
        assert!(!failed, "{}", bytes.escape_ascii());
        items.iter().map(text).collect()
    }

    fn text(command: &Command) -> String {
        let shown =
            |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().escape_ascii().to_string());
        match command {
            Command::Authenticate(mechanism, response) => format!("{mechanism} {:?}", shown(response)),
            Command::Response(response) => format!("{:?}", shown(response)),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_log_in_is_read_in_each_form() {
        let response = r#"Some("\\x00an@x.vn\\x00pw")"#;
        for line in [
            "AUTHENTICATE \"PLAIN\" \"AGFuQHgudm4AcHc=\"\r\n",
            "authenticate \"plain\" {16+}\r\nAGFuQHgudm4AcHc=\r\n",
            "Authenticate {5+}\r\nPLAIN \"AGFuQHgudm4AcHc=\"\r\n",
        ] {
            assert_eq!(all(line.as_bytes()), [format!("PLAIN {response}")], "{line}");
        }
        let steps = all(b"AUTHENTICATE \"PLAIN\"\r\n\"AGFuQHgudm4AcHc=\"\r\n\"*\"\r\n");
        assert_eq!(steps, ["PLAIN None", response, "None"]);
    }

    #[test]
    fn other_commands_are_told_apart() {
        let lines = b"STARTTLS\r\nCAPABILITY\r\nNOOP \"tag\"\r\nLOGOUT\r\nLISTSCRIPTS\r\n\r\nSTARTTLS x\r\n";
        assert_eq!(all(lines), ["StartTls", "Capability", "Noop", "Logout", "Other", "Other", "Other"]);
    }

    #[test]
    fn what_is_too_long_ends_the_connection() {
        for bytes in
            ["x".repeat(MAX_COMMAND + 1), "{99999+}\r\n".into(), "\"".to_owned() + &"y".repeat(MAX_COMMAND)]
        {
            assert!(Codec.decode(&mut bytes.as_bytes().into()).is_err(), "{bytes:.20}");
        }
        assert!(matches!(Codec.decode(&mut "NOO".as_bytes().into()), Ok(None)));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_commands(
            pieces in cut(proptest::collection::vec(
                prop_oneof![3 => any::<u8>(), 2 => proptest::sample::select(b"\r\n\"{}+ A5".to_vec())], 0..200))
        ) {
            let texts = |items: &[Command]| items.iter().map(text).collect::<Vec<_>>();
            let (whole, failed) = decode_whole(&mut Codec, &pieces.concat());
            let (cut, cut_failed) = decode_pieces(&mut Codec, &pieces);
            prop_assert_eq!((texts(&whole), failed), (texts(&cut), cut_failed));
        }
    }
}

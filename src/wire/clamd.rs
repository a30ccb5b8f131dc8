//! What the gate says to `clamd(8)` and how it reads the answer.
//!
//! Commands in their `z` form (ended by NUL) go out, a message as the chunks of `INSTREAM`; replies
//! ended by NUL come in. It must not guess: only the exact words for a clean stream are clean.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Longest reply, in bytes.
pub const MAX_REPLY: usize = 4096;
const CHUNK: usize = 256 * 1024;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `PING`; a clamd in order answers `PONG`.
    Ping,
    /// `VERSION`; read the answer with [`Version::parse`].
    Version,
    /// Opens a stream, to be followed by `Chunk`s and one `End`.
    Instream,
    /// Part of the message, of any length (cut as needed; an empty one sends nothing).
    Chunk(Bytes),
    /// The message is complete.
    End,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `stream: OK`, exactly.
    Clean,
    /// `stream: NAME FOUND`: the signature's name.
    Infected(Bytes),
    /// `PONG`.
    Pong,
    /// Anything else, size limits and errors included: **not** clean.
    Unknown(Bytes),
}

impl Reply {
    /// Reads a reply without its NUL.
    #[must_use]
    pub fn parse(text: &Bytes) -> Self {
        if text == "stream: OK" {
            return Self::Clean;
        }
        if text == "PONG" {
            return Self::Pong;
        }
        let name = text.strip_prefix(b"stream: ").and_then(|rest| rest.strip_suffix(b" FOUND"));
        match name {
            Some(name) if !name.is_empty() => Self::Infected(text.slice_ref(name)),
            _ => Self::Unknown(text.clone()),
        }
    }
}

/// The answer to `VERSION`: `ClamAV 1.4.6/27500/Mon Jan  6 …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Version of the engine, such as `1.4.6`.
    pub engine: Bytes,
    /// Number and date (as clamd writes it) of the official database; none if only other signatures
    /// are loaded.
    pub database: Option<(u32, Bytes)>,
}

impl Version {
    /// Reads the text of a [`Reply::Unknown`]; `None` if it is not a version.
    #[must_use]
    pub fn parse(text: &Bytes) -> Option<Self> {
        let mut parts = text.strip_prefix(b"ClamAV ")?.splitn(3, |byte| *byte == b'/');
        let engine = text.slice_ref(parts.next()?);
        let database = match (parts.next(), parts.next()) {
            (Some(number), Some(date)) => {
                Some((std::str::from_utf8(number).ok()?.parse().ok()?, text.slice_ref(date)))
            }
            (None, _) => None,
            (Some(_), None) => return None,
        };
        Some(Self { engine, database })
    }
}

/// Why a connection is of no use. The message then counts as not judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reply exceeds [`MAX_REPLY`].
    #[error("clamd: reply longer than {MAX_REPLY} bytes")]
    TooLong,
    /// The connection was closed before the reply was complete.
    #[error("clamd: closed before the end of its reply")]
    Truncated,
    /// The connection failed.
    #[error("clamd: {0}")]
    Io(#[from] std::io::Error),
}

/// Encodes commands, decodes replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Encoder<Command> for Codec {
    type Error = Error;

    fn encode(&mut self, command: Command, dst: &mut BytesMut) -> Result<(), Error> {
        match command {
            Command::Ping => dst.put_slice(b"zPING\0"),
            Command::Version => dst.put_slice(b"zVERSION\0"),
            Command::Instream => dst.put_slice(b"zINSTREAM\0"),
            // An empty chunk would be the terminator, and the rest of the message would go unscanned.
            Command::Chunk(data) => {
                dst.reserve(data.len() + 4);
                for piece in data.chunks(CHUNK) {
                    dst.put_u32(u32::try_from(piece.len()).unwrap_or(0));
                    dst.put_slice(piece);
                }
            }
            Command::End => dst.put_u32(0),
        }
        Ok(())
    }
}

impl Decoder for Codec {
    type Item = Reply;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, Error> {
        match src.iter().take(MAX_REPLY + 1).position(|byte| *byte == 0) {
            Some(end) => {
                let text = src.split_to(end).freeze();
                src.advance(1);
                Ok(Some(Reply::parse(&text)))
            }
            None if src.len() > MAX_REPLY => Err(Error::TooLong),
            None => Ok(None),
        }
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, Error> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(Error::Truncated),
            reply => Ok(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cut, decode_pieces, decode_whole};
    use super::*;
    use proptest::prelude::*;

    fn reply(text: &'static str) -> Reply {
        Reply::parse(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn only_the_exact_words_are_clean() {
        assert_eq!(reply("stream: OK"), Reply::Clean);
        assert_eq!(
            reply("stream: Eicar-Test-Signature FOUND"),
            Reply::Infected("Eicar-Test-Signature".into())
        );
        assert_eq!(reply("PONG"), Reply::Pong);
        for text in [
            "INSTREAM size limit exceeded. ERROR",
            "stream: OK ",
            " stream: OK",
            "stream: ok",
            "OK",
            "",
            "stream: FOUND",
            "stream:  FOUND",
            "stream: OK\n",
            "stream: Can't allocate memory ERROR",
        ] {
            assert_eq!(reply(text), Reply::Unknown(text.into()), "{text}");
        }
    }

    #[test]
    fn a_version_without_official_signatures_has_no_database() {
        let parse = |text: &'static str| Version::parse(&Bytes::from_static(text.as_bytes()));
        assert_eq!(parse("ClamAV 1.4.6").unwrap().database, None);
        let full = parse("ClamAV 1.4.6/27500/Mon Jan  6 09:30:21 2025").unwrap();
        assert_eq!(
            (full.engine, full.database),
            ("1.4.6".into(), Some((27500, "Mon Jan  6 09:30:21 2025".into())))
        );
        assert_eq!(parse("PONG"), None);
        assert_eq!(parse("ClamAV 1.4.6/x/y"), None);
    }

    #[test]
    fn a_reply_cut_off_by_the_end_is_an_error() {
        let mut buffer = BytesMut::from(&b"stream: OK"[..]);
        assert!(matches!(Codec.decode_eof(&mut buffer), Err(Error::Truncated)));
        assert!(decode_whole(&mut Codec, &[b'a'; MAX_REPLY + 1]).1);
    }

    proptest! {
        #[test]
        fn a_message_in_chunks_is_the_message(pieces in cut(any::<Vec<u8>>())) {
            let mut out = BytesMut::new();
            for piece in pieces.iter().cloned() {
                Codec.encode(Command::Chunk(piece.into()), &mut out).unwrap();
            }
            Codec.encode(Command::End, &mut out).unwrap();
            let mut seen = Vec::new();
            loop {
                let length = out.get_u32() as usize;
                if length == 0 { break }
                seen.extend_from_slice(&out.split_to(length));
            }
            prop_assert!(out.is_empty());
            prop_assert_eq!(seen, pieces.concat());
        }

        #[test]
        fn any_bytes_give_the_same_result_however_cut(pieces in cut("(stream: (OK|[a-z]{1,3} FOUND)|PONG|[a-z]{0,3})\0?(PONG\0)?".prop_map(String::into_bytes))) {
            prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)), format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            decode_whole(&mut Codec, &bytes);
            let _ = Version::parse(&bytes.into());
        }
    }
}

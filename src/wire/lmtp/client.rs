//! What an LMTP client writes and reads.
//!
//! [`Output`]s go out, [`Reply`]s come in. It must not count replies: after the end of data there is
//! one per accepted recipient, in order (RFC 2033 section 4.2), and the caller knows how many.

use super::{Command, DotEncoder, Error, MAX_LINE, MAX_REPLY_LINES};
use crate::wire::reply::Reply;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A command.
    Command(Command),
    /// Part of the message, as it is; dots are put on.
    Data(Bytes),
    /// The message is complete.
    EndOfData,
}

/// Encodes commands and data, decodes replies.
#[derive(Clone, Debug, Default)]
pub struct ClientCodec {
    dots: DotEncoder,
    code: u16,
    lines: Vec<Bytes>,
}

impl Encoder<Output> for ClientCodec {
    type Error = Error;

    fn encode(&mut self, output: Output, dst: &mut BytesMut) -> Result<(), Error> {
        match output {
            Output::Command(command) => command.write(dst)?,
            Output::Data(data) => self.dots.encode(&data, dst),
            Output::EndOfData => self.dots.finish(dst),
        }
        Ok(())
    }
}

impl Decoder for ClientCodec {
    type Item = Reply;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, Error> {
        loop {
            let Some(end) = src.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
                return if src.len() < MAX_LINE { Ok(None) } else { Err(Error::NotAReply) };
            };
            let line = src.split_to(end + 1).freeze();
            let line = line.slice_ref(line.strip_suffix(b"\r\n").unwrap_or(&line[..end]));
            let (code, last, text) = parse_line(&line).ok_or(Error::NotAReply)?;
            if (!self.lines.is_empty() && code != self.code) || self.lines.len() == MAX_REPLY_LINES {
                return Err(Error::NotAReply);
            }
            self.code = code;
            self.lines.push(text);
            if last {
                return Ok(Some(Reply::received(code, std::mem::take(&mut self.lines))));
            }
        }
    }
}

/// Code, whether it is the last line, text.
fn parse_line(line: &Bytes) -> Option<(u16, bool, Bytes)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'2'..=b'5') || !digits.iter().all(u8::is_ascii_digit) || rest.contains(&b'\r') {
        return None;
    }
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, true, Bytes::new())),
        [mark @ (b' ' | b'-'), text @ ..] => Some((code, *mark == b' ', line.slice_ref(text))),
        _ => None,
    }
}

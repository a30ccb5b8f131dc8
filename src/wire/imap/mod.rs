//! The part of IMAP that an administrator's connection to Cyrus needs, client side (RFC 9051, RFC 9208).
//!
//! Commands go out under numbered tags; responses come in, literals included. It must not understand more than it is
//! asked for: other responses are passed over, but what is read of a mailbox's name is read to the byte.

mod response;
#[cfg(test)]
mod tests;

pub use response::{Condition, Response};

use bytes::{BufMut, BytesMut};
use response::{literal_length, may_hold_literals, parse};
use tokio_util::codec::{Decoder, Encoder};

/// Longest response in bytes, literals and line ends included.
pub const MAX_RESPONSE: usize = 64 << 10;

/// A command without its tag. Build it from a verb and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(BytesMut);

impl Command {
    /// A command of this verb; `verb` is written as it is.
    #[must_use]
    pub fn new(verb: &str) -> Self {
        Self(BytesMut::from(verb))
    }

    /// Appends an argument that is written as it is: an atom, a list.
    #[must_use]
    pub fn raw(mut self, argument: &str) -> Self {
        self.0.put_u8(b' ');
        self.0.put_slice(argument.as_bytes());
        self
    }

    /// Appends text as a quoted string, or as a non-synchronising literal (RFC 7888) where quotes cannot hold it.
    #[must_use]
    pub fn string(mut self, text: &[u8]) -> Self {
        self.0.put_u8(b' ');
        if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.put_u8(b'"');
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    self.0.put_u8(b'\\');
                }
                self.0.put_u8(*byte);
            }
            self.0.put_u8(b'"');
        } else {
            self.0.put_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
            self.0.put_slice(text);
        }
        self
    }
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A response is longer than [`MAX_RESPONSE`].
    #[error("imap: a response is too long")]
    TooLong,
    /// A response is not one.
    #[error("imap: a response cannot be read")]
    Malformed,
    /// A command holds a NUL.
    #[error("imap: unsafe bytes in a command")]
    Unsafe,
    /// The connection failed.
    #[error("imap: {0}")]
    Io(#[from] std::io::Error),
}

/// Encodes commands under tags `a<number>`, decodes responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Encoder<(usize, Command)> for Codec {
    type Error = Error;

    fn encode(&mut self, (tag, command): (usize, Command), dst: &mut BytesMut) -> Result<(), Error> {
        if command.0.contains(&0) {
            return Err(Error::Unsafe);
        }
        dst.put_slice(format!("a{tag} ").as_bytes());
        dst.put_slice(&command.0);
        dst.put_slice(b"\r\n");
        Ok(())
    }
}

impl Decoder for Codec {
    type Item = Response;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Response>, Error> {
        let Some(end) = response_end(src)? else { return Ok(None) };
        let response = src.split_to(end).freeze();
        parse(&response.slice(..end - 2)).map(Some).ok_or(Error::Malformed)
    }
}

/// Where the first response ends, line end included.
fn response_end(src: &[u8]) -> Result<Option<usize>, Error> {
    let mut at = 0;
    loop {
        let Some(length) = src.get(at..).and_then(|rest| rest.windows(2).position(|pair| pair == b"\r\n"))
        else {
            return if src.len().max(at) < MAX_RESPONSE { Ok(None) } else { Err(Error::TooLong) };
        };
        let literal = literal_length(&src[at..at + length]).filter(|_| may_hold_literals(src));
        at = at.saturating_add(length + 2).saturating_add(literal.unwrap_or(0));
        if at > MAX_RESPONSE {
            return Err(Error::TooLong);
        }
        if literal.is_none() {
            return Ok(Some(at));
        }
    }
}

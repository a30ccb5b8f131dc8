//! What an LMTP server reads and writes.
//!
//! Bytes of a client come in as [`Input`]s; [`Reply`]s go out. It must not end a session over a bad
//! line: that is answered. Lines end at CRLF; one that is too long is dropped without being held.

use super::{Command, DotDecoder, Error, MAX_LINE, Syntax};
use crate::wire::reply::Reply;
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A command.
    Command(Command),
    /// A line that is none; answer with [`Syntax::reply`].
    Bad(Syntax),
    /// Part of the message, dots taken off, not empty.
    Data(Bytes),
    /// The message is complete: one reply per accepted recipient is due (RFC 2033 section 4.2).
    EndOfData,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Commands,
    Data,
    /// The end was seen behind a piece of data that was handed out first.
    Ended,
}

/// Decodes commands and data, encodes replies.
#[derive(Clone, Debug, Default)]
pub struct ServerCodec {
    mode: Mode,
    data: DotDecoder,
    dropping: bool,
}

impl ServerCodec {
    /// From here on the client sends message data; call it when `DATA` is answered with `354`. It
    /// ends by itself with [`Input::EndOfData`].
    pub fn start_data(&mut self) {
        self.mode = Mode::Data;
        self.data = DotDecoder::default();
    }

    /// Whether the current or last message has a bare LF; see [`DotDecoder::has_bare_newline`].
    #[must_use]
    pub fn has_bare_newline(&self) -> bool {
        self.data.has_bare_newline()
    }

    fn decode_line(&mut self, src: &mut BytesMut) -> Option<Input> {
        loop {
            let Some(end) = src.windows(2).take(MAX_LINE - 1).position(|pair| pair == b"\r\n") else {
                if src.len() < MAX_LINE {
                    return None;
                }
                // The last byte stays: it may be the CR of the line's end.
                src.advance(MAX_LINE - 1);
                self.dropping = true;
                continue;
            };
            let line = src.split_to(end).freeze();
            src.advance(2);
            if std::mem::take(&mut self.dropping) {
                return Some(Input::Bad(Syntax::TooLong));
            }
            return Some(Command::parse(&line).map_or_else(Input::Bad, Input::Command));
        }
    }

    fn decode_data(&mut self, src: &mut BytesMut) -> Option<Input> {
        let mut output = BytesMut::with_capacity(src.len());
        let progress = self.data.decode(src, &mut output);
        src.advance(progress.consumed);
        if progress.ended {
            self.mode = if output.is_empty() { Mode::Commands } else { Mode::Ended };
        }
        match (output.is_empty(), progress.ended) {
            (false, _) => Some(Input::Data(output.freeze())),
            (true, true) => Some(Input::EndOfData),
            (true, false) => None,
        }
    }
}

impl Decoder for ServerCodec {
    type Item = Input;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Input>, Error> {
        Ok(match self.mode {
            Mode::Commands => self.decode_line(src),
            Mode::Data => self.decode_data(src),
            Mode::Ended => {
                self.mode = Mode::Commands;
                Some(Input::EndOfData)
            }
        })
    }
}

impl Encoder<Reply> for ServerCodec {
    type Error = Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        reply.write(dst);
        Ok(())
    }
}

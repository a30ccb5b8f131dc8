//! The milter protocol, version 6, from the filter's side (libmilter's `mfdef.h`; Postfix `milter8.c`).
//!
//! Frames `<u32 length><u8 command><data>` come in and become [`Command`]s with raw bytes; [`Reply`]s
//! go out. It must not answer by itself: whether a command wants an answer is
//! [`Agreement::expects_reply`], and an answer too many shifts all later ones (a tempfail then
//! counted as accept in a published crate).

mod command;
mod negotiation;
mod reply;
#[cfg(test)]
mod tests;

pub use command::{Command, Macros, Peer};
pub use negotiation::{Agreement, MacroStage, Offer, Wish, action, protocol};
pub use reply::Reply;

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Longest frame, in bytes, the command byte included (Postfix sends up to 64 KiB of body at once,
/// headers up to about 100 KiB).
pub const MAX_FRAME: usize = 1 << 20;

/// Why a session cannot go on. The mail server then applies the milter's `default_action`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A frame of this many bytes is empty or exceeds [`MAX_FRAME`].
    #[error("milter: a frame of {0} bytes")]
    FrameLength(usize),
    /// No such command.
    #[error("milter: unknown command {:?}", char::from(*.0))]
    UnknownCommand(u8),
    /// The data of this command is not what it must be.
    #[error("milter: malformed data of command {:?}", char::from(*.0))]
    Malformed(u8),
    /// The mail server speaks this version, older than 6.
    #[error("milter: protocol version {0} is too old")]
    Version(u32),
    /// The mail server does not allow these actions, which are needed.
    #[error("milter: actions {0:#x} are not offered")]
    Actions(u32),
    /// A reply code that is not of class 4 or 5, which Postfix does not take, or has no enhanced code.
    #[error("milter: not a reply code for a refusal")]
    ReplyCode,
    /// A header or a reason holds bytes that would end it early; nothing was written.
    #[error("milter: unsafe bytes in a reply")]
    Unsafe,
    /// The connection failed.
    #[error("milter: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes commands, encodes replies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Command;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Command>, Error> {
        let Some(prefix) = src.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length == 0 || length > MAX_FRAME {
            return Err(Error::FrameLength(length));
        }
        if src.len() < 4 + length {
            src.reserve(4 + length - src.len());
            return Ok(None);
        }
        src.advance(4);
        let mut data = src.split_to(length).freeze();
        let kind = data.get_u8();
        Command::parse(kind, &data).map(Some)
    }
}

impl Encoder<Reply> for Codec {
    type Error = Error;

    fn encode(&mut self, reply: Reply, dst: &mut BytesMut) -> Result<(), Error> {
        reply.write(dst)
    }
}

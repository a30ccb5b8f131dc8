//! LMTP (RFC 2033) with the parts of SMTP (RFC 5321) that it rests on, both sides.
//!
//! [`ServerCodec`] turns what a client sends into [`Input`]s and writes replies; [`ClientCodec`]
//! writes commands and data and reads replies. Between `DATA` and its end a message streams through
//! in pieces and is never held. It must not change a message: only the dots of transparency go and
//! come (RFC 5321 section 4.5.2), and only CRLF ends a line.

mod client;
mod command;
mod data;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientCodec, Output};
pub use command::{Command, Param, Syntax, param};
pub use data::{DotDecoder, DotEncoder, Progress};
pub use server::{Input, ServerCodec};

/// Longest line of a command or a reply, in bytes, CRLF included.
pub const MAX_LINE: usize = 4096;
/// Most lines of one reply.
pub const MAX_REPLY_LINES: usize = 128;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A reply has a line longer than [`MAX_LINE`], more than [`MAX_REPLY_LINES`] lines, or lines that
    /// are not a reply's.
    #[error("lmtp: not a reply")]
    NotAReply,
    /// A command to be sent holds CR, LF or NUL; nothing was written.
    #[error("lmtp: unsafe bytes in a command")]
    Unsafe,
    /// The connection failed.
    #[error("lmtp: {0}")]
    Io(#[from] std::io::Error),
}

//! What the mail server tells the filter (`SMFIC_*`).
//!
//! The data of a frame comes in, a [`Command`] goes out; all strings are raw. It must not unfold,
//! trim or decode: what is journalled and signed is what was received.

use super::{Error, Offer};
use bytes::{Buf, Bytes};
use std::net::IpAddr;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens the session; answered by [`Reply::Negotiate`](super::Reply::Negotiate).
    Negotiate(Offer),
    /// Macros that hold for the command that follows.
    Macros(Macros),
    /// A client connected.
    Connect {
        /// Its name by DNS, or `[address]`.
        hostname: Bytes,
        /// Where from.
        peer: Peer,
    },
    /// HELO or EHLO with this name.
    Helo(Bytes),
    /// A message begins.
    MailFrom {
        /// The reverse path with its angle brackets.
        address: Bytes,
        /// ESMTP parameters, such as `SIZE=1000`.
        args: Vec<Bytes>,
    },
    /// A recipient that the mail server has accepted.
    RcptTo {
        /// The forward path with its angle brackets.
        address: Bytes,
        /// ESMTP parameters, such as `NOTIFY=NEVER`.
        args: Vec<Bytes>,
    },
    /// DATA.
    Data,
    /// One header field.
    Header {
        /// Its name, without the colon.
        name: Bytes,
        /// Its value: folds are bare LF; with `HEADER_LEADING_SPACE` the space after the colon is kept.
        value: Bytes,
    },
    /// The empty line after the headers.
    EndOfHeaders,
    /// Part of the body, with CRLF line ends.
    Body(Bytes),
    /// The message is complete: the answer decides.
    EndOfMessage {
        /// A last part of the body (Postfix sends none, other servers may).
        body: Bytes,
    },
    /// The message is given up; the session goes on.
    Abort,
    /// The session ends.
    Quit,
    /// The session ends, another follows on the same connection.
    QuitNewConnection,
    /// An SMTP command that the mail server does not know.
    Unknown(Bytes),
}

/// Names and values of macros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macros {
    /// The command that they precede, as its byte in the protocol, such as `b'M'`.
    pub before: u8,
    /// Names as written on the wire (`i`, `{auth_authen}`), with values.
    pub values: Vec<(Bytes, Bytes)>,
}

impl Macros {
    /// The value of a macro, by its name on the wire (braces included).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Where a client connects from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Address and port.
    Inet(IpAddr, u16),
    /// A socket of the file system.
    Unix(Bytes),
    /// Not said, or not readable as an address.
    Unknown,
}

impl Command {
    /// Reads the data of a frame.
    ///
    /// # Errors
    /// [`Error::UnknownCommand`] or [`Error::Malformed`], with the command's byte.
    pub fn parse(kind: u8, data: &Bytes) -> Result<Self, Error> {
        parse(kind, data).unwrap_or(Err(Error::Malformed(kind)))
    }
}

/// `None` is malformed data.
fn parse(kind: u8, data: &Bytes) -> Option<Result<Command, Error>> {
    let mut rest = data.clone();
    Some(Ok(match kind {
        b'O' => Command::Negotiate(offer(rest)?),
        b'D' => Command::Macros(macros(rest)?),
        b'C' => Command::Connect { hostname: string(&mut rest)?, peer: peer(rest)? },
        b'H' => Command::Helo(only_string(rest)?),
        b'M' => Command::MailFrom { address: string(&mut rest)?, args: strings(rest)? },
        b'R' => Command::RcptTo { address: string(&mut rest)?, args: strings(rest)? },
        b'T' => Command::Data,
        b'L' => Command::Header { name: string(&mut rest)?, value: only_string(rest)? },
        b'N' => Command::EndOfHeaders,
        b'B' => Command::Body(rest),
        b'E' => Command::EndOfMessage { body: rest },
        b'A' => Command::Abort,
        b'Q' => Command::Quit,
        b'K' => Command::QuitNewConnection,
        b'U' => Command::Unknown(only_string(rest)?),
        _ => return Some(Err(Error::UnknownCommand(kind))),
    }))
}

fn offer(mut data: Bytes) -> Option<Offer> {
    Some(Offer {
        version: data.try_get_u32().ok()?,
        actions: data.try_get_u32().ok()?,
        protocol: data.try_get_u32().ok()?,
    })
}

fn macros(mut data: Bytes) -> Option<Macros> {
    let before = data.try_get_u8().ok()?;
    let mut values = Vec::new();
    while !data.is_empty() {
        values.push((string(&mut data)?, string(&mut data)?));
    }
    Some(Macros { before, values })
}

fn peer(mut data: Bytes) -> Option<Peer> {
    let family = data.try_get_u8().ok()?;
    if family == b'U' {
        return Some(Peer::Unknown);
    }
    let port = data.try_get_u16().ok()?;
    let address = only_string(data)?;
    match family {
        b'L' => Some(Peer::Unix(address)),
        b'4' | b'6' => Some(ip(&address).map_or(Peer::Unknown, |ip| Peer::Inet(ip, port))),
        _ => None,
    }
}

/// Sendmail writes `IPv6:` before the address, a link-local one may carry `%interface`.
fn ip(address: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(address).ok()?;
    let text = text.strip_prefix("IPv6:").unwrap_or(text);
    text.split('%').next()?.parse().ok()
}

/// Takes a string up to its NUL.
fn string(data: &mut Bytes) -> Option<Bytes> {
    let end = data.iter().position(|byte| *byte == 0)?;
    let string = data.split_to(end);
    data.advance(1);
    Some(string)
}

fn only_string(mut data: Bytes) -> Option<Bytes> {
    let string = string(&mut data)?;
    data.is_empty().then_some(string)
}

fn strings(mut data: Bytes) -> Option<Vec<Bytes>> {
    let mut strings = Vec::new();
    while !data.is_empty() {
        strings.push(string(&mut data)?);
    }
    Some(strings)
}

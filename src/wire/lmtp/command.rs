//! The commands of LMTP (RFC 2033 section 4, RFC 5321 section 4.1.1).
//!
//! A line without its CRLF comes in, a [`Command`] goes out, and the other way round. It must not
//! fold or unquote addresses, nor decode parameters: they are passed on as they came.

use super::Error;
use crate::wire::reply::Reply;
use bytes::{BufMut, Bytes, BytesMut};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The client's greeting, with its name.
    Lhlo(Bytes),
    /// `MAIL FROM`.
    Mail {
        /// The reverse path between its angle brackets; empty for bounces.
        from: Bytes,
        /// `SIZE`, `BODY`, `SMTPUTF8` and others.
        params: Vec<Param>,
    },
    /// `RCPT TO`.
    Rcpt {
        /// The forward path between its angle brackets; quoted local parts stay quoted. Not empty.
        to: Bytes,
        /// `NOTIFY`, `ORCPT` and others.
        params: Vec<Param>,
    },
    /// `DATA`.
    Data,
    /// `RSET`.
    Rset,
    /// `NOOP`; its argument is dropped.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY`, with its argument.
    Vrfy(Bytes),
}

/// A parameter of `MAIL` or `RCPT`, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Letters, digits and hyphens, in the case they came in.
    pub keyword: Bytes,
    /// What follows the `=`, not decoded (xtext stays xtext).
    pub value: Option<Bytes>,
}

/// The parameter of this keyword, in any case.
#[must_use]
pub fn param<'a>(params: &'a [Param], keyword: &str) -> Option<&'a Param> {
    params.iter().find(|param| param.keyword.eq_ignore_ascii_case(keyword.as_bytes()))
}

/// Why a line is not a command; the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Syntax {
    /// No such command; `HELO` and `EHLO` are none in LMTP.
    #[error("command not recognized")]
    Unrecognized,
    /// The arguments are missing or wrong.
    #[error("syntax error in parameters or arguments")]
    Arguments,
    /// The line was longer than [`MAX_LINE`](super::MAX_LINE) and was dropped.
    #[error("line too long")]
    TooLong,
}

impl Syntax {
    /// The reply that RFC 5321 section 4.2.2 has for it.
    #[must_use]
    pub fn reply(self) -> Reply {
        let (code, detail) = match self {
            Self::Unrecognized => (500, 1),
            Self::Arguments => (501, 4),
            Self::TooLong => (500, 2),
        };
        Reply::new(code, 5, detail, &self.to_string())
    }
}

impl Command {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// What is wrong with the line; [`Syntax::reply`] is the answer to it.
    pub fn parse(line: &Bytes) -> Result<Self, Syntax> {
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(Syntax::Arguments);
        }
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let argument = line.slice_ref(line[end..].trim_ascii());
        let bare = |command| if argument.is_empty() { Ok(command) } else { Err(Syntax::Arguments) };
        match line[..end].to_ascii_uppercase().as_slice() {
            b"LHLO" if !argument.is_empty() => Ok(Self::Lhlo(argument)),
            b"MAIL" => path(&argument, b"FROM:").map(|(from, params)| Self::Mail { from, params }),
            b"RCPT" => match path(&argument, b"TO:")? {
                (to, _) if to.is_empty() => Err(Syntax::Arguments),
                (to, params) => Ok(Self::Rcpt { to, params }),
            },
            b"DATA" => bare(Self::Data),
            b"RSET" => bare(Self::Rset),
            b"QUIT" => bare(Self::Quit),
            b"NOOP" => Ok(Self::Noop),
            b"VRFY" if !argument.is_empty() => Ok(Self::Vrfy(argument)),
            b"LHLO" | b"VRFY" => Err(Syntax::Arguments),
            _ => Err(Syntax::Unrecognized),
        }
    }

    /// Appends the command with its CRLF.
    ///
    /// # Errors
    /// [`Error::Unsafe`] if a part of it holds CR, LF or NUL; nothing is written then.
    pub fn write(&self, dst: &mut BytesMut) -> Result<(), Error> {
        let mut line = BytesMut::new();
        match self {
            Self::Lhlo(name) => put(&mut line, &[b"LHLO ", name]),
            Self::Mail { from, params } => put_path(&mut line, b"MAIL FROM:<", from, params),
            Self::Rcpt { to, params } => put_path(&mut line, b"RCPT TO:<", to, params),
            Self::Data => put(&mut line, &[b"DATA"]),
            Self::Rset => put(&mut line, &[b"RSET"]),
            Self::Noop => put(&mut line, &[b"NOOP"]),
            Self::Quit => put(&mut line, &[b"QUIT"]),
            Self::Vrfy(argument) => put(&mut line, &[b"VRFY ", argument]),
        }
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(Error::Unsafe);
        }
        put(dst, &[&line, b"\r\n"]);
        Ok(())
    }
}

fn put(dst: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        dst.put_slice(part);
    }
}

fn put_path(dst: &mut BytesMut, verb: &[u8], path: &[u8], params: &[Param]) {
    put(dst, &[verb, path, b">"]);
    for param in params {
        put(dst, &[b" ", &param.keyword]);
        if let Some(value) = &param.value {
            put(dst, &[b"=", value]);
        }
    }
}

/// `FROM:<path> KEYWORD=value …`; a space after the colon is borne.
fn path(argument: &Bytes, word: &[u8]) -> Result<(Bytes, Vec<Param>), Syntax> {
    let (head, rest) = argument.split_at_checked(word.len()).ok_or(Syntax::Arguments)?;
    let rest = rest
        .trim_ascii_start()
        .strip_prefix(b"<")
        .filter(|_| head.eq_ignore_ascii_case(word))
        .ok_or(Syntax::Arguments)?;
    let end = path_end(rest).ok_or(Syntax::Arguments)?;
    let after = &rest[end + 1..];
    if !after.is_empty() && after[0] != b' ' {
        return Err(Syntax::Arguments);
    }
    let params = after
        .split(|byte| *byte == b' ')
        .filter(|text| !text.is_empty())
        .map(|text| parse_param(argument, text));
    Ok((argument.slice_ref(&rest[..end]), params.collect::<Result<_, _>>()?))
}

/// Where the closing bracket is: quoted strings may hold brackets and spaces, nothing else may.
fn path_end(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(index),
            b'<' | b' ' if !quoted => return None,
            _ => {}
        }
    }
    None
}

fn parse_param(line: &Bytes, text: &[u8]) -> Result<Param, Syntax> {
    let mut parts = text.splitn(2, |byte| *byte == b'=');
    let keyword = parts.next().unwrap_or_default();
    if keyword.is_empty() || !keyword.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
        return Err(Syntax::Arguments);
    }
    Ok(Param { keyword: line.slice_ref(keyword), value: parts.next().map(|value| line.slice_ref(value)) })
}

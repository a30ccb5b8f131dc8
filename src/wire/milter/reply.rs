//! What the filter answers (`SMFIR_*`).
//!
//! A [`Reply`] comes in, a frame goes out. It must not write anything that would be read as another
//! header or another reply: what could is an error, and the message is then deferred.

use super::{Agreement, Error};
use crate::wire::reply::Reply as SmtpReply;
use bytes::{BufMut, Bytes, BytesMut};

/// One answer. The changes (`AddHeader` … `Quarantine`) and `Progress` may be sent only between
/// [`Command::EndOfMessage`](super::Command::EndOfMessage) and the answer that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to the offer.
    Negotiate(Agreement),
    /// Go on; at the end of the message: deliver it.
    Continue,
    /// Deliver without asking this filter again.
    Accept,
    /// Refuse with the server's own words.
    Reject,
    /// Defer with the server's own words.
    Tempfail,
    /// Say `250` and drop it. Loses mail: for messages that came from nobody.
    Discard,
    /// Refuse or defer in these words. Needs a code of class 4 or 5 and an enhanced code.
    ReplyCode(SmtpReply),
    /// Still working: the server's timer starts anew.
    Progress,
    /// Append a header.
    AddHeader {
        /// Its name.
        name: Bytes,
        /// Its value, with its leading space if `HEADER_LEADING_SPACE` was agreed; folds are bare LF.
        value: Bytes,
    },
    /// Insert a header.
    InsertHeader {
        /// Before the header of this index; 0 is the top.
        index: u32,
        /// Its name.
        name: Bytes,
        /// As in `AddHeader`.
        value: Bytes,
    },
    /// Change a header.
    ChangeHeader {
        /// Which of those with this name, counted from 1.
        index: u32,
        /// Its name.
        name: Bytes,
        /// As in `AddHeader`; empty deletes it.
        value: Bytes,
    },
    /// Keep it in the hold queue, with a reason.
    Quarantine(Bytes),
}

impl Reply {
    pub(super) fn write(&self, dst: &mut BytesMut) -> Result<(), Error> {
        let (kind, data) = match self {
            Self::Negotiate(agreement) => (b'O', negotiation(agreement)),
            Self::Continue => (b'c', BytesMut::new()),
            Self::Accept => (b'a', BytesMut::new()),
            Self::Reject => (b'r', BytesMut::new()),
            Self::Tempfail => (b't', BytesMut::new()),
            Self::Discard => (b'd', BytesMut::new()),
            Self::ReplyCode(reply) => (b'y', reply_code(reply)?),
            Self::Progress => (b'p', BytesMut::new()),
            Self::AddHeader { name, value } => (b'h', header(None, name, value)?),
            Self::InsertHeader { index, name, value } => (b'i', header(Some(*index), name, value)?),
            Self::ChangeHeader { index, name, value } => (b'm', header(Some(*index), name, value)?),
            Self::Quarantine(reason) => (b'q', quarantine(reason)?),
        };
        let length = data.len() + 1;
        let length = u32::try_from(length)
            .ok()
            .filter(|_| length <= super::MAX_FRAME)
            .ok_or(Error::FrameLength(length))?;
        dst.reserve(data.len() + 5);
        dst.put_u32(length);
        dst.put_u8(kind);
        dst.put_slice(&data);
        Ok(())
    }
}

fn negotiation(agreement: &Agreement) -> BytesMut {
    let mut data = BytesMut::new();
    data.put_u32(6);
    data.put_u32(agreement.actions);
    data.put_u32(agreement.protocol);
    for (stage, names) in agreement.macros {
        data.put_u32(*stage as u32);
        data.put_slice(names.as_bytes());
        data.put_u8(0);
    }
    data
}

/// Postfix wants class 4 or 5 and an enhanced code, if any, of the same class; it takes `%%` for `%`.
fn reply_code(reply: &SmtpReply) -> Result<BytesMut, Error> {
    if reply.enhanced().is_none() || reply.code() < 400 {
        return Err(Error::ReplyCode);
    }
    let mut lines = BytesMut::new();
    reply.write(&mut lines);
    let text = lines.strip_suffix(b"\r\n").unwrap_or(&lines);
    let mut data = BytesMut::with_capacity(text.len() + 1);
    for byte in text {
        if *byte == 0 {
            return Err(Error::Unsafe);
        }
        data.put_u8(*byte);
        if *byte == b'%' {
            data.put_u8(b'%');
        }
    }
    data.put_u8(0);
    Ok(data)
}

fn header(index: Option<u32>, name: &[u8], value: &[u8]) -> Result<BytesMut, Error> {
    let printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b':';
    let folded = value
        .split(|byte| *byte == b'\n')
        .skip(1)
        .all(|line| line.starts_with(b" ") || line.starts_with(b"\t"));
    if name.is_empty()
        || !name.iter().all(printable)
        || !folded
        || value.contains(&0)
        || value.contains(&b'\r')
    {
        return Err(Error::Unsafe);
    }
    let mut data = BytesMut::with_capacity(name.len() + value.len() + 6);
    if let Some(index) = index {
        data.put_u32(index);
    }
    data.put_slice(name);
    data.put_u8(0);
    data.put_slice(value);
    data.put_u8(0);
    Ok(data)
}

fn quarantine(reason: &[u8]) -> Result<BytesMut, Error> {
    if reason.is_empty() || reason.iter().any(u8::is_ascii_control) {
        return Err(Error::Unsafe);
    }
    let mut data = BytesMut::from(reason);
    data.put_u8(0);
    Ok(data)
}

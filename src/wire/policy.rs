//! Postfix's policy delegation (its `SMTPD_POLICY_README`), server side.
//!
//! Lines of `name=value` up to an empty one come in as a [`Request`]; an [`Action`] of `access(5)` goes out. Attributes that
//! are not asked for are passed over.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Longest request, in bytes. Postfix's own have some hundreds; a certificate's subject or a sender may be long.
pub const MAX_LENGTH: usize = 32_768;

/// What Postfix asks about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The command of SMTP that the client has sent: `RCPT`, `DATA`.
    pub state: Bytes,
    /// The log-in; empty without one.
    pub login: Bytes,
    /// Names the message: the same for all of its questions.
    pub instance: Bytes,
    /// The reverse path; empty for a bounce.
    pub sender: Bytes,
    /// The recipient, at `RCPT`.
    pub recipient: Bytes,
    /// For whom a client that logged in says that it sends (RFC 4954, 5).
    pub author: Bytes,
}

/// What is to become of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: other rules decide.
    Dunno,
    /// The client is answered this: a reply code with an enhanced one, and a text of ASCII without control characters.
    Answer(String),
}

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request is longer than [`MAX_LENGTH`].
    #[error("policy: a request is too long")]
    TooLong,
    /// A line has no `=`.
    #[error("policy: a line is not understood")]
    Malformed,
    /// The connection failed.
    #[error("policy: {0}")]
    Io(#[from] std::io::Error),
}

/// Decodes requests, encodes actions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Decoder for Codec {
    type Item = Request;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Request>, Error> {
        let seen = &src[..src.len().min(MAX_LENGTH)];
        let end = if seen.first() == Some(&b'\n') {
            Some(0)
        } else {
            seen.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 1)
        };
        let Some(end) = end else {
            return if src.len() >= MAX_LENGTH { Err(Error::TooLong) } else { Ok(None) };
        };
        let text = src.split_to(end + 1).freeze();
        parse(&text.slice(..end)).map(Some)
    }
}

fn parse(text: &Bytes) -> Result<Request, Error> {
    let mut request = Request::default();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b'=').ok_or(Error::Malformed)?;
        let value = || text.slice_ref(&line[at + 1..]);
        match &line[..at] {
            b"protocol_state" => request.state = value(),
            b"sasl_username" => request.login = value(),
            b"instance" => request.instance = value(),
            b"sender" => request.sender = value(),
            b"recipient" => request.recipient = value(),
            b"sasl_sender" => request.author = value(),
            _ => {}
        }
    }
    Ok(request)
}

impl Encoder<Action> for Codec {
    type Error = Error;

    fn encode(&mut self, action: Action, dst: &mut BytesMut) -> Result<(), Error> {
        let text = match action {
            Action::Dunno => "DUNNO".to_owned(),
            Action::Answer(text) => text.chars().filter(|it| it.is_ascii() && !it.is_control()).collect(),
        };
        dst.extend_from_slice(format!("action={text}\n\n").as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RCPT: &[u8] =
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=an@x.vn\nrecipient=nhom@x.vn\nsasl_sender=binh@x.vn\nsasl_username=an@x.vn\n\
        instance=7.6.5\nccert_subject=a=b\n\n";

    #[test]
    fn requests_are_read_one_after_the_other() {
        let mut bytes = BytesMut::from(&[RCPT, b"protocol_state=DATA\n\n", b"\n", b"x"].concat()[..]);
        let first = Codec.decode(&mut bytes).unwrap().unwrap();
        assert_eq!(
            (&*first.state, &*first.login, &*first.instance),
            (&b"RCPT"[..], &b"an@x.vn"[..], &b"7.6.5"[..])
        );
        assert_eq!(
            (&*first.sender, &*first.recipient, &*first.author),
            (&b"an@x.vn"[..], &b"nhom@x.vn"[..], &b"binh@x.vn"[..])
        );
        assert_eq!(&*Codec.decode(&mut bytes).unwrap().unwrap().state, b"DATA");
        assert_eq!(Codec.decode(&mut bytes).unwrap(), Some(Request::default()));
        assert_eq!(Codec.decode(&mut bytes).unwrap(), None);
        assert!(Codec.decode(&mut BytesMut::from(&b"x\n\n"[..])).is_err());
        assert!(Codec.decode(&mut BytesMut::from(&vec![b'x'; MAX_LENGTH][..])).is_err());
    }

    #[test]
    fn an_action_is_one_line() {
        let mut bytes = BytesMut::new();
        Codec.encode(Action::Answer("450 4.7.1 later\n\naction=OK".into()), &mut bytes).unwrap();
        Codec.encode(Action::Dunno, &mut bytes).unwrap();
        assert_eq!(&bytes[..], b"action=450 4.7.1 lateraction=OK\n\naction=DUNNO\n\n");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_request_is_cut(cut in 0..RCPT.len()) {
            let mut bytes = BytesMut::from(&RCPT[..cut]);
            prop_assert!(Codec.decode(&mut bytes).unwrap().is_none());
            bytes.extend_from_slice(&RCPT[cut..]);
            prop_assert!(Codec.decode(&mut bytes).unwrap().is_some());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Codec.decode(&mut BytesMut::from(&bytes[..]));
        }
    }
}

//! The beginning of a message: read up to the end of its headers, before Cyrus hears of it.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::timeout;

use super::{
    holds,
    session::{Error, IDLE, Session},
};
use crate::{journal::JournalId, wire::lmtp::Input};

/// Headers that do not end within so many bytes have no id. Postfix cuts them far below.
const LONGEST: usize = 512 << 10;

/// What was read.
pub(super) struct Head {
    pub(super) pieces: Vec<Bytes>,
    /// Whether the message ended with it.
    pub(super) ended: bool,
    /// The id under which the journal keeps the message.
    pub(super) id: Option<JournalId>,
    /// Its Message-ID.
    pub(super) message_id: Option<String>,
}

impl Session {
    /// Reads the head of the message that the client sends.
    pub(super) async fn head(&mut self) -> Result<Head, Error> {
        let (mut pieces, mut text, mut ended) = (Vec::new(), BytesMut::new(), false);
        let end = loop {
            match timeout(IDLE.1, self.client.next()).await.ok().flatten().ok_or(Error::Gone)?? {
                Input::Data(piece) => {
                    // An end may lie between two pieces.
                    let from = text.len().saturating_sub(3);
                    text.extend_from_slice(&piece);
                    pieces.push(piece);
                    let end = text[from..].windows(4).position(|four| four == b"\r\n\r\n");
                    if let Some(end) = end {
                        break Some(from + end + 2);
                    }
                    if text.len() > LONGEST {
                        break None;
                    }
                }
                Input::EndOfData => {
                    ended = true;
                    break Some(text.len());
                }
                Input::Command(_) | Input::Bad(_) => return Err(Error::Gone),
            }
        };
        let headers = &text[..end.unwrap_or_default()];
        let id = holds::journal_id(headers).and_then(JournalId::parse);
        let message_id = holds::value(headers, b"message-id:");
        let message_id = message_id.map(|id| String::from_utf8_lossy(id).into_owned());
        Ok(Head { pieces, ended, id, message_id })
    }
}

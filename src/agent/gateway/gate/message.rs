//! The message as the milter protocol tells it, put together again. Commands come in; bytes as they were received, and
//! what the gate wants to know of the headers, go out.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{author::Author, verdict::Verdict};

/// Headers that are ours alone: what comes in under these names is forged.
pub(super) const OURS: [&str; 2] = ["Mail-Verdict", JOURNAL_ID];
/// The header with the id under which the journal keeps a message.
pub(super) const JOURNAL_ID: &str = "Journal-Id";

/// Memory for the messages that are being received, in KiB: above the largest message (200Mi), well below the memory
/// limit of the agent's container (512Mi), since the kernel's answer to more would end every session at once.
const MEMORY: usize = 256 << 10;
/// Most headers that are ours in one message. Postfix walks through the message for each that is deleted, so tens of
/// thousands of them would keep it busy for hours.
const MOST_OURS: u32 = 20;

/// Memory for all messages at a time. Clones share it.
#[derive(Clone)]
pub(super) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY)))
    }
}

/// One message.
pub(super) struct Message {
    memory: Memory,
    held: Option<OwnedSemaphorePermit>,
    headers: BytesMut,
    pieces: Vec<Bytes>,
    /// How often each of [`OURS`] is there.
    ours: [u32; OURS.len()],
    verdict: Option<Verdict>,
    author: Author,
    overflow: bool,
}

impl Message {
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            memory,
            held: None,
            headers: BytesMut::new(),
            pieces: Vec::new(),
            ours: [0; OURS.len()],
            verdict: None,
            author: Author::default(),
            overflow: false,
        }
    }

    /// A header field, with its leading space; folds are bare LF.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8], token: &str) {
        if let Some(which) = OURS.iter().position(|ours| name.eq_ignore_ascii_case(ours.as_bytes())) {
            self.ours[which] += 1;
            if let Some(verdict) = Some(value).filter(|_| which == 0).and_then(|it| Verdict::parse(it, token))
            {
                self.verdict = Some(verdict);
            }
            return;
        }
        if !self.reserve(name.len() + value.len()) {
            return;
        }
        self.author.header(name, value);
        self.headers.put_slice(name);
        self.headers.put_u8(b':');
        for (n, line) in value.split(|byte| *byte == b'\n').enumerate() {
            if n > 0 {
                self.headers.put_slice(b"\r\n");
            }
            self.headers.put_slice(line);
        }
        self.headers.put_slice(b"\r\n");
    }

    /// Part of the body.
    pub(super) fn body(&mut self, piece: Bytes) {
        if !piece.is_empty() && self.reserve(piece.len()) {
            self.pieces.push(piece);
        }
    }

    /// Rspamd's verdict with our token, if it is there.
    pub(super) const fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Who it says that it is from.
    pub(super) const fn author(&self) -> &Author {
        &self.author
    }

    /// Whether there was no memory for it: then it is not complete.
    pub(super) const fn overflow(&self) -> bool {
        self.overflow
    }

    /// Whether more headers are ours than anybody sends in good faith.
    pub(super) fn flooded(&self) -> bool {
        self.ours.iter().any(|count| *count > MOST_OURS)
    }

    /// Names and indexes (from 1) of the headers to delete, the last of each name first, so that an index holds
    /// whether or not the server counts those deleted.
    pub(super) fn forged(&self) -> impl Iterator<Item = (&'static str, u32)> {
        OURS.iter()
            .zip(self.ours)
            .flat_map(|(name, count)| (1..=count).rev().map(move |index| (*name, index)))
    }

    /// The whole message without the headers that are ours.
    pub(super) fn bytes(&self) -> Vec<Bytes> {
        let mut headers = self.headers.clone();
        headers.put_slice(b"\r\n");
        std::iter::once(headers.freeze()).chain(self.pieces.iter().cloned()).collect()
    }

    fn reserve(&mut self, bytes: usize) -> bool {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        match self.memory.0.clone().try_acquire_many_owned(wanted) {
            Ok(permit) if !self.overflow => match &mut self.held {
                Some(held) => held.merge(permit),
                None => self.held = Some(permit),
            },
            _ => self.overflow = true,
        }
        !self.overflow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::new(Memory::default())
    }

    #[test]
    fn the_bytes_are_those_received_less_our_headers() {
        let mut message = message();
        message.header(b"Subject", b" \xff raw\n\tfolded", "t0");
        message.header(b"mail-verdict", b" t0 action=no-action", "t0");
        message.body(Bytes::from_static(b"a\r\n"));
        message.body(Bytes::from_static(b"b\r\n"));
        assert_eq!(message.bytes().concat(), b"Subject: \xff raw\r\n\tfolded\r\n\r\na\r\nb\r\n");
        assert!(message.verdict().is_some());
    }

    #[test]
    fn a_verdict_with_another_token_does_not_count_and_is_removed() {
        for value in [" t1 action=no-action", " t0x action=no-action", "", " t0"] {
            let mut message = message();
            message.header(b"Mail-Verdict", value.as_bytes(), "t0");
            assert!(message.verdict().is_none(), "{value}");
            assert_eq!(message.forged().collect::<Vec<_>>(), [("Mail-Verdict", 1)]);
        }
    }

    #[test]
    fn forged_headers_are_deleted_from_the_last_to_the_first() {
        let mut message = message();
        message.header(b"Journal-Id", b" a", "t0");
        message.header(b"JOURNAL-ID", b" b", "t0");
        message.header(b"Mail-Verdict", b" c", "t0");
        let expected = [("Mail-Verdict", 1), ("Journal-Id", 2), ("Journal-Id", 1)];
        assert_eq!(message.forged().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_flood_of_our_headers_is_noticed() {
        let mut message = message();
        for _ in 0..MOST_OURS {
            message.header(b"Journal-Id", b" a", "t0");
        }
        assert!(!message.flooded());
        message.header(b"Journal-Id", b" a", "t0");
        assert!(message.flooded());
    }

    #[test]
    fn memory_is_bounded_over_all_messages_and_given_back() {
        let memory = Memory(Arc::new(Semaphore::new(8)));
        let mut first = Message::new(memory.clone());
        first.body(Bytes::from(vec![0; 6 << 10]));
        let mut second = Message::new(memory.clone());
        second.body(Bytes::from(vec![0; 6 << 10]));
        assert!(!first.overflow() && second.overflow());
        drop((first, second));
        assert_eq!(memory.0.available_permits(), 8);
    }
}

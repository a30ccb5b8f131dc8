//! Who a message says that it is from. Header fields come in, what the sender's check wants to know goes out; the rest of
//! the message does not matter here.

use bytes::Bytes;

/// So many fields of a name are kept: from the second on, a message is refused or taken for what it may be at worst.
const KEPT: usize = 20;

/// The fields of one message.
#[derive(Clone, Debug, Default)]
pub(super) struct Author {
    /// Values of `From`.
    pub(super) from: Vec<Bytes>,
    /// Values of `Sender`.
    pub(super) sender: Vec<Bytes>,
    /// Whether it is a report that a message was read (RFC 8098).
    pub(super) receipt: bool,
    /// Whether it has come over a mail server before. Postfix does not show the line it adds itself.
    pub(super) received: bool,
}

impl Author {
    /// Notes a field. What is kept is the value's own copy: the frame it came in is not held.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"From") {
            keep(&mut self.from, value);
        } else if name.eq_ignore_ascii_case(b"Sender") {
            keep(&mut self.sender, value);
        } else if name.eq_ignore_ascii_case(b"Received") {
            self.received = true;
        } else if name.eq_ignore_ascii_case(b"Content-Type") {
            let value = value.trim_ascii_start().to_ascii_lowercase();
            let names = |word: &[u8]| value.windows(word.len()).any(|part| part == word);
            self.receipt = value.starts_with(b"multipart/report") && names(b"disposition-notification");
        }
    }
}

fn keep(values: &mut Vec<Bytes>, value: &[u8]) {
    if values.len() < KEPT {
        values.push(Bytes::copy_from_slice(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_in_any_case_and_a_flood_of_them_is_not_kept() {
        let mut author = Author::default();
        for _ in 0..100 {
            author.header(b"FROM", b" an@x.vn");
        }
        author.header(b"sender", b" b@x.vn");
        author.header(b"From-Line", b" c@x.vn");
        assert_eq!((author.from.len(), author.sender.len(), author.receipt), (KEPT, 1, false));
    }

    #[test]
    fn a_receipt_is_known_by_its_type() {
        let receipt = |value: &str| {
            let mut author = Author::default();
            author.header(b"Content-Type", value.as_bytes());
            author.receipt
        };
        assert!(receipt(" Multipart/Report; boundary=x;\n\treport-type=Disposition-Notification"));
        assert!(!receipt(" multipart/report; report-type=delivery-status"));
        assert!(!receipt(" text/plain; x=disposition-notification"));
    }
}

//! What is handed over with a message of the journal: its envelope, and who has an answer already. Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The first line of the body, in JSON; the message follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The envelope's sender.
    pub sender: Vec<u8>,
    /// The envelope's recipients, as they were accepted.
    pub recipients: Vec<Vec<u8>>,
    /// Recipients (after aliases) that have their answer.
    pub done: Vec<Vec<u8>>,
}

/// Why a request cannot be understood.
#[derive(thiserror::Error, Debug)]
pub enum EnvelopeError {
    /// It is no envelope.
    #[error("the envelope cannot be read: {0}")]
    Unreadable(String),
    /// A recipient's address leads nowhere yet.
    #[error("the directory does not tell where {0} leads")]
    Directory(String),
}

/// The body of a request.
///
/// # Errors
/// The envelope cannot be written.
pub fn body(envelope: &Envelope, message: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(envelope)?;
    body.push(b'\n');
    body.extend_from_slice(message);
    Ok(body)
}

/// Envelope and message.
pub(super) fn parts(body: &Bytes) -> Result<(Envelope, Bytes), EnvelopeError> {
    let end = body.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| EnvelopeError::Unreadable("it has no end".to_owned()))?;
    let envelope =
        serde_json::from_slice(&body[..end]).map_err(|error| EnvelopeError::Unreadable(error.to_string()))?;
    Ok((envelope, body.slice(end + 1..)))
}

/// Who has no answer yet, each once. The case of an address does not make it another.
pub(super) fn remaining(
    envelope: &Envelope,
    expand: impl Fn(&str) -> Option<Vec<String>>,
) -> Result<Vec<String>, EnvelopeError> {
    let done: BTreeSet<_> = envelope.done.iter().map(|it| it.to_ascii_lowercase()).collect();
    let mut seen = BTreeSet::new();
    let mut left = Vec::new();
    for recipient in &envelope.recipients {
        let address = std::str::from_utf8(recipient);
        let address =
            address.map_err(|_| EnvelopeError::Unreadable("a recipient is not UTF-8".to_owned()))?;
        for target in expand(address).ok_or_else(|| EnvelopeError::Directory(address.to_owned()))? {
            let key = target.as_bytes().to_ascii_lowercase();
            if !done.contains(&key) && seen.insert(key) {
                left.push(target);
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope(recipients: &[&str], done: &[&str]) -> Envelope {
        let bytes = |all: &[&str]| all.iter().map(|it| it.as_bytes().to_vec()).collect();
        Envelope { sender: b"dan@example.com".to_vec(), recipients: bytes(recipients), done: bytes(done) }
    }

    fn aliases(address: &str) -> Option<Vec<String>> {
        let targets: &[&str] = match address {
            "group@x.vn" => &["an@x.vn", "out@example.net"],
            "torn@x.vn" => return None,
            other => return Some(vec![other.to_owned()]),
        };
        Some(targets.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn who_has_an_answer_is_not_written_to_again_by_whatever_address() {
        let left =
            |recipients: &[&str], done: &[&str]| remaining(&envelope(recipients, done), aliases).unwrap();
        assert_eq!(left(&["group@x.vn", "an@x.vn", "b@x.vn"], &[]), ["an@x.vn", "out@example.net", "b@x.vn"]);
        assert_eq!(left(&["group@x.vn", "b@x.vn"], &["OUT@example.net"]), ["an@x.vn", "b@x.vn"]);
        assert!(left(&["group@x.vn"], &["an@x.vn", "out@example.net"]).is_empty());
        assert!(matches!(
            remaining(&envelope(&["torn@x.vn"], &[]), aliases),
            Err(EnvelopeError::Directory(_))
        ));
    }

    proptest! {
        #[test]
        fn each_recipient_is_left_exactly_once_unless_it_is_done(
            recipients in proptest::collection::vec("[a-c]{1,2}@[xX]", 0..8),
            done in proptest::collection::vec("[a-c]{1,2}@x", 0..4),
        ) {
            let texts = |all: &[String]| all.iter().map(|it| it.clone().into_bytes()).collect();
            let envelope = Envelope { sender: Vec::new(), recipients: texts(&recipients), done: texts(&done) };
            let left = remaining(&envelope, |address| Some(vec![address.to_owned()])).unwrap();
            let fold = |it: &String| it.to_ascii_lowercase();
            let expected: BTreeSet<_> = recipients.iter().map(fold).filter(|it| !done.contains(it)).collect();
            prop_assert_eq!(left.iter().map(fold).collect::<BTreeSet<_>>(), expected.clone());
            prop_assert_eq!(left.len(), expected.len());
        }
    }

    #[test]
    fn a_body_is_read_as_it_was_made() {
        let envelope = envelope(&["a@x"], &["b@x"]);
        let body = Bytes::from(body(&envelope, b"Subject: x\r\n\r\n\n").unwrap());
        assert_eq!(parts(&body).unwrap(), (envelope, Bytes::from_static(b"Subject: x\r\n\r\n\n")));
        assert!(parts(&Bytes::from_static(b"{}")).is_err());
    }
}

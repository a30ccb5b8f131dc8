//! Where Cyrus' `lmtpd` speaks differently from others. Pure.

use bytes::Bytes;

use crate::{
    directory::with_detail,
    wire::{
        lmtp::Param,
        reply::{Enhanced, Reply},
    },
};

/// The same reverse path, as Cyrus takes it: it refuses 8-bit local parts, which Postfix takes, unless they are quoted.
pub(super) fn quoted(path: &Bytes) -> Bytes {
    match path.iter().rposition(|byte| *byte == b'@').map(|at| path.split_at(at)) {
        Some((local, domain)) if !local.is_ascii() && !local.starts_with(b"\"") => {
            Bytes::from([b"\"", local, b"\"", domain].concat())
        }
        _ => path.clone(),
    }
}

/// The recipient by which Cyrus files a message in a folder, if there is one of the detail's name: `/` would be taken for a
/// folder within a folder, and what does not name one here is left to a Sieve script no more than the address is.
pub(super) fn folder_of(address: &str, detail: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    if detail.is_empty() || detail.len() > 64 || !detail.chars().all(plain) {
        return address.to_owned();
    }
    with_detail(address, detail)
}

/// Cyrus puts the enhanced code on the last of three lines alone.
pub(super) fn is_unknown(reply: &Reply) -> bool {
    let unknown = Some(Enhanced { subject: 1, detail: 1 });
    let last = reply.lines().last().is_some_and(|line| line.starts_with(b"5.1.1 "));
    reply.is_permanent() && (reply.enhanced() == unknown || last)
}

/// The mailbox is full: `452`, or `552` if Cyrus is configured so.
pub(super) fn is_over_quota(reply: &Reply) -> bool {
    matches!(reply.code(), 452 | 552) && reply.enhanced() == Some(Enhanced { subject: 2, detail: 2 })
}

/// The parameter of a recipient by which Cyrus takes a message into a full mailbox.
pub(super) fn ignore_quota() -> Param {
    Param { keyword: Bytes::from_static(b"IGNOREQUOTA"), value: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cyrus_would_refuse_is_quoted() {
        for (path, expected) in [
            ("", ""),
            ("a@b.test", "a@b.test"),
            ("nguyễn@b.test", "\"nguyễn\"@b.test"),
            ("\"nguyễn\"@b.test", "\"nguyễn\"@b.test"),
        ] {
            assert_eq!(quoted(&Bytes::from_static(path.as_bytes())), expected);
        }
    }

    #[test]
    fn a_detail_that_could_be_more_than_a_folders_name_is_left_out() {
        assert_eq!(folder_of("an@x.vn", "viec"), "an+viec@x.vn");
        for detail in ["", "a/b", "a+b", "a%b", "../x", &"a".repeat(65)] {
            assert_eq!(folder_of("an@x.vn", detail), "an@x.vn", "{detail}");
        }
    }

    #[test]
    fn an_unknown_mailbox_is_recognised_as_cyrus_says_it() {
        use crate::wire::lmtp::ClientCodec;
        use tokio_util::codec::Decoder;
        for (text, expected) in [
            ("550-Mailbox unknown.  Either there is\r\n550 5.1.1 User unknown\r\n", true),
            ("550 5.1.1 User unknown\r\n", true),
            ("450 5.1.1 x\r\n", false),
            ("552 5.2.2 Over quota\r\n", false),
        ] {
            let reply = ClientCodec::default().decode(&mut text.into()).unwrap().unwrap();
            assert_eq!(is_unknown(&reply), expected, "{text}");
        }
        let over = "452 4.2.2 Over quota SESSIONID=<x>\r\n";
        let reply = ClientCodec::default().decode(&mut over.into()).unwrap().unwrap();
        assert!(is_over_quota(&reply) && !is_unknown(&reply));
        assert!(!is_over_quota(&Reply::new(452, 5, 3, "too many recipients")));
    }
}

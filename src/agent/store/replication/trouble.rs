//! What Cyrus logs of the channel. A log record comes in, what it means for replication goes out. Pure.

use crate::wire::syslog::Record;

/// Something that Cyrus logged of the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A process that serves clients could not send what it had changed, and answered its client all the same.
    Unsent {
        /// Which process: its connection may be broken for as long as it lives.
        pid: u32,
    },
    /// The rolling channel cannot send something, and stops for all.
    Stalled {
        /// The mailbox that it names, as Cyrus calls it inside: `x.vn!user.an.Work`.
        mailbox: Option<String>,
    },
}

/// What a record says of the channel, if it is trouble.
#[must_use]
pub fn of(record: &Record) -> Option<Trouble> {
    let text = String::from_utf8_lossy(&record.message);
    // Both ways of sending met at one mailbox: the rolling one sends it in a moment.
    if text.contains("Mailbox is locked") || text.contains("mailbox is locked") {
        return None;
    }
    let rolling =
        record.tag.windows(11).any(|window| window == b"sync_client") || has(&record.tag, b"syncclient");
    if text.contains("SYNCERROR sync_rightnow") {
        return Some(Trouble::Unsent { pid: record.pid.unwrap_or_default() });
    }
    let stalled =
        ["bailing out", "SYNCERROR", "update failed", "IOERROR"].iter().any(|word| text.contains(word));
    (rolling && stalled).then(|| Trouble::Stalled { mailbox: mailbox(&text) })
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The first word that is a mailbox's name inside Cyrus.
fn mailbox(text: &str) -> Option<String> {
    let end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '\'' | '"' | '(' | ')' | ',' | ';');
    let mut words = text.split(end).map(|word| word.trim_end_matches([':', '.']));
    words
        .find(|word| word.split_once('!').is_some_and(|(_, rest)| rest.starts_with("user.")))
        .map(str::to_owned)
}

/// What people call the mailbox that Cyrus calls `internal` inside, and as which its tools take it; `None`: it is no
/// user's.
#[must_use]
pub fn external(internal: &str) -> Option<String> {
    let (domain, rest) = internal.split_once('!')?;
    let mut parts = rest.strip_prefix("user.")?.split('.').map(|part| part.replace('^', "."));
    let user = parts.next()?;
    let path = std::iter::once(user).chain(parts).collect::<Vec<_>>().join("/");
    Some(format!("user/{path}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn said(line: &str) -> Option<Trouble> {
        of(&Record::parse(&Bytes::copy_from_slice(line.as_bytes())))
    }

    #[test]
    fn a_process_that_could_not_send_is_named() {
        let line =
            "<19>Nov  4 08:05:11 cyrus/lmtp[71]: SYNCERROR sync_rightnow: failed to connect to server: h";
        assert_eq!(said(line), Some(Trouble::Unsent { pid: 71 }));
        let line =
            "<19>Nov  4 08:05:11 cyrus/imap[72]: SYNCERROR sync_rightnow: error syncing to: h (Bad protocol)";
        assert_eq!(said(line), Some(Trouble::Unsent { pid: 72 }));
    }

    #[test]
    fn two_ways_that_meet_are_no_trouble() {
        let line = "<19>Nov  4 08:05:11 cyrus/lmtp[71]: SYNCERROR sync_rightnow: error syncing to: h (Mailbox is locked)";
        assert_eq!(said(line), None);
        assert_eq!(said("<22>Nov  4 08:05:11 cyrus/lmtp[71]: Delivered: <x>"), None);
    }

    #[test]
    fn a_stalled_channel_names_the_mailbox_if_it_does() {
        let line = "<19>Nov  4 08:05:11 cyrus/sync_client[9]: do_folders(): update failed: d.test!user.u1 'The remote'";
        assert_eq!(said(line), Some(Trouble::Stalled { mailbox: Some("d.test!user.u1".into()) }));
        let line = "<19>Nov  4 08:05:11 cyrus/sync_client[9]: Error in do_sync(): bailing out! Bad protocol";
        assert_eq!(said(line), Some(Trouble::Stalled { mailbox: None }));
    }

    #[test]
    fn names_inside_are_told_as_people_know_them() {
        assert_eq!(
            external("x.vn!user.nguyen^an.Work.2026").as_deref(),
            Some("user/nguyen.an/Work/2026@x.vn")
        );
        assert_eq!(external("x.vn!user.an").as_deref(), Some("user/an@x.vn"));
        assert_eq!((external("x.vn!shared"), external("user.an")), (None, None));
    }
}

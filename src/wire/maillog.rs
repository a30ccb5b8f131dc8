//! Lines of Postfix' log (`maillog_file`) that say what becomes of a message. Pure.
//!
//! A line comes in, an [`Event`] goes out; most lines say nothing of the kind. What remote hosts can write into a line (an
//! address, the text of a reply) stands behind what is ours in it: the program and the queue id come first. So a reply can
//! at most spoil the record of the recipient that it is the reply for. The end of a message is told by the queue manager
//! alone, in a line without foreign text.

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The message under this queue id has this id in the journal. It was not accepted yet.
    Named {
        /// Postfix' name for the message.
        queue_id: &'a str,
        /// The value of its header `Journal-Id`.
        journal_id: &'a [u8],
    },
    /// The queue manager has the message: it was accepted.
    Queued {
        /// Postfix' name for the message.
        queue_id: &'a str,
    },
    /// A recipient's answer, for now or for good.
    Answered(Answer<'a>),
    /// An administrator had it queued anew (`postsuper -r`): under another name, without another look by milters.
    Requeued {
        /// Postfix' name for the message from now on.
        queue_id: &'a str,
        /// Its name before.
        old: &'a str,
    },
    /// It waited too long, and was returned to its sender.
    Expired {
        /// Postfix' name for the message.
        queue_id: &'a str,
    },
    /// The queue manager has an answer for every recipient, and has removed the message.
    Removed {
        /// Postfix' name for the message.
        queue_id: &'a str,
    },
    /// An administrator removed the message (`postsuper -d`).
    Deleted {
        /// Postfix' name for the message.
        queue_id: &'a str,
    },
}

/// A recipient's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Postfix' name for the message.
    pub queue_id: &'a str,
    /// Who delivers: `lmtp`, `smtp`, `error`, `discard`…
    pub program: &'a str,
    /// The recipient, after aliases.
    pub to: &'a [u8],
    /// Who was asked: `host[address]:port`, or `none`.
    pub relay: &'a [u8],
    /// The enhanced status code.
    pub dsn: &'a [u8],
    /// `sent`, `deferred`, `bounced`…
    pub status: &'a [u8],
    /// What was said, without its parentheses.
    pub text: &'a [u8],
}

/// What `line` says, without its line break.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Event<'_>> {
    let (program, rest) = tagged(line)?;
    let (queue_id, said) = split(rest, b": ")?;
    let queue_id = name(queue_id)?;
    match program {
        "cleanup" => Some(Event::Named { queue_id, journal_id: journal_id(said)? }),
        "pickup" => Some(Event::Requeued { queue_id, old: original(said)? }),
        "qmgr" if said == b"removed" => Some(Event::Removed { queue_id }),
        "postsuper" if said == b"removed" => Some(Event::Deleted { queue_id }),
        "qmgr" => from_queue(queue_id, said),
        _ => answer(queue_id, program, said).map(Event::Answered),
    }
}

/// `from=<…>, size=…, nrcpt=… (queue active)` or `from=<…>, status=expired, returned to sender`. The sender may say anything,
/// so that only the end counts.
fn from_queue<'a>(queue_id: &'a str, said: &'a [u8]) -> Option<Event<'a>> {
    if !said.starts_with(b"from=<") {
        return None;
    }
    let expired =
        [&b">, status=expired, returned to sender"[..], b">, status=force-expired, returned to sender"];
    if said.ends_with(b" (queue active)") {
        Some(Event::Queued { queue_id })
    } else if expired.iter().any(|end| said.ends_with(end)) {
        Some(Event::Expired { queue_id })
    } else {
        None
    }
}

/// `milter-header-info: header Journal-Id:  ID from …`, or `info: …` of a message that came with it.
fn journal_id(said: &[u8]) -> Option<&[u8]> {
    let said = said.strip_prefix(b"milter-header-").unwrap_or(said);
    let value = said.strip_prefix(b"info: header Journal-Id:")?.trim_ascii_start();
    Some(split(value, b" ").map_or(value, |(id, _)| id))
}

/// `uid=… from=<…> orig_id=ID`: nothing of what the sender says stands behind it.
fn original(said: &[u8]) -> Option<&str> {
    const MARK: &[u8] = b" orig_id=";
    let at = said.windows(MARK.len()).rposition(|window| window == MARK)?;
    name(&said[at + MARK.len()..])
}

fn answer<'a>(queue_id: &'a str, program: &'a str, said: &'a [u8]) -> Option<Answer<'a>> {
    let (to, rest) = split(said.strip_prefix(b"to=<")?, b">, ")?;
    let rest = match rest.strip_prefix(b"orig_to=<") {
        Some(rest) => split(rest, b">, ")?.1,
        None => rest,
    };
    let (relay, rest) = split(rest.strip_prefix(b"relay=")?, b", ")?;
    let (_, rest) = split(rest, b", dsn=")?;
    let (dsn, rest) = split(rest, b", status=")?;
    let (status, text) = split(rest, b" (").unwrap_or((rest, b""));
    let text = text.strip_suffix(b")").unwrap_or(text);
    Some(Answer { queue_id, program, to, relay, dsn, status, text })
}

/// The program, and what it says: `Dec 01 00:56:39 host postfix/relay/smtp[123]: …`.
fn tagged(line: &[u8]) -> Option<(&str, &[u8])> {
    let rest = line.get(16..)?;
    let (_, rest) = split(rest, b" ")?;
    let (tag, rest) = split(rest.strip_prefix(b"postfix/")?, b"]: ")?;
    let (tag, _) = split(tag, b"[")?;
    let program = tag.rsplit(|byte| *byte == b'/').next()?;
    Some((std::str::from_utf8(program).ok()?, rest))
}

/// A queue id of Postfix, short or long.
fn name(text: &[u8]) -> Option<&str> {
    let fits = (6..=40).contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric);
    std::str::from_utf8(text).ok().filter(|_| fits)
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..found], &text[found + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "019ab8bd397b7b2c41d01f85766bfad9";

    fn said(text: &str) -> Option<Event<'_>> {
        parse(text.as_bytes())
    }

    #[test]
    fn the_name_of_a_message_is_found_however_it_came() {
        for how in [
            "cleanup[29]: 4jdjBv0HG0zmFd3: milter-header-info: header Journal-Id:  ",
            "replay/cleanup[29]: 4jdjBv0HG0zmFd3: info: header Journal-Id: ",
        ] {
            let line = format!(
                "Dec 01 00:56:39 mail postfix/{how}{ID} from localhost[127.0.0.1]; from=<dan@example.com> to=<a@x.vn> proto=ESMTP helo=<x>: "
            );
            let expected = Event::Named { queue_id: "4jdjBv0HG0zmFd3", journal_id: ID.as_bytes() };
            assert_eq!(parse(line.as_bytes()), Some(expected));
        }
    }

    #[test]
    fn the_queue_manager_tells_the_beginning_and_the_end() {
        let queue_id = "4jdjBv0HG0zmFd3";
        for (line, expected) in [
            ("from=<dan@example.com>, size=302, nrcpt=3 (queue active)", Event::Queued { queue_id }),
            ("from=<>, size=2321, nrcpt=1 (queue active)", Event::Queued { queue_id }),
            ("from=<a@b>, status=expired, returned to sender", Event::Expired { queue_id }),
            ("from=<a@b>, status=force-expired, returned to sender", Event::Expired { queue_id }),
            ("removed", Event::Removed { queue_id }),
        ] {
            let line = format!("Dec 01 00:56:39 mail postfix/qmgr[29037]: {queue_id}: {line}");
            assert_eq!(said(&line), Some(expected));
        }
        let requeued = format!(
            "Dec 01 01:57:02 mail postfix/pickup[27655]: 4jdkXZ3ffbzmGCq: uid=100 from=<x orig_id=a> orig_id={queue_id}"
        );
        let expected = Event::Requeued { queue_id: "4jdkXZ3ffbzmGCq", old: queue_id };
        assert_eq!(said(&requeued), Some(expected));
        assert_eq!(
            said("Dec 01 01:57:02 mail postfix/pickup[2]: AAAAAA: uid=0 from=<x orig_id=BBBBBB>"),
            None
        );
        let deleted = format!("Dec 01 00:56:48 mail postfix/postsuper[29506]: {queue_id}: removed");
        assert_eq!(said(&deleted), Some(Event::Deleted { queue_id }));
    }

    #[test]
    fn an_answer_tells_who_said_what_for_whom() {
        let line = "Dec 01 00:56:39 mail postfix/lmtp[29092]: 4jdjBv0HG0zmFd3: to=<a@x.vn>, orig_to=<group@x.vn>, relay=mail.angiang.gov.vn[/run/agent/lmtp], delay=0.02, delays=0.01/0.01/0/0, dsn=2.1.5, status=sent (250 2.1.5 Ok mail-store-0-0 7 91f3ab)";
        let Some(Event::Answered(answer)) = said(line) else { panic!("{:?}", said(line)) };
        assert_eq!((answer.program, answer.to, answer.status), ("lmtp", &b"a@x.vn"[..], &b"sent"[..]));
        assert_eq!(answer.text, b"250 2.1.5 Ok mail-store-0-0 7 91f3ab");
        let line = "Dec 01 00:56:39 mail postfix/relay/smtp[2]: 4jdjBv2RNFzmFd7: to=<dan@example.com>, relay=none, delay=0.01, delays=0/0.01/0/0, dsn=5.4.4, status=bounced (unable to look up host example.com: Name or service not known)";
        let Some(Event::Answered(answer)) = said(line) else { panic!("{:?}", said(line)) };
        assert_eq!((answer.program, answer.relay, answer.dsn), ("smtp", &b"none"[..], &b"5.4.4"[..]));
        assert_eq!(answer.status, b"bounced");
    }

    #[test]
    fn what_others_write_ends_no_message() {
        for line in [
            "Dec 01 00:56:39 mail postfix/qmgr[1]: 4jdjBv0HG0zmFd3: from=<x: removed>, size=1, nrcpt=1 (queue active)",
            "Dec 01 00:56:39 mail postfix/smtpd[1]: 4jdjBv0HG0zmFd3: removed",
            "Dec 01 00:56:39 mail postfix/cleanup[1]: 4jdjBv0HG0zmFd3: message-id=<info: header Journal-Id: x from y>",
            "Dec 01 00:56:39 mail postfix/lmtp[1]: 4jdjBv0HG0zmFd3: to=<a@x>, relay=r, delay=1, dsn=2.0.0, status=sent (x) postfix/qmgr[1]: 4jdjBv0HG0zmFd3: removed)",
            "Dec 01 00:56:39 mail other/qmgr[1]: 4jdjBv0HG0zmFd3: removed",
        ] {
            assert!(!matches!(said(line), Some(Event::Removed { .. } | Event::Named { .. })), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = parse(&[&b"Dec 01 00:56:39 mail postfix/lmtp[1]: 4jdjBv0HG0zmFd3: to=<"[..], &bytes].concat());
        }
    }
}

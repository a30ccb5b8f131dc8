//! A datagram of `/dev/log`, as `syslog(3)` of glibc writes it (RFC 3164, without a host name).
//!
//! `<PRI>Mmm dd hh:mm:ss tag[pid]: message` comes in, its parts go out, and one line for printing.
//! It must not refuse anything: what cannot be read is a message of facility user, severity notice
//! (RFC 3164 section 4.3.3). It does not bound: the reader's buffer does.

use bytes::Bytes;
use std::fmt::{self, Write};

/// How bad it is (RFC 3164 table 2), most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// System is unusable.
    Emergency,
    /// Action must be taken immediately.
    Alert,
    /// Critical conditions.
    Critical,
    /// Error conditions.
    Error,
    /// Warning conditions.
    Warning,
    /// Normal but significant.
    Notice,
    /// Informational.
    Info,
    /// Debug-level.
    Debug,
}

impl Severity {
    /// The keyword of `syslog.conf(5)`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emerg",
            Self::Alert => "alert",
            Self::Critical => "crit",
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    fn from_priority(priority: u8) -> Self {
        match priority & 7 {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Facility number (RFC 3164 table 1): 2 is mail, 10 authpriv.
    pub facility: u8,
    /// Severity.
    pub severity: Severity,
    /// The program, such as `cyrus/lmtp`; empty if not said.
    pub tag: Bytes,
    /// Its process id, if said.
    pub pid: Option<u32>,
    /// The rest, without the line end or NUL that some libraries add.
    pub message: Bytes,
}

impl Record {
    /// Reads a datagram.
    #[must_use]
    pub fn parse(datagram: &Bytes) -> Self {
        let trimmed =
            datagram.iter().rposition(|byte| !matches!(byte, 0 | b'\n' | b'\r')).map_or(0, |at| at + 1);
        let text = &datagram[..trimmed];
        let (priority, rest) = priority(text).unwrap_or((13, text));
        let rest = after_timestamp(rest).unwrap_or(rest);
        let (tag, pid, message) = tag(rest).unwrap_or((&[], None, rest));
        Self {
            facility: priority >> 3,
            severity: Severity::from_priority(priority),
            tag: datagram.slice_ref(tag),
            pid,
            message: datagram.slice_ref(message),
        }
    }
}

/// `severity tag[pid]: message`, always one line: control characters are written as `\xNN`, bytes
/// that are not UTF-8 as U+FFFD.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.severity.name())?;
        if !self.tag.is_empty() {
            f.write_char(' ')?;
            write_line(f, &self.tag)?;
        }
        if let Some(pid) = self.pid {
            write!(f, "[{pid}]")?;
        }
        f.write_str(": ")?;
        write_line(f, &self.message)
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for c in String::from_utf8_lossy(bytes).chars() {
        // Line and paragraph separators break lines in some viewers, too.
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(f, "\\x{:02x}", u32::from(c))?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

/// `<0>` to `<191>`.
fn priority(text: &[u8]) -> Option<(u8, &[u8])> {
    let rest = text.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let digits = std::str::from_utf8(&rest[..end])
        .ok()
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let priority = digits.parse().ok().filter(|priority| *priority < 192)?;
    Some((priority, &rest[end + 1..]))
}

/// `Jan  6 09:30:21 `; its value is not used, the printed line has its own time.
fn after_timestamp(text: &[u8]) -> Option<&[u8]> {
    let (stamp, rest) = text.split_at_checked(16)?;
    let fits = stamp.iter().zip(b"Aaa 99 99:99:99 ").all(|(byte, shape)| match shape {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'9' => byte.is_ascii_digit() || *byte == b' ',
        other => byte == other,
    });
    fits.then_some(rest)
}

/// `tag: message` or `tag[pid]: message`.
fn tag(text: &[u8]) -> Option<(&[u8], Option<u32>, &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, b':' | b'[' | b' ')).filter(|end| *end > 0)?;
    let (tag, rest) = text.split_at(end);
    let (pid, rest) = match rest.strip_prefix(b"[") {
        None => (None, rest),
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b']')?;
            (Some(std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?), &rest[end + 1..])
        }
    };
    let message = rest.strip_prefix(b":")?;
    Some((tag, pid, message.strip_prefix(b" ").unwrap_or(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &'static [u8]) -> Record {
        Record::parse(&Bytes::from_static(text))
    }

    #[test]
    fn what_cyrus_logs_is_understood() {
        let record = parse(b"<22>Nov  4 08:05:11 cyrus/lmtp[1234]: Delivered: <a@b> to mailbox: user.x");
        assert_eq!(
            (record.facility, record.severity, &record.tag[..], record.pid),
            (2, Severity::Info, &b"cyrus/lmtp"[..], Some(1234))
        );
        assert_eq!(record.message, "Delivered: <a@b> to mailbox: user.x");
        assert_eq!(record.to_string(), "info cyrus/lmtp[1234]: Delivered: <a@b> to mailbox: user.x");
    }

    #[test]
    fn a_message_without_process_id_or_with_a_line_end_is_understood() {
        let record = parse(b"<19>Nov 14 08:05:11 master: process exited\n\0");
        assert_eq!(
            (&record.tag[..], record.pid, &record.message[..]),
            (&b"master"[..], None, &b"process exited"[..])
        );
        assert_eq!(record.severity, Severity::Error);
    }

    #[test]
    fn what_cannot_be_read_is_kept_whole() {
        for text in [&b"hello world"[..], b"<192>x y", b"<a>x y", b"<>x y", b"<+1>x y", b" : x"] {
            let record = parse(text);
            assert_eq!((record.facility, record.severity), (1, Severity::Notice));
            assert_eq!(record.message, text);
        }
        assert_eq!(parse(b"<22>no tag here").message, "no tag here");
        assert_eq!(parse(b"<22>t[x]: m").message, "t[x]: m");
        assert_eq!(parse(b"").message, "");
    }

    #[test]
    fn one_datagram_is_one_line() {
        assert_eq!(
            parse(b"<22>t: a\nb\x1b[31m \xff\xc3\xa9").to_string(),
            "info t: a\\x0ab\\x1b[31m \u{fffd}\u{e9}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_of_one_line(bytes: Vec<u8>) {
            prop_assert_eq!(Record::parse(&bytes.into()).to_string().lines().count(), 1);
        }

        #[test]
        fn tag_process_id_and_message_are_found_again(tag in "[a-z/]{1,20}", pid: Option<u32>, message in "[^\0\r\n]{0,40}", priority in 0u8..192) {
            let id = pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
            let record = Record::parse(&format!("<{priority}>Jan  1 00:00:00 {tag}{id}: {message}").into());
            prop_assert_eq!(record, Record { facility: priority >> 3, severity: Severity::from_priority(priority), tag: tag.into(), pid, message: message.into() });
        }
    }
}

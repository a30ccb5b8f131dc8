//! A reply of SMTP and LMTP (RFC 5321 section 4.2) with its enhanced status code (RFC 2034, RFC 3463).
//!
//! Code and text come in, lines go out, and the other way round. It must not let text break out of
//! its line: control characters become spaces, long lines are cut.

use bytes::{BufMut, Bytes, BytesMut};

/// Longest text of one line, in bytes: 512 (RFC 5321 section 4.5.3.1.5) less codes and line end.
pub const MAX_TEXT: usize = 490;

/// The second and third number of an enhanced status code; the first is that of the reply code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// Subject, such as 1 for addressing (RFC 3463 section 3).
    pub subject: u16,
    /// Detail within the subject.
    pub detail: u16,
}

/// One reply, of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<Bytes>,
}

impl Reply {
    /// `code subject.detail text`, for example `Reply::new(451, 3, 0, "try again later")` for
    /// `451 4.3.0 try again later`. Line feeds in the text separate lines. The code is one of
    /// 200 to 599 (another becomes the nearest).
    #[must_use]
    pub fn new(code: u16, subject: u16, detail: u16, text: &str) -> Self {
        Self {
            enhanced: Some(Enhanced { subject: subject.min(999), detail: detail.min(999) }),
            ..Self::plain(code, text)
        }
    }

    /// A reply without an enhanced status code: the greeting, `354`, the extensions after `LHLO`.
    #[must_use]
    pub fn plain(code: u16, text: &str) -> Self {
        Self { code: code.clamp(200, 599), enhanced: None, lines: text.split('\n').map(clean).collect() }
    }

    /// What a peer sent: code and the rest of each line. The enhanced code is taken off the lines if
    /// the first begins with one whose class fits the code.
    pub(super) fn received(code: u16, mut lines: Vec<Bytes>) -> Self {
        let enhanced =
            lines.first().and_then(|line| split_enhanced(code, line)).map(|(enhanced, _)| enhanced);
        for line in &mut lines {
            if let Some((_, text)) = split_enhanced(code, line).filter(|(own, _)| Some(*own) == enhanced) {
                *line = text;
            }
        }
        Self { code, enhanced, lines }
    }

    /// The three-digit code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code, if there is one.
    #[must_use]
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text of each line, raw.
    #[must_use]
    pub fn lines(&self) -> &[Bytes] {
        &self.lines
    }

    /// Whether the command was done (2xx).
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the same may succeed later (4xx).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether the same will not succeed (5xx).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the lines, each ended by CRLF.
    pub fn write(&self, dst: &mut BytesMut) {
        let prefix = self
            .enhanced
            .map(|it| format!("{}.{}.{} ", self.code / 100, it.subject, it.detail))
            .unwrap_or_default();
        for (index, line) in self.lines.iter().enumerate() {
            let mark = if index + 1 == self.lines.len() { ' ' } else { '-' };
            dst.put_slice(format!("{}{mark}{prefix}", self.code).as_bytes());
            dst.put_slice(line);
            dst.put_slice(b"\r\n");
        }
    }
}

fn clean(line: &str) -> Bytes {
    let line: String =
        line.trim_end_matches('\r').chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=line.len().min(MAX_TEXT)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    Bytes::from(line).slice(..end)
}

fn split_enhanced(code: u16, line: &Bytes) -> Option<(Enhanced, Bytes)> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let mut numbers = line[..end].split(|byte| *byte == b'.').map(number);
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let fits = numbers.next().is_none() && class == code / 100 && [2, 4, 5].contains(&class);
    fits.then(|| (Enhanced { subject, detail }, line.slice((end + 1).min(line.len())..)))
}

fn number(digits: &[u8]) -> Option<u16> {
    let canonical = (1..=3).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0');
    std::str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(reply: &Reply) -> BytesMut {
        let mut out = BytesMut::new();
        reply.write(&mut out);
        out
    }

    #[test]
    fn every_line_carries_code_and_enhanced_code() {
        assert_eq!(
            written(&Reply::new(451, 3, 0, "later\nxin thử lại")),
            "451-4.3.0 later\r\n451 4.3.0 xin thử lại\r\n"
        );
        assert_eq!(written(&Reply::plain(354, "go ahead")), "354 go ahead\r\n");
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        assert_eq!(Reply::received(250, vec!["5.1.1 x".into()]).enhanced(), None);
        assert_eq!(Reply::received(250, vec!["2.1.5".into()]).lines(), [""]);
        assert_eq!(Reply::received(354, vec!["3.0.0 x".into()]).enhanced(), None);
    }

    proptest! {
        #[test]
        fn text_never_breaks_out_of_its_lines(text: String) {
            let out = written(&Reply::new(550, 1, 1, &text));
            for line in out.strip_suffix(b"\r\n").unwrap().split(|b| *b == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                prop_assert!(line.starts_with(b"550") && line.len() <= 510 && !line.contains(&b'\r') && !line.contains(&0));
            }
        }

        #[test]
        fn a_prefix_is_recognised_only_if_it_would_be_written_so(bytes: Vec<u8>) {
            let line = Bytes::from(bytes);
            let reply = Reply::received(250, vec![line.clone()]);
            let mut out = written(&reply);
            let text = out.split_off(4);
            prop_assert!(text.starts_with(&line));
        }
    }
}

//! Whose mailboxes a log of Cyrus' names (`imap/sync_log.h`): a line for each change, a verb and one or two names. Pure.
//!
//! ```text
//!  MAILBOX x.vn!user.an.Work          the inner name of a folder; also APPEND, UNMAILBOX, ANNOTATION, and with two
//!                                     RENAME, DOUBLEMAILBOX
//!  USER an@x.vn                       an address; also UNUSER, META
//!  SEEN an@x.vn x.vn!user.vt.Work     an address and a folder's inner name; also SUB
//! ```
//!
//! What is not understood is passed over: it names nobody.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
};

use crate::agent::store::provision::Owned;

/// Longest line; Cyrus writes none of 4 KiB.
const LONGEST: usize = 64 << 10;

/// The addresses of those whose mailboxes `log` names.
///
/// # Errors
/// It cannot be read.
pub fn addresses(mut log: impl BufRead) -> io::Result<BTreeSet<String>> {
    let (mut found, mut line) = (BTreeSet::new(), Vec::new());
    loop {
        line.clear();
        if log.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if line.len() <= LONGEST {
            found.extend(named(&line));
        }
    }
}

/// Whom a line names.
fn named(line: &[u8]) -> Vec<String> {
    let words = words(line);
    let folder = |name: &String| Owned::inner(name).map(|folder| folder.address);
    let user = |name: &String| name.contains('@').then(|| name.clone());
    let Some((verb, names)) = words.split_first() else { return Vec::new() };
    match (verb.to_ascii_uppercase().as_str(), names) {
        ("MAILBOX" | "APPEND" | "UNMAILBOX" | "ANNOTATION" | "RENAME" | "DOUBLEMAILBOX", names) => {
            names.iter().filter_map(folder).collect()
        }
        // What somebody reads of another's folder, and which of them, is kept with the reader.
        ("USER" | "UNUSER" | "META" | "SIEVE" | "SEEN" | "SUB" | "UNSUB", [name, ..]) => {
            user(name).into_iter().collect()
        }
        // Quotas are the directory's.
        _ => Vec::new(),
    }
}

/// The words of a line: atoms, or strings in quotes.
fn words(line: &[u8]) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_ascii());
    while let Some(first) = rest.first() {
        let mut word = Vec::new();
        if *first == b'"' {
            let mut at = 1;
            while let Some(byte) = rest.get(at).filter(|byte| **byte != b'"') {
                let escaped = *byte == b'\\';
                let byte = if escaped { rest.get(at + 1).copied() } else { Some(*byte) };
                word.extend(byte);
                at += if escaped { 2 } else { 1 };
            }
            rest = rest.get(at + 1..).unwrap_or_default();
        } else {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            word.extend(&rest[..end]);
            rest = &rest[end..];
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
        rest = rest.trim_ascii_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(log: &str) -> Vec<String> {
        addresses(log.as_bytes()).unwrap().into_iter().collect()
    }

    #[test]
    fn whoever_is_named_in_whatever_way_is_found_once() {
        for (line, expected) in [
            ("MAILBOX x.vn!user.an^nguyen", &["an.nguyen@x.vn"][..]),
            ("APPEND x.vn!user.an.Work^2026.C&AfQ-", &["an@x.vn"]),
            ("MAILBOX \"x.vn!user.an.B c (d)\"", &["an@x.vn"]),
            ("MAILBOX \"x.vn!user.an.\\\"q\\\" \\\\ {x}\"", &["an@x.vn"]),
            ("UNMAILBOX x.vn!DELETED.user.an.Work.6B0E605A", &["an@x.vn"]),
            ("DOUBLEMAILBOX x.vn!user.an x.vn!user.binh.Work", &["an@x.vn", "binh@x.vn"]),
            ("RENAME x.vn!user.an retired.invalid!user.0d1c", &["0d1c@retired.invalid", "an@x.vn"]),
            ("USER an@x.vn", &["an@x.vn"]),
            ("UNUSER an@x.vn", &["an@x.vn"]),
            ("META an@x.vn", &["an@x.vn"]),
            ("SEEN an@x.vn x.vn!user.vt.Work", &["an@x.vn"]),
            ("SUB an@x.vn \"x.vn!user.an.B c\"", &["an@x.vn"]),
            ("QUOTA x.vn!user.an", &[]),
            ("ANNOTATION \"\"", &[]),
            ("MAILBOX x.vn!shared.box", &[]),
            ("USER cyrus", &[]),
            ("MAILBOX", &[]),
            ("", &[]),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
        let log = "APPEND x.vn!user.an\nMAILBOX x.vn!user.an\n\nUSER binh@x.vn\nAPPEND x.vn!user.cut";
        assert_eq!(of(log), ["an@x.vn", "binh@x.vn", "cut@x.vn"]);
    }

    #[test]
    fn what_is_no_line_of_cyrus_hides_no_other() {
        let long = format!("MAILBOX {}\n", "x".repeat(LONGEST));
        assert_eq!(of(&format!("{long}\"\nMAILBOX \"x\n\u{fffd}\0 (\nUSER an@x.vn\n")), ["an@x.vn"]);
    }

    /// As `sync_quote_name` of `imap/sync_log.c` does.
    fn quoted(name: &str) -> String {
        if name.is_empty() || name.contains(['\\', '"', '{', '}', ' ', '\t', '(', ')']) {
            let escape = |c: char| if "\\\"{}".contains(c) { format!("\\{c}") } else { c.to_string() };
            return format!("\"{}\"", name.chars().map(escape).collect::<String>());
        }
        name.to_owned()
    }

    proptest! {
        #[test]
        fn every_name_that_cyrus_quotes_is_read_back(names in prop::collection::vec("[ -~]{0,12}", 0..3)) {
            let line: String = ["RENAME".to_owned()].into_iter().chain(names.iter().map(|it| quoted(it))).collect::<Vec<_>>().join(" ");
            let read = words(format!("{line}\n").as_bytes());
            prop_assert_eq!(&read[1..], &names[..]);
        }

        #[test]
        fn nothing_makes_it_panic(log in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(addresses(&log[..]).is_ok());
        }
    }
}

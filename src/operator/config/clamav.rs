//! ClamAV: `clamd.conf` and `freshclam.conf`.
//!
//! Precedence: these files only; the packaged ones are removed from the image.
//!
//! - Sizes nest, or something passes unscanned: a message must fit into `StreamMaxLength`, and `MaxFileSize` must be well
//!   above `MaxScanSize`, since a larger member of an archive is cut silently while a scan that is too large is reported
//!   (`AlertExceedsMax`).
//! - A scan ends after 30 s (`MaxScanTime`) and is then reported too, before the gate's own limit.
//! - What is encrypted cannot be scanned and is reported; a macro can be scanned and is no finding by itself.
//! - A reload does not keep two sets in memory (2.4 GB): meanwhile the gate uses another clamd. For the same reason
//!   freshclam does not load what it fetched, which is signed, as a test.
//! - `SelfCheck` notices a changed signature Secret.

use super::{Files, files, fill};

const MIB: u64 = 1024 * 1024;

/// What differs between systems.
#[derive(Clone, Copy, Debug)]
pub struct Clamav<'a> {
    /// Largest message in bytes, as Postfix accepts it.
    pub message_size: u64,
    /// Where freshclam fetches signatures; from ClamAV's own mirror if empty.
    pub mirrors: &'a [String],
}

/// All files.
#[must_use]
pub fn render(input: &Clamav) -> Files {
    files([("clamd.conf", clamd_conf(input)), ("freshclam.conf", freshclam_conf(input))])
}

fn clamd_conf(input: &Clamav) -> String {
    let message = input.message_size.div_ceil(MIB);
    let scan = (3 * message).max(150);
    fill(
        include_str!("templates/clamav/clamd.conf"),
        &[
            ("stream_max", &(message + 10).to_string()),
            ("scan_max", &scan.to_string()),
            ("file_max", &(scan + 250).to_string()),
        ],
    )
}

fn freshclam_conf(input: &Clamav) -> String {
    // A private mirror is asked for its files directly; the official one by way of DNS and differences. What follows white
    // space would be another option.
    let mirrors: Vec<_> = input
        .mirrors
        .iter()
        .filter_map(|mirror| mirror.split_whitespace().next())
        .map(|mirror| format!("PrivateMirror {mirror}"))
        .collect();
    let mirrors =
        if mirrors.is_empty() { "DatabaseMirror database.clamav.net".to_owned() } else { mirrors.join("\n") };
    fill(include_str!("templates/clamav/freshclam.conf"), &[("mirrors", &mirrors)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::config::listing;

    #[test]
    fn clamav_files_are_these() {
        insta::assert_snapshot!(listing(&render(&Clamav { message_size: 50 * MIB, mirrors: &[] })));
    }

    #[test]
    fn mirrors_replace_the_official_one_and_bring_no_other_option() {
        let mirrors = ["https://mirror.gov.vn/clamav".to_owned(), "b.vn\nTestDatabases yes".to_owned()];
        let text = freshclam_conf(&Clamav { message_size: MIB, mirrors: &mirrors });
        let found: Vec<_> =
            text.lines().filter(|line| line.contains("Mirror") || line.contains("Test")).collect();
        assert_eq!(
            found,
            ["PrivateMirror https://mirror.gov.vn/clamav", "PrivateMirror b.vn", "TestDatabases no"]
        );
    }

    #[test]
    fn the_largest_message_is_scanned_whole() {
        let text = clamd_conf(&Clamav { message_size: 200 * MIB - 1, mirrors: &[] });
        for line in ["StreamMaxLength 210M", "MaxScanSize 600M", "MaxFileSize 850M"] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}

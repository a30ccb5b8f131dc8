//! Which mailboxes somebody besides their owner may see, whoever allowed it: read from Cyrus' own list of mailboxes, since
//! IMAP tells access lists one folder at a time.
//!
//! The lines of `ctl_mboxlist -d` come in, addresses go out. Nothing is changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    process::Stdio,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::shares::is_foreign;

const PROGRAM: &str = "/usr/lib/cyrus/bin/ctl_mboxlist";

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    acl: BTreeMap<String, String>,
}

/// The addresses of mailboxes with a folder that others may see.
///
/// # Errors
/// The program cannot be run, or fails.
pub(super) async fn shared() -> io::Result<BTreeSet<String>> {
    let mut child = Command::new(PROGRAM)
        .arg("-d")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut lines, mut found) = (BufReader::new(output).lines(), BTreeSet::new());
    while let Some(line) = lines.next_line().await? {
        found.extend(seen_by_others(&line));
    }
    let status = child.wait().await?;
    if status.success() { Ok(found) } else { Err(io::Error::other(format!("{PROGRAM}: {status}"))) }
}

/// The address of the mailbox that the line is about, if others may see that folder.
fn seen_by_others(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix('"')?.split_once("\": ")?;
    let address = address(name)?;
    let line: Line = serde_json::from_str(rest.trim_end_matches(',')).ok()?;
    line.acl.keys().any(|identifier| is_foreign(identifier, &address)).then_some(address)
}

/// Cyrus' own name is `DOMAIN!user.LOCAL.FOLDER`, with `^` for a dot.
fn address(name: &str) -> Option<String> {
    let (domain, path) = name.split_once('!')?;
    let local = path.strip_prefix("user.")?.split('.').next()?;
    Some(format!("{}@{domain}", local.replace('^', ".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_see_is_found_under_its_owners_address() {
        let line = |name: &str, acl: &str| {
            format!(r#""{name}": {{"name": "{name}", "mbtype": "e", "acl": {{{acl}}}, "uniqueid": "x"}},"#)
        };
        let owner = r#""an.le@y.vn": "lrswipkxtecdan""#;
        for (name, acl, expected) in [
            ("y.vn!user.an^le", owner.to_owned(), None),
            ("y.vn!user.an^le.Sent", format!(r#"{owner}, "binh@x.vn": "lrs""#), Some("an.le@y.vn")),
            ("y.vn!user.an^le", format!(r#"{owner}, "cyrus": "lrs""#), None),
            ("y.vn!user.an^le", format!(r#"{owner}, "anyone": "p""#), Some("an.le@y.vn")),
            ("y.vn!shared", r#""binh@x.vn": "lrs""#.to_owned(), None),
            ("user.an", r#""binh@x.vn": "lrs""#.to_owned(), None),
        ] {
            assert_eq!(seen_by_others(&line(name, &acl)).as_deref(), expected, "{name} {acl}");
        }
        assert_eq!(seen_by_others("{"), None);
        assert_eq!(seen_by_others(""), None);
    }
}

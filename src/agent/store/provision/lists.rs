//! Which mailboxes have access lists with anybody besides their owner, whoever made them so: read from Cyrus' own list of mailboxes, since
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

use super::shares::is_private;

const PROGRAM: &str = "/usr/lib/cyrus/bin/ctl_mboxlist";

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    acl: BTreeMap<String, String>,
}

/// The addresses of mailboxes with a folder whose access list is not that of a mailbox without members.
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
        found.extend(of_others(&line));
    }
    let status = child.wait().await?;
    if status.success() { Ok(found) } else { Err(io::Error::other(format!("{PROGRAM}: {status}"))) }
}

/// The address of the mailbox that the line is about, if that folder's list is not.
fn of_others(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix('"')?.split_once("\": ")?;
    let address = address(name)?;
    let line: Line = serde_json::from_str(rest.trim_end_matches(',')).ok()?;
    (!is_private(&line.acl, &address)).then_some(address)
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
    fn a_folder_whose_list_names_others_is_found_under_its_owners_address() {
        let line = |name: &str, acl: &str| {
            format!(r#""{name}": {{"name": "{name}", "mbtype": "e", "acl": {{{acl}}}, "uniqueid": "x"}},"#)
        };
        let owner = r#""an.le@y.vn": "lrswipkxtecdan", "anyone": "p""#;
        for (name, acl, expected) in [
            ("y.vn!user.an^le", owner.to_owned(), None),
            ("y.vn!user.an^le.Sent", format!(r#"{owner}, "binh@x.vn": "lrs""#), Some("an.le@y.vn")),
            ("y.vn!user.an^le", format!(r#"{owner}, "cyrus": "lrs""#), None),
            ("y.vn!user.an^le", r#""an.le@y.vn": "lrs""#.to_owned(), Some("an.le@y.vn")),
            ("y.vn!user.an^le", r#""anyone": "lrsp""#.to_owned(), Some("an.le@y.vn")),
            ("y.vn!shared", r#""binh@x.vn": "lrs""#.to_owned(), None),
            ("user.an", r#""binh@x.vn": "lrs""#.to_owned(), None),
        ] {
            assert_eq!(of_others(&line(name, &acl)).as_deref(), expected, "{name} {acl}");
        }
        assert_eq!(of_others("{"), None);
        assert_eq!(of_others(""), None);
    }
}

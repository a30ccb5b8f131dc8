//! Cyrus' own tools on a store whose Cyrus does not run, and on one whose does: which folders there are, whose they are,
//! and taking a mailbox away.

use std::{io, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    time::timeout,
};

use crate::agent::store::replication::{checked, tool};

/// Longest wait for a tool but for the list of all folders.
const WITHIN: Duration = Duration::from_mins(10);
/// Where annotations of mailboxes are.
const ANNOTATIONS: &str = "/data/conf/annotations.db";
/// The key of an owner, behind the folder's unique id: entry and user of `provision`'s `OWNER`.
const OWNER: &[u8] = b"\0/comment\0cyrus\0\t";

/// A folder in Cyrus' list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Its inner name.
    pub name: String,
    /// Its type: letters, of which `d` is one that is gone.
    #[serde(rename = "mbtype")]
    kind: String,
    /// Its unique id.
    #[serde(rename = "uniqueid")]
    pub id: String,
}

/// A line of `ctl_mboxlist -d`: `"NAME": {…},`. None for those that only hold the others together, and for what is gone.
fn entry(line: &str) -> io::Result<Option<Entry>> {
    let line = line.trim().trim_end_matches(',');
    if line.is_empty() || line == "{" || line == "}" {
        return Ok(None);
    }
    let of_one = |line: &str| -> Option<serde_json::Result<Entry>> {
        Some(serde_json::from_str(line.get(line.find("\": {")? + 3..)?))
    };
    let entry = of_one(line).ok_or_else(|| io::Error::other("ctl_mboxlist: a line is not understood"))??;
    Ok(Some(entry).filter(|entry| !entry.kind.contains(['d', 'i'])))
}

/// All folders that `wanted` says yes to.
///
/// # Errors
/// They cannot be listed.
pub async fn folders(wanted: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut command = tool("ctl_mboxlist");
    command.arg("-d").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut found = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            found.extend(entry(&line)?.filter(&wanted));
        }
    }
    let status = child.wait().await?;
    if status.success() { Ok(found) } else { Err(io::Error::other(format!("ctl_mboxlist: {status}"))) }
}

/// Brings the databases of a Cyrus that ended suddenly in order.
///
/// # Errors
/// It cannot be done.
pub async fn recover() -> io::Result<()> {
    run("ctl_cyrusdb", &["-r"]).await
}

/// Whose mailbox this inbox is, as it is recorded.
///
/// # Errors
/// It cannot be read.
pub async fn owner(inbox: &str) -> io::Result<Option<String>> {
    let mut command = tool("cyr_dbtool");
    command.args([ANNOTATIONS, "twoskip", "show", inbox]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut shown = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        (&mut stdout).take(1 << 20).read_to_end(&mut shown).await?;
    }
    // Of a database that was never written there is nothing to show.
    let _ = child.wait().await?;
    Ok(owner_in(inbox, &shown))
}

/// A value stands behind its length: four bytes of eight.
fn owner_in(inbox: &str, shown: &[u8]) -> Option<String> {
    let key = [inbox.as_bytes(), OWNER].concat();
    let at = shown.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(shown.get(at..at + 4)?.try_into().ok()?) as usize;
    String::from_utf8(shown.get(at + 8..)?.get(..length)?.to_vec()).ok().filter(|owner| !owner.is_empty())
}

/// Takes a mailbox away with all that was in it, without a trace, so that it can be got anew. No Cyrus may run.
///
/// # Errors
/// It is not all gone.
pub async fn reset(address: &str) -> io::Result<()> {
    run("sync_reset", &["-f", address]).await
}

/// The tool gives up without saying so by its status.
async fn run(name: &str, arguments: &[&str]) -> io::Result<()> {
    let mut command = tool(name);
    let output = timeout(WITHIN, command.args(arguments).output()).await;
    let output = output.map_err(|_| io::Error::other(format!("{name} does not end")))??;
    checked(name, &output)?;
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("Bailing out") {
        return Err(io::Error::other(format!("{name} {}: {}", arguments.join(" "), words.trim())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_and_what_is_gone_is_none() {
        let line = |name: &str, kind: &str| {
            format!(
                "\"x.vn!user.{name}\": {{\"name\": \"x.vn!user.{name}\", \"mtime\": \"1796104272\", \"mbtype\": \"{kind}\", \
                 \"acl\": {{\"an@x.vn\": \"lrs\"}}, \"uniqueid\": \"h0b\", \"name_history\": [{{\"name\": \"x\"}}]}},"
            )
        };
        let read = entry(&line("an^nguyen.B c", "e")).unwrap().unwrap();
        assert_eq!((read.name.as_str(), read.id.as_str()), ("x.vn!user.an^nguyen.B c", "h0b"));
        assert_eq!(entry(&line("an.\\\"q\\\"", "f")).unwrap().unwrap().name, "x.vn!user.an.\"q\"");
        for gone in [line("an", "ed"), line("an", "ei"), "{".into(), "}".into(), String::new()] {
            assert_eq!(entry(&gone).unwrap(), None, "{gone}");
        }
        assert!(entry("what?").is_err() && entry("\"x\": {\"name\": 1}").is_err());
    }

    #[test]
    fn an_owner_is_found_in_what_the_database_shows() {
        let row = |key: &[u8], value: &[u8]| {
            let length = u32::try_from(value.len()).unwrap().to_be_bytes();
            [b"h0b", key, &length[..], &[0; 4], value, b"\0text/plain\0\0\0\n"].concat()
        };
        let shown = [row(b"\0/specialuse\0cyrus\0\t", b"x"), row(OWNER, b"uid-1")].concat();
        assert_eq!(owner_in("h0b", &shown).as_deref(), Some("uid-1"));
        assert_eq!(owner_in("h0c", &shown), None);
        assert_eq!(owner_in("h0b", &shown[..shown.len() - 20]), None);
        assert_eq!(owner_in("h0b", &row(OWNER, b"")), None);
    }
}

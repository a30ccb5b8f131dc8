//! What a former primary has alone: changes that were logged there, and that no replica took before another store became
//! primary.
//!
//! They are not carried over yet. Following would let Cyrus settle them by itself, which undoes deletions and doubles
//! messages, so that a former primary with leftovers follows nobody: its volume stays as it is, and a person decides.

use std::io;

use super::replication;

/// Whether there is something that only this store has. Cyrus must not run.
#[must_use]
pub fn has_leftovers() -> bool {
    !replication::leftovers().is_empty()
}

/// Refuses, as long as something is left over.
///
/// # Errors
/// There are leftovers: the words say which files hold them, and what can be done.
pub fn run() -> io::Result<()> {
    refuse(&replication::leftovers())
}

fn refuse(files: &[std::path::PathBuf]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    Err(io::Error::other(format!(
        "this store was primary, and has changes that the present primary lacks ({}). This release does not carry them over, \
         and leaves the volume as it is. Copy from it what is missing; then delete the volume, so that this store is seeded anew",
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_leftovers_does_not_follow_and_says_which() {
        assert!(refuse(&[]).is_ok());
        let refusal = refuse(&["/data/conf/sync/log".into()]).unwrap_err().to_string();
        assert!(refusal.contains("(/data/conf/sync/log)"), "{refusal}");
    }
}

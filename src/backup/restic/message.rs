//! What restic says: JSON lines on its output, with words of its own in between.

use serde::Deserialize;

/// How far it is. What it does not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are done.
    pub files: u64,
    /// Files that there are; they are being counted at first.
    pub total_files: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// Bytes that there are.
    pub total_bytes: u64,
    /// How long it takes yet, in seconds, as restic estimates.
    pub remaining: Option<u64>,
}

/// What it could not read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The path, as restic names it; empty if it names none.
    pub path: String,
    /// Why.
    pub message: String,
}

/// What it counts at the end of a backup or a restore. What it does not tell is 0.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Files in the snapshot.
    pub total_files_processed: u64,
    /// Bytes in the snapshot.
    pub total_bytes_processed: u64,
    /// Files that were not in the parent.
    pub files_new: u64,
    /// Files that were different in the parent.
    pub files_changed: u64,
    /// Bytes that the repository grew by, compressed.
    pub data_added_packed: u64,
    /// How long it took, in seconds.
    pub total_duration: f64,
    /// The snapshot that was made.
    pub snapshot_id: Option<String>,
    /// Files and folders that were to be restored.
    pub total_files: u64,
    /// Those that were.
    pub files_restored: u64,
    /// Bytes that were.
    pub bytes_restored: u64,
    /// Errors that a check found.
    pub num_errors: u64,
    /// Packs that a check found damaged.
    pub broken_packs: Option<Vec<String>>,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// How far it is.
    Status(Progress),
    /// Something could not be read or written, or is damaged.
    Error(Item),
    /// The end of what it did.
    Summary(Summary),
    /// It made a repository of this id.
    Initialized(String),
    /// Why it ends.
    Exit(String),
    /// Something else: a list, or words.
    Other,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Status {
    total_files: u64,
    files_done: u64,
    files_restored: u64,
    files_skipped: u64,
    total_bytes: u64,
    bytes_done: u64,
    bytes_restored: u64,
    bytes_skipped: u64,
    seconds_remaining: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
enum Line {
    Status(Status),
    Error {
        error: Option<Cause>,
        message: Option<String>,
        #[serde(default)]
        item: String,
    },
    Summary(Summary),
    Initialized {
        id: String,
    },
    ExitError {
        message: String,
    },
}

#[derive(Deserialize)]
struct Cause {
    message: String,
}

/// What a line says.
#[must_use]
pub fn parse(line: &str) -> Message {
    if !line.starts_with('{') {
        return Message::Other;
    }
    match serde_json::from_str(line) {
        Err(_) => Message::Other,
        Ok(Line::Status(status)) => Message::Status(Progress {
            files: status
                .files_done
                .saturating_add(status.files_restored)
                .saturating_add(status.files_skipped),
            total_files: status.total_files,
            bytes: status
                .bytes_done
                .saturating_add(status.bytes_restored)
                .saturating_add(status.bytes_skipped),
            total_bytes: status.total_bytes,
            remaining: status.seconds_remaining,
        }),
        Ok(Line::Error { error, message, item }) => {
            let message = error.map(|cause| cause.message).or(message).unwrap_or_default();
            Message::Error(Item { path: item, message: message.trim().to_owned() })
        }
        Ok(Line::Summary(summary)) => Message::Summary(summary),
        Ok(Line::Initialized { id }) => Message::Initialized(id),
        Ok(Line::ExitError { message }) => Message::Exit(message.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_restic_0_18_are_understood() {
        let status = r#"{"message_type":"status","percent_done":0.5,"total_files":3,"files_done":1,"total_bytes":21,"bytes_done":7,"seconds_remaining":9}"#;
        let progress = Progress { files: 1, total_files: 3, bytes: 7, total_bytes: 21, remaining: Some(9) };
        assert_eq!(parse(status), Message::Status(progress));
        let item =
            |path: &str, message: &str| Message::Error(Item { path: path.into(), message: message.into() });
        let error = r#"{"message_type":"error","error":{"message":"open big/f3: permission denied"},"during":"archival","item":"/big/f3"}"#;
        assert_eq!(parse(error), item("/big/f3", "open big/f3: permission denied"));
        let check = r#"{"message_type":"error","message":"pack 1f74: does not exist\n"}"#;
        assert_eq!(parse(check), item("", "pack 1f74: does not exist"));
        let exit =
            r#"{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}"#;
        assert_eq!(parse(exit), Message::Exit("Fatal: wrong password or no key found".into()));
        let init = r#"{"message_type":"initialized","id":"24eb","repository":"/r"}"#;
        assert_eq!(parse(init), Message::Initialized("24eb".into()));
        let summary = r#"{"message_type":"summary","files_new":0,"total_files_processed":60,"total_bytes_processed":12000000,"total_duration":0.6,"snapshot_id":"d82a"}"#;
        let Message::Summary(summary) = parse(summary) else { panic!("no summary") };
        assert_eq!((summary.total_files_processed, summary.snapshot_id.as_deref()), (60, Some("d82a")));
        let checked = r#"{"message_type":"summary","num_errors":1,"broken_packs":["1f74"],"suggest_repair_index":false}"#;
        let Message::Summary(summary) = parse(checked) else { panic!("no summary") };
        assert_eq!((summary.num_errors, summary.broken_packs), (1, Some(vec!["1f74".into()])));
        // What a restore says that found nothing.
        assert_eq!(parse(r#"{"message_type":"summary"}"#), Message::Summary(Summary::default()));
        for other in ["", "Save(<data/33>) failed", r#"{"message_type":"new"}"#, "[]", "{"] {
            assert_eq!(parse(other), Message::Other, "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(line in ".{0,60}", number in any::<u64>()) {
            let _ = parse(&line);
            let _ = parse(&format!("{{\"message_type\":\"status\",\"files_done\":{number},\"files_skipped\":{number}}}"));
        }
    }
}

//! How a run of restic ended: in one word that a condition carries, and restic's own words. Restic tells most failures with
//! exit code 1, so that its words have to be read; they are those of 0.18, and what is not known is `Failed`.

use std::fmt;

use super::{message::Item, words::by_words};

/// Why something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Some files could not be read: the snapshot lacks them.
    PartiallyFailed,
    /// Somebody else uses the repository, or a lock was left behind.
    RepositoryLocked,
    /// The password is not the repository's.
    WrongPassword,
    /// There is no repository.
    RepositoryMissing,
    /// There is no bucket of this name. It is never made.
    BucketMissing,
    /// There is a repository already where one was to be made.
    RepositoryExists,
    /// Snapshots of another system are in the repository.
    RepositoryOfAnotherSystem,
    /// A part of the repository is lost or altered.
    RepositoryDamaged,
    /// No room is left in the repository, or where was written to.
    NoSpace,
    /// Object storage refuses the credentials.
    CredentialsRefused,
    /// Object storage does not answer, or only with errors.
    Unreachable,
    /// Nothing moved for too long.
    Stalled,
    /// It was asked to end.
    Cancelled,
    /// Something else killed it; usually it needed more memory than it may have.
    Killed,
    /// The snapshot is not in the repository.
    SnapshotMissing,
    /// Nothing in the snapshot has the path.
    NothingMatches,
    /// A file with credentials or the password is not there, or empty.
    CredentialsMissing,
    /// Restic cannot be started, or is too old.
    EngineUnusable,
    /// Something else, which the message tells.
    Failed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// In restic's words, or ours.
    pub message: String,
}

impl Failure {
    /// One with our words.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// Why we ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing moved for so many seconds.
    Stalled(u64),
    /// We were asked to.
    Cancelled,
}

/// What is known at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// Whether and why we ended it.
    pub stopped: Option<Stopped>,
    /// The words with which it ended.
    pub last: Option<String>,
    /// What it could not read or write, at most [`MOST`].
    pub items: Vec<Item>,
    /// What it said besides, the latest lines.
    pub words: Vec<String>,
    /// The last time that it tried something again, what and why.
    pub retried: Option<String>,
}

/// So many items and words are kept.
pub const MOST: usize = 200;

/// Whether it did all that was asked.
///
/// # Errors
/// It did not; the failure has the reason.
pub fn judged(ended: &Ended) -> Result<(), Failure> {
    // What restic passes over with exit code 0.
    let passed_over =
        |line: &&String| line.starts_with("Ignoring \"") || line.ends_with("does not exist, skipping");
    let ignored = ended.words.iter().find(passed_over);
    match (ended.stopped, ended.exit, ignored) {
        (None, Exit::Code(0), None) => Ok(()),
        (None, Exit::Code(0), Some(line)) => {
            let reason =
                if line.starts_with("Ignoring") { ignored_reason(line) } else { Reason::PartiallyFailed };
            Err(Failure::new(reason, one_line(line)))
        }
        (stopped, exit, _) => Err(Failure { reason: reason(ended, stopped, exit), message: message(ended) }),
    }
}

fn reason(ended: &Ended, stopped: Option<Stopped>, exit: Exit) -> Reason {
    let retried = || ended.retried.as_deref().and_then(by_words);
    let words = || said(ended).find_map(by_words);
    match (stopped, exit) {
        (Some(Stopped::Cancelled), _) => Reason::Cancelled,
        (Some(Stopped::Stalled(_)), _) => retried().unwrap_or(Reason::Stalled),
        (None, Exit::Signal(_)) => Reason::Killed,
        (None, Exit::Code(code)) => match code {
            // It also means that the parent could not be read.
            3 => words()
                .filter(|reason| *reason == Reason::RepositoryDamaged)
                .unwrap_or(Reason::PartiallyFailed),
            10 => Reason::RepositoryMissing,
            11 => Reason::RepositoryLocked,
            12 => Reason::WrongPassword,
            130 => Reason::Killed,
            _ => words().or_else(retried).unwrap_or(Reason::Failed),
        },
    }
}

/// What it said, the last words first.
fn said(ended: &Ended) -> impl Iterator<Item = &str> {
    let items = ended.items.iter().map(|item| item.message.as_str());
    ended.last.as_deref().into_iter().chain(ended.words.iter().rev().map(String::as_str)).chain(items)
}

fn message(ended: &Ended) -> String {
    let last = ended.last.as_deref();
    let item = ended.items.first().map(|item| item.message.as_str());
    let word = ended.words.last().map(String::as_str);
    let retried = ended.retried.as_deref();
    let what = match ended.stopped {
        Some(Stopped::Stalled(seconds)) => {
            let why = retried.or(word).unwrap_or("it said nothing");
            return format!("no progress for {seconds} seconds: {}", one_line(why));
        }
        Some(Stopped::Cancelled) => return "it was asked to end".to_owned(),
        // Its last words after a check or a restore only count the errors.
        None => match last {
            Some(text) if text.contains("repository contains errors") || text.contains("There were") => {
                item.or(last)
            }
            _ => last.or(item).or(word),
        },
    };
    match (what, ended.exit) {
        (Some(text), Exit::Code(_)) => one_line(text),
        (None, Exit::Code(code)) => format!("restic ended with exit code {code} and without a word"),
        (_, Exit::Signal(signal)) => format!("restic was ended by signal {signal}"),
    }
}

/// A snapshot that it passes over is not there, or cannot be read.
fn ignored_reason(line: &str) -> Reason {
    let gone = ["no such file", "does not exist", "no matching ID"].iter().any(|part| line.contains(part));
    if gone { Reason::SnapshotMissing } else { Reason::RepositoryDamaged }
}

/// The first line that says something, of bearable length.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.strip_prefix("Fatal: ").unwrap_or(line);
    line.chars().take(300).collect::<String>().trim_end_matches([':', '.']).to_owned()
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;

//! What is asked of restic: tasks become arguments. No secret is in them, which every process of a node may read.

use std::{ffi::OsString, path::PathBuf};

use super::SnapshotId;

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The folder that is backed up.
    pub root: PathBuf,
    /// The names in it that the snapshot gets. They are seen from the root, so that a snapshot does not depend on where it
    /// was frozen.
    pub names: Vec<String>,
    /// The host that the snapshot names.
    pub host: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The snapshot whose files are not read again if they are unchanged; without one all are read.
    pub parent: Option<SnapshotId>,
}

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// From which.
    pub snapshot: SnapshotId,
    /// Which paths, from the root of the snapshot (`/spool/…`); all without any.
    pub paths: Vec<String>,
    /// Into which folder. A path keeps its place below it.
    pub target: PathBuf,
}

/// How much of the data a check reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// None: whether all packs are there and all snapshots are whole.
    Nothing,
    /// The packs of one of so many groups, so that all of them come round.
    Part(u32, u32),
    /// All.
    Everything,
}

/// What restic is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make the repository; never over one that is there. Restic makes the bucket as well, if it may.
    Init,
    /// Back up.
    Backup(Backup),
    /// Check the repository.
    Check(Subset),
    /// List the snapshots, as the repository has them and not the cache.
    Snapshots,
    /// Forget these snapshots.
    Forget(Vec<SnapshotId>),
    /// Delete what no snapshot needs.
    Prune,
    /// Remove locks. Restic's own idea of a stale one is: of this host and of a process that is gone, or 30 minutes old. All
    /// are to be removed only by who knows that nobody else uses the repository.
    Unlock {
        /// Whether all are.
        all: bool,
    },
    /// Restore.
    Restore(Restore),
    /// Tell the version.
    Version,
}

impl Task {
    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let words = |words: &[&str]| -> Vec<OsString> { words.iter().map(Into::into).collect() };
        match self {
            Self::Init => words(&["init", "--json"]),
            Self::Backup(backup) => backup.arguments(),
            Self::Check(subset) => {
                let mut arguments = words(&["check", "--json"]);
                arguments.extend(match subset {
                    Subset::Nothing => None,
                    Subset::Part(n, of) => Some(format!("--read-data-subset={n}/{of}").into()),
                    Subset::Everything => Some("--read-data".into()),
                });
                arguments
            }
            // The cache hides snapshots that are damaged. Nothing is read that a lock protects.
            Self::Snapshots => words(&["snapshots", "--json", "--no-cache", "--no-lock"]),
            Self::Forget(ids) => {
                let mut arguments = words(&["forget", "--json", "--"]);
                arguments.extend(ids.iter().map(|id| id.as_str().into()));
                arguments
            }
            Self::Prune => words(&["prune"]),
            Self::Unlock { all: false } => words(&["unlock"]),
            Self::Unlock { all: true } => words(&["unlock", "--remove-all"]),
            Self::Restore(restore) => restore.arguments(),
            Self::Version => words(&["version", "--json"]),
        }
    }

    /// The folder in which it runs.
    #[must_use]
    pub fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::Backup(backup) => Some(&backup.root),
            _ => None,
        }
    }
}

impl Backup {
    fn arguments(&self) -> Vec<OsString> {
        // A link that is made to a message for freezing changes its ctime, and never what it says.
        let mut arguments: Vec<OsString> =
            ["backup", "--json", "--ignore-ctime", "--host", &self.host].iter().map(Into::into).collect();
        for tag in &self.tags {
            arguments.extend(["--tag".into(), tag.into()]);
        }
        match &self.parent {
            Some(id) => arguments.extend(["--parent".into(), id.as_str().into()]),
            // Else restic would choose one.
            None => arguments.push("--force".into()),
        }
        arguments.push("--".into());
        arguments.extend(self.names.iter().map(Into::into));
        arguments
    }
}

impl Restore {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["restore".into(), "--json".into(), "--target".into()];
        arguments.push(self.target.clone().into());
        for path in &self.paths {
            arguments.extend(["--include".into(), literal(path).into()]);
        }
        arguments.extend(["--".into(), self.snapshot.as_str().into()]);
        arguments
    }
}

/// A pattern that matches this path alone.
fn literal(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut pattern, c| {
        if "\\*?[]".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> SnapshotId {
        SnapshotId::parse(&digit.to_string().repeat(64)).unwrap()
    }

    fn text(task: &Task) -> String {
        let words: Vec<_> = task.arguments().into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn a_backup_names_its_parent_or_reads_everything() {
        let mut backup = Backup {
            root: "/data/frozen".into(),
            names: vec!["spool".into(), "manifest".into()],
            host: "store-0".into(),
            tags: vec!["run=r1".into()],
            parent: None,
        };
        let before = "backup --json --ignore-ctime --host store-0 --tag run=r1";
        assert_eq!(text(&Task::Backup(backup.clone())), format!("{before} --force -- spool manifest"));
        backup.parent = Some(id('a'));
        let expected = format!("{before} --parent {} -- spool manifest", id('a'));
        assert_eq!(text(&Task::Backup(backup)), expected);
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        let restore = Restore {
            snapshot: id('b'),
            paths: vec!["/manifest/mailboxes/a[1]*@x.vn".into()],
            target: "/scratch".into(),
        };
        let expected = format!(
            r"restore --json --target /scratch --include /manifest/mailboxes/a\[1\]\*@x.vn -- {}",
            id('b')
        );
        assert_eq!(text(&Task::Restore(restore)), expected);
        assert_eq!(
            text(&Task::Forget(vec![id('a'), id('b')])),
            format!("forget --json -- {} {}", id('a'), id('b'))
        );
        assert_eq!(text(&Task::Check(Subset::Part(2, 7))), "check --json --read-data-subset=2/7");
    }
}

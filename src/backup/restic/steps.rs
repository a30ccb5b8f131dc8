//! What restic is used for, each with a typed result.

use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Restic, SnapshotId,
    command::{Backup, Restore, Subset, Task},
    message::{Item, Summary},
    outcome::{Failure, Reason, judged},
    process::{Control, Output},
};

/// The first release whose exit codes tell the reasons.
const OLDEST: (u32, u32) = (0, 17);

/// What came of a backup. A snapshot that lacks some files is one all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupRun {
    /// Whether all went well.
    pub outcome: Result<(), Failure>,
    /// The snapshot, if one was made.
    pub snapshot: Option<SnapshotId>,
    /// What it counted.
    pub summary: Option<Summary>,
    /// What could not be read.
    pub items: Vec<Item>,
}

/// A snapshot that is in the repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: SnapshotId,
    /// When it was begun.
    pub time: Timestamp,
    /// The host that it names.
    #[serde(default)]
    pub hostname: String,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What it holds; none if an old restic made it.
    pub summary: Option<Size>,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Size {
    /// Files.
    pub total_files_processed: u64,
    /// Bytes.
    pub total_bytes_processed: u64,
    /// Bytes that the repository grew by, compressed.
    #[serde(default)]
    pub data_added_packed: u64,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// Whether the repository is whole, as far as it was read.
    pub outcome: Result<(), Failure>,
    /// Packs that are damaged.
    pub broken_packs: Vec<String>,
    /// What is wrong.
    pub items: Vec<Item>,
}

impl Restic {
    /// Makes sure that restic can be used, and gives its version.
    ///
    /// # Errors
    /// It cannot be started, or is too old.
    pub async fn version(&self, control: &mut Control<'_>) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let unusable = |said: &str| {
            let (major, minor) = OLDEST;
            Failure::new(
                Reason::EngineUnusable,
                format!("restic {major}.{minor} or later is needed, and this is {said}"),
            )
        };
        let output = self.run(&Task::Version, control).await?;
        // Releases before 0.17 tell it in words.
        let said = output.text.lines().next().unwrap_or("not restic").to_owned();
        judged(&output.ended).map_err(|_| unusable(&said))?;
        let Version { version } = serde_json::from_str(&said).map_err(|_| unusable(&said))?;
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
        let has = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        if has < OLDEST { Err(unusable(&version)) } else { Ok(version) }
    }

    /// Makes the repository, and gives its id. One that is there is left as it is.
    ///
    /// # Errors
    /// There is one, or it cannot be made.
    pub async fn init(&self, control: &mut Control<'_>) -> Result<String, Failure> {
        // Restic would make the bucket as well.
        self.refused().await?;
        let output = self.done(&Task::Init, control).await?;
        output
            .initialized
            .ok_or_else(|| Failure::new(Reason::Failed, "restic did not tell the repository's id"))
    }

    /// Backs up. Whether it succeeded is for [`judge`](crate::backup::judge) to say.
    pub async fn backup(&self, backup: Backup, control: &mut Control<'_>) -> BackupRun {
        let failed =
            |failure| BackupRun { outcome: Err(failure), snapshot: None, summary: None, items: Vec::new() };
        // Restic goes on without what is not there, and says that all is well.
        for name in &backup.names {
            let path = backup.root.join(name);
            if let Err(error) = path.symlink_metadata() {
                return failed(Failure::new(Reason::PartiallyFailed, format!("{}: {error}", path.display())));
            }
        }
        match self.run(&Task::Backup(backup), control).await {
            Err(failure) => failed(failure),
            Ok(Output { ended, summary, .. }) => BackupRun {
                outcome: self.judged(&ended).await,
                snapshot: summary.as_ref().and_then(|it| SnapshotId::parse(it.snapshot_id.as_deref()?)),
                summary,
                items: ended.items,
            },
        }
    }

    /// Checks the repository.
    ///
    /// # Errors
    /// It could not be checked. What is damaged is told in the report.
    pub async fn check(&self, subset: Subset, control: &mut Control<'_>) -> Result<CheckReport, Failure> {
        let Output { ended, summary, .. } = self.run(&Task::Check(subset), control).await?;
        let outcome = self.judged(&ended).await;
        if let Err(failure) = &outcome
            && failure.reason != Reason::RepositoryDamaged
        {
            return Err(failure.clone());
        }
        let broken_packs = summary.and_then(|summary| summary.broken_packs).unwrap_or_default();
        Ok(CheckReport { outcome, broken_packs, items: ended.items })
    }

    /// The snapshots, by time.
    ///
    /// # Errors
    /// They cannot be listed, or one of them is damaged.
    pub async fn snapshots(&self, control: &mut Control<'_>) -> Result<Vec<Snapshot>, Failure> {
        let output = self.done(&Task::Snapshots, control).await?;
        let mut snapshots: Vec<Snapshot> = serde_json::from_str(&output.text).map_err(|error| {
            Failure::new(Reason::Failed, format!("the list of snapshots is not understood: {error}"))
        })?;
        snapshots.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(snapshots)
    }

    /// Forgets these snapshots. Their data stays until [`Self::prune`].
    ///
    /// # Errors
    /// One of them was not there, or cannot be deleted; others may be forgotten then.
    pub async fn forget(&self, ids: &[SnapshotId], control: &mut Control<'_>) -> Result<(), Failure> {
        // Without an id restic forgets by rules, which are none here.
        if ids.is_empty() {
            return Ok(());
        }
        self.done(&Task::Forget(ids.to_vec()), control).await.map(drop)
    }

    /// Deletes what no snapshot needs.
    ///
    /// # Errors
    /// It was not done, or not to the end.
    pub async fn prune(&self, control: &mut Control<'_>) -> Result<(), Failure> {
        self.done(&Task::Prune, control).await.map(drop)
    }

    /// Removes locks that were left behind; all of them only for who knows that nobody else uses the repository.
    ///
    /// # Errors
    /// It was not done.
    pub async fn unlock(&self, all: bool, control: &mut Control<'_>) -> Result<(), Failure> {
        self.done(&Task::Unlock { all }, control).await.map(drop)
    }

    /// Restores, and makes sure that each path came.
    ///
    /// # Errors
    /// Something is damaged, or is not in the snapshot.
    pub async fn restore(&self, restore: Restore, control: &mut Control<'_>) -> Result<Summary, Failure> {
        let wanted: Vec<_> =
            restore.paths.iter().map(|path| (path.clone(), below(&restore.target, path))).collect();
        let snapshot = restore.snapshot.clone();
        let output = self.done(&Task::Restore(restore), control).await?;
        let missing = wanted.iter().find(|(_, path)| path.symlink_metadata().is_err());
        let nothing = |what: &str| {
            Failure::new(Reason::NothingMatches, format!("there is no {what} in the snapshot {snapshot:?}"))
        };
        if let Some((path, _)) = missing {
            return Err(nothing(path));
        }
        output.summary.filter(|summary| summary.files_restored > 0).ok_or_else(|| nothing("file"))
    }

    async fn done(&self, task: &Task, control: &mut Control<'_>) -> Result<Output, Failure> {
        let output = self.run(task, control).await?;
        self.judged(&output.ended).await?;
        Ok(output)
    }
}

/// Where a path of a snapshot comes to be.
fn below(target: &Path, path: &str) -> PathBuf {
    let parts = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
    target.join(parts.collect::<PathBuf>())
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SnapshotId, D::Error> {
    let text = String::deserialize(deserializer)?;
    SnapshotId::parse(&text)
        .ok_or_else(|| serde::de::Error::custom("a snapshot's id has 64 hexadecimal digits"))
}

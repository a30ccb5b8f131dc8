//! What a snapshot says that it has: its index, and the manifests of mailboxes, out of the repository.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use super::failed;
use crate::{
    agent::job::context::Context,
    backup::{
        manifest::{Contents, Entry, INDEX, IndexReader, MailboxReader, ReadError},
        restic::{self, Failure, Reason, Restic, SnapshotId},
    },
    job::{Failed, RestoreWork},
};

/// The folder of the manifests in a snapshot.
const MANIFEST: &str = "/manifest";
/// What a retired mailbox is called until it is purged. Nobody asks for it by that name.
const RETIRED: &str = "@retired.invalid";

/// A snapshot, and where its files come to be.
pub(super) struct Snapshot<'a> {
    context: &'a Context,
    restic: Restic,
    id: SnapshotId,
    system: String,
    /// Where files are restored to, with their whole paths.
    pub(super) folder: PathBuf,
}

impl<'a> Snapshot<'a> {
    /// The snapshot that is named. What a former try left is removed.
    pub(super) fn open(work: &RestoreWork, context: &'a Context) -> Result<Self, Failed> {
        let id = SnapshotId::parse(&work.snapshot)
            .ok_or_else(|| failed("Failed", format!("{:?} is no id of a snapshot", work.snapshot)))?;
        let snapshot = Self {
            context,
            restic: context.restic(&work.repository),
            id,
            system: work.repository.system.clone(),
            folder: context.folders.scratch.join("restored"),
        };
        snapshot.clear().map(|()| snapshot)
    }

    /// Removes all that was restored.
    pub(super) fn clear(&self) -> Result<(), Failed> {
        let gone = match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            gone => gone,
        };
        gone.and_then(|()| fs::create_dir_all(&self.folder)).map_err(|error| scratch(&self.folder, &error))
    }

    /// Removes files of messages that were restored.
    pub(super) fn clear_messages(&self) -> Result<(), Failed> {
        let folder = self.at("/spool");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(scratch(&folder, &error)),
            _ => Ok(()),
        }
    }

    /// Where a path of the snapshot comes to be.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    async fn restored(&self, paths: Vec<String>) -> Result<(), Failure> {
        let restore = restic::Restore { snapshot: self.id.clone(), paths, target: self.folder.clone() };
        self.restic.restore(restore, &mut self.context.control(&mut |_| ())).await.map(drop)
    }

    /// Gets files of messages. What is damaged or not there is found out by who reads them: it keeps none of the others away.
    pub(super) async fn files(&self, paths: Vec<String>) -> Result<(), Failed> {
        match self.restored(paths).await {
            Err(failure) if matches!(failure.reason, Reason::NothingMatches | Reason::RepositoryDamaged) => {
                tracing::warn!(reason = %failure.reason, failure.message, "some files do not come back");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// The mailboxes of the snapshot.
    pub(super) async fn index(&self) -> Result<Vec<Entry>, Failed> {
        let path = format!("{MANIFEST}/{INDEX}");
        self.restored(vec![path.clone()]).await?;
        let (file, system) = (self.at(&path), self.system.clone());
        spawn_blocking(move || index(&file, &system))
            .await
            .map_err(|error| failed("Failed", error.to_string()))?
    }

    /// Gets manifests, to be read by [`Self::contents`].
    pub(super) async fn manifests(&self, entries: &[Entry]) -> Result<(), Failed> {
        let paths = entries.iter().map(|entry| format!("{MANIFEST}/{}", entry.file)).collect();
        Ok(self.restored(paths).await?)
    }

    /// What a mailbox has.
    pub(super) async fn contents(&self, entry: &Entry) -> Result<Contents, Failed> {
        let file = self.at(&format!("{MANIFEST}/{}", entry.file));
        let read = move || {
            let contents = MailboxReader::new(BufReader::new(File::open(&file)?))?.contents();
            let _ = fs::remove_file(&file);
            contents
        };
        let contents = spawn_blocking(read).await.map_err(|error| failed("Failed", error.to_string()))?;
        contents.map_err(|error| damaged(&error))
    }
}

fn index(file: &Path, system: &str) -> Result<Vec<Entry>, Failed> {
    let read = || {
        let mut reader = IndexReader::new(BufReader::new(File::open(file)?))?;
        let (of, mut entries) = (reader.head().system.clone(), Vec::new());
        while let Some(entry) = reader.next_entry()? {
            entries.push(entry);
        }
        Ok((of, entries))
    };
    let (of, entries) = read().map_err(|error: ReadError| damaged(&error))?;
    if of != system {
        let message = format!("the snapshot is of {of}, and not of {system}");
        return Err(failed("RepositoryOfAnotherSystem", message));
    }
    Ok(entries)
}

/// Those of the entries that are asked for: all that belong to somebody, if none is named.
pub(super) fn chosen(entries: &[Entry], addresses: &BTreeSet<String>) -> Vec<Entry> {
    let is_chosen = |entry: &&Entry| match entry.mailbox.as_deref() {
        None => false,
        Some(mailbox) if addresses.is_empty() => !mailbox.ends_with(RETIRED),
        Some(mailbox) => addresses.contains(mailbox),
    };
    entries.iter().filter(is_chosen).cloned().collect()
}

fn damaged(error: &ReadError) -> Failed {
    failed("ManifestDamaged", format!("what the snapshot holds cannot be read: {error}"))
}

fn scratch(folder: &Path, error: &std::io::Error) -> Failed {
    failed("NoScratch", format!("{}: {error}", folder.display()))
}

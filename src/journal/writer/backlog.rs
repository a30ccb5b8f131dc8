//! Segments that object storage did not take, on the gateway's own volume, until it does. Each is written and fsynced
//! whole, file and folder, before it counts; a file without its proper name is what a crash left and counts for nothing.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::journal::Name;

/// Why a segment was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BacklogError {
    /// It would be larger than was allowed.
    #[error("the backlog is full")]
    Full,
    /// The volume failed.
    #[error("the backlog's volume: {0}")]
    Volume(#[from] io::Error),
}

/// The backlog. Clones share it.
#[derive(Clone, Debug)]
pub struct Backlog {
    folder: PathBuf,
    limit: u64,
    held: Arc<Mutex<Held>>,
    arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Held {
    /// Names sort as segments were made: a series begins with its time.
    names: BTreeSet<Name>,
    bytes: u64,
}

impl Backlog {
    /// The backlog in `folder`, with what an earlier run left there.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut held = Held::default();
        for series in fs::read_dir(folder)? {
            let series = series?;
            for file in fs::read_dir(series.path())? {
                let file = file?;
                let path = format!("{}/{}", series.file_name().display(), file.file_name().display());
                match Name::parse(&path) {
                    Some(name) => {
                        held.bytes += file.metadata()?.len();
                        held.names.insert(name);
                    }
                    None => fs::remove_file(file.path())?,
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            limit,
            held: Arc::new(Mutex::new(held)),
            arrived: Arc::default(),
        })
    }

    /// How many segments it holds, and of how many bytes.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        self.with(|held| (held.names.len(), held.bytes))
    }

    /// Makes a segment durable here.
    ///
    /// # Errors
    /// It is not certain that it is.
    pub async fn add(&self, name: &Name, content: &[Bytes]) -> Result<(), BacklogError> {
        let bytes: u64 = content.iter().map(|piece| piece.len() as u64).sum();
        self.with(|held| {
            let total = held.bytes + bytes;
            (total <= self.limit).then(|| held.bytes = total).ok_or(BacklogError::Full)
        })?;
        let (path, content) = (self.path(name), content.to_vec());
        let written = tokio::task::spawn_blocking(move || write(&path, &content)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.with(|held| match &written {
            Ok(()) => drop(held.names.insert(name.clone())),
            Err(_) => held.bytes -= bytes,
        });
        self.arrived.notify_one();
        Ok(written?)
    }

    /// The oldest segment; waits until there is one.
    pub async fn oldest(&self) -> Name {
        loop {
            if let Some(name) = self.with(|held| held.names.first().cloned()) {
                return name;
            }
            self.arrived.notified().await;
        }
    }

    /// What a segment holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read(&self, name: &Name) -> io::Result<Bytes> {
        Ok(tokio::fs::read(self.path(name)).await?.into())
    }

    /// The segment is in object storage.
    ///
    /// # Errors
    /// The volume failed; the segment is still held.
    pub async fn remove(&self, name: &Name) -> io::Result<()> {
        let path = self.path(name);
        let bytes = tokio::fs::metadata(&path).await?.len();
        tokio::fs::remove_file(&path).await?;
        self.with(|held| {
            held.names.remove(name);
            held.bytes = held.bytes.saturating_sub(bytes);
        });
        // Only the last of a series can take its folder with it.
        if let Some(series) = path.parent() {
            let _ = tokio::fs::remove_dir(series).await;
        }
        Ok(())
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(name.to_string())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn write(path: &Path, content: &[Bytes]) -> io::Result<()> {
    let series = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let unfinished = path.with_extension("new");
    fs::create_dir_all(series)?;
    let mut file = File::create(&unfinished)?;
    for piece in content {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(series)?.sync_all()?;
    File::open(series.parent().ok_or(ErrorKind::InvalidInput)?)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(series: &str, number: u64) -> Name {
        Name::new(series, number).unwrap()
    }

    #[tokio::test]
    async fn segments_come_out_in_the_order_in_which_they_were_made_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path(), 100).unwrap();
        for segment in [name("g-0.02", 1), name("g-0.01", 10), name("g-0.01", 9)] {
            backlog.add(&segment, &[Bytes::from(segment.to_string())]).await.unwrap();
        }
        fs::write(folder.path().join("g-0.01/00000000000000000011.new"), "unfinished").unwrap();
        let backlog = Backlog::open(folder.path(), 100).unwrap();
        assert_eq!(backlog.size().0, 3);
        for expected in [name("g-0.01", 9), name("g-0.01", 10), name("g-0.02", 1)] {
            let oldest = backlog.oldest().await;
            assert_eq!(oldest, expected);
            assert_eq!(backlog.read(&oldest).await.unwrap(), expected.to_string());
            backlog.remove(&oldest).await.unwrap();
        }
        assert_eq!(backlog.size(), (0, 0));
    }

    #[tokio::test]
    async fn it_takes_no_more_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path(), 10).unwrap();
        backlog.add(&name("g", 1), &[Bytes::from_static(b"123456")]).await.unwrap();
        let more = backlog.add(&name("g", 2), &[Bytes::from_static(b"12345")]).await;
        assert!(matches!(more, Err(BacklogError::Full)), "{more:?}");
        backlog.remove(&name("g", 1)).await.unwrap();
        backlog.add(&name("g", 2), &[Bytes::from_static(b"12345")]).await.unwrap();
    }
}

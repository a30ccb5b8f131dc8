//! What is written on a store's volume of its role: one small file, replaced whole, synced before anything relies on it.
//!
//! A [`Record`] comes in and goes out. The file also says whose volume it is: another system's or shard's is refused.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    failover::{Disk, Epoch, EpochError},
    role::StaleTakeover,
};

const NAME: &str = "role.json";
const FORMAT: u32 = 1;

/// What stands on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What decisions rest on.
    pub disk: Disk,
    /// When this disk was last known to have everything, Unix seconds; 0: never.
    pub in_sync_at: u64,
    /// The takeover with which the present epoch began, if it may have lost sight of changes.
    pub stale: Option<StaleTakeover>,
}

impl Record {
    /// Of a new volume.
    pub const NEW: Self = Self { disk: Disk::EMPTY, in_sync_at: 0, stale: None };
}

/// Why a volume cannot be used.
#[derive(thiserror::Error, Debug)]
pub enum OpenError {
    /// It cannot be read, or not be understood: nothing is guessed about who had which epoch.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        error: io::Error,
    },
    /// It belongs to another shard or system.
    #[error(
        "this volume holds the mail of {found}, and this pod serves {wanted}: give the pod its own volume back"
    )]
    Foreign {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// It was written by a newer release.
    #[error("the role on this volume has format {0}, which a newer release wrote: run that release")]
    Newer(u32),
}

/// A store's volume. Clones share it.
#[derive(Clone, Debug)]
pub struct Volume {
    data: Arc<Path>,
    shard: Arc<str>,
}

impl Volume {
    /// The volume mounted at `data`, of the shard named `shard` (`namespace/system/number`), and what stands on it.
    ///
    /// # Errors
    /// It must not be used.
    pub fn open(data: &Path, shard: &str) -> Result<(Self, Record), OpenError> {
        let volume = Self { data: data.into(), shard: shard.into() };
        let path = volume.file();
        let unreadable = |error: io::Error| OpenError::Unreadable { path: path.display().to_string(), error };
        let record = match fs::read(&path) {
            Ok(bytes) => volume.parse(&bytes).map_err(|error| match error {
                ParseError::Refused(refused) => refused,
                ParseError::Garbled(error) => unreadable(error),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Record::NEW,
            Err(error) => return Err(unreadable(error)),
        };
        Ok((volume, record))
    }

    fn file(&self) -> PathBuf {
        self.data.join("agent").join(NAME)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Record, ParseError> {
        let head: Head = serde_json::from_slice(bytes).map_err(io::Error::from)?;
        if head.format > FORMAT {
            return Err(ParseError::Refused(OpenError::Newer(head.format)));
        }
        if *head.shard != *self.shard {
            let (found, wanted) = (head.shard, self.shard.to_string());
            return Err(ParseError::Refused(OpenError::Foreign { found, wanted }));
        }
        let content: Content = serde_json::from_slice(bytes).map_err(io::Error::from)?;
        Ok(content.record().map_err(io::Error::other)?)
    }

    /// Writes `record` and syncs it. It blocks.
    ///
    /// # Errors
    /// It is not certain to be on the disk. What was there before still is, or the new.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let (path, unfinished) = (self.file(), self.data.join("agent").join(".role"));
        let folder = self.data.join("agent");
        fs::create_dir_all(&folder)?;
        let mut file = File::create(&unfinished)?;
        let head = Head { format: FORMAT, shard: self.shard.to_string() };
        serde_json::to_writer(&mut file, &Whole { head, content: Content::of(record) })?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&folder)?.sync_all()
    }

    /// Writes a little to the volume and syncs it, so that a disk that hangs is noticed. It blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn prove(&self) -> io::Result<()> {
        let mut file = File::create(self.data.join("agent").join(".alive"))?;
        file.write_all(b"alive\n")?;
        file.sync_all()
    }

    /// Whether mail is on it: Cyrus keeps each folder below `spool/uuid`.
    #[must_use]
    pub fn holds_mail(&self) -> bool {
        fs::read_dir(self.data.join("spool/uuid")).is_ok_and(|mut folder| folder.next().is_some())
    }

    /// Moves mail whose role is unknown out of the way, to a folder named after `time`, so that the volume can be seeded
    /// and nothing is lost. It blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_aside(&self, time: u64) -> io::Result<PathBuf> {
        let aside = self.data.join(format!("set-aside-{time}"));
        fs::create_dir_all(&aside)?;
        for part in ["conf", "spool", "sieve"] {
            match fs::rename(self.data.join(part), aside.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(&self.data)?.sync_all()?;
        Ok(aside)
    }
}

enum ParseError {
    Garbled(io::Error),
    Refused(OpenError),
}

impl From<io::Error> for ParseError {
    fn from(error: io::Error) -> Self {
        Self::Garbled(error)
    }
}

/// What tells whether the rest can be understood.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    shard: String,
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize, Deserialize)]
struct Content {
    seeded: bool,
    epoch: u64,
    primary: bool,
    alone: bool,
    promise: u64,
    vote: u64,
    in_sync_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stale: Option<StaleTakeover>,
}

impl Content {
    fn of(record: &Record) -> Self {
        let Disk { seeded, epoch, primary, alone, promise, vote } = record.disk;
        Self {
            seeded,
            epoch: epoch.number(),
            primary,
            alone,
            promise: promise.number(),
            vote: vote.number(),
            in_sync_at: record.in_sync_at,
            stale: record.stale,
        }
    }

    fn record(self) -> Result<Record, EpochError> {
        let Self { seeded, epoch, primary, alone, promise, vote, in_sync_at, stale } = self;
        let number = Epoch::from_number;
        let (epoch, promise, vote) = (number(epoch)?, number(promise)?, number(vote)?);
        Ok(Record { disk: Disk { seeded, epoch, primary, alone, promise, vote }, in_sync_at, stale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::from_number(number).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_and_a_new_volume_has_seen_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (volume, record) = Volume::open(folder.path(), "n/s/0").unwrap();
        assert_eq!(record, Record::NEW);
        let stale = Some(StaleTakeover { from: 5, until: 7 });
        let record = Record { disk: Disk::EMPTY.founded(epoch(4)).voted(epoch(7)), in_sync_at: 9, stale };
        volume.write(&record).unwrap();
        volume.prove().unwrap();
        assert_eq!(Volume::open(folder.path(), "n/s/0").unwrap().1, record);
    }

    #[test]
    fn another_shards_volume_and_one_that_cannot_be_understood_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (volume, _) = Volume::open(folder.path(), "n/s/0").unwrap();
        volume.write(&Record::NEW).unwrap();
        let foreign = Volume::open(folder.path(), "n/s/1").unwrap_err();
        assert!(foreign.to_string().contains("holds the mail of n/s/0"), "{foreign}");
        let written = fs::read_to_string(volume.file()).unwrap();
        fs::write(volume.file(), written.replace("\"format\":1", "\"format\":2")).unwrap();
        assert!(matches!(Volume::open(folder.path(), "n/s/0"), Err(OpenError::Newer(2))));
        for garbled in ["", "{}", &written[..20]] {
            fs::write(volume.file(), garbled).unwrap();
            assert!(matches!(Volume::open(folder.path(), "n/s/0"), Err(OpenError::Unreadable { .. })));
        }
    }

    #[test]
    fn mail_without_a_role_is_seen_and_can_be_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (volume, _) = Volume::open(folder.path(), "n/s/0").unwrap();
        assert!(!volume.holds_mail());
        fs::create_dir_all(folder.path().join("spool/uuid/a/b/ab1")).unwrap();
        fs::create_dir_all(folder.path().join("conf")).unwrap();
        assert!(volume.holds_mail());
        let aside = volume.set_aside(12).unwrap();
        assert!(!volume.holds_mail() && aside.join("spool/uuid/a/b/ab1").exists());
    }
}

//! The scratch volume: what is restored, and what Cyrus needs besides while it runs. Both go when a proof ends, for a pod
//! that has ended may keep its volume for days.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Places on it.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// Into which a snapshot is restored.
    pub restored: PathBuf,
    /// For sockets, locks and configuration.
    pub run: PathBuf,
}

impl Scratch {
    /// Those of a volume that is mounted here.
    #[must_use]
    pub fn new(volume: &Path) -> Self {
        Self { restored: volume.join("restored"), run: volume.join("run") }
    }

    /// `configdirectory`.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.restored.join("conf")
    }

    /// `partition-default`.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.restored.join("spool")
    }

    /// The manifests.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.restored.join("manifest")
    }

    /// The socket that Cyrus asks for log-ins.
    #[must_use]
    pub fn auth(&self) -> PathBuf {
        self.run.join("auth")
    }

    /// `imapd.conf`.
    #[must_use]
    pub fn imapd_conf(&self) -> PathBuf {
        self.run.join("imapd.conf")
    }

    /// `cyrus.conf`.
    #[must_use]
    pub fn cyrus_conf(&self) -> PathBuf {
        self.run.join("cyrus.conf")
    }

    /// What Cyrus says of its own end.
    #[must_use]
    pub fn said(&self) -> PathBuf {
        self.run.join("said")
    }

    /// Removes what is there, also of a run that was ended before.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn empty(&self) -> io::Result<()> {
        for folder in [&self.restored, &self.run] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes it ready for a restore.
    ///
    /// # Errors
    /// A folder cannot be removed or made.
    pub fn prepare(&self) -> io::Result<()> {
        self.empty()?;
        fs::create_dir_all(&self.restored)?;
        fs::create_dir_all(&self.run)
    }

    /// Makes the folders that Cyrus expects and that no snapshot has.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn prepare_for_cyrus(&self) -> io::Result<()> {
        let conf = self.conf();
        for folder in [conf.join("db"), conf.join("socket"), self.run.join("proc"), self.run.join("lock")] {
            fs::create_dir_all(folder)?;
        }
        Ok(())
    }
}

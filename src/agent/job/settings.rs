//! What `mail-agent job` is told, and where its pod has things. The folders are those of [`job`](crate::job).

use std::path::PathBuf;

use clap::Args;

use crate::job;

/// What a Job is told.
#[derive(Args, Clone, Debug)]
pub struct JobSettings {
    /// What is to be done, in JSON.
    #[arg(long, env = job::WORK)]
    pub work: String,
    /// Where things are.
    #[command(flatten)]
    pub folders: Folders,
}

/// Where things are.
#[derive(Args, Clone, Debug)]
pub struct Folders {
    /// Folder with the file `password`, which opens the repository.
    #[arg(long = "encryption-dir", default_value = job::ENCRYPTION)]
    pub encryption: PathBuf,
    /// Folder with the credentials of object storage.
    #[arg(long = "storage-dir", default_value = job::STORAGE)]
    pub storage: PathBuf,
    /// Where the volume with repositories is.
    #[arg(long = "repository-dir", default_value = job::REPOSITORY)]
    pub repository: PathBuf,
    /// Where a store's volume is.
    #[arg(long = "volume-dir", default_value = job::VOLUME)]
    pub volume: PathBuf,
    /// Where the objects are that go along.
    #[arg(long = "objects-dir", default_value = job::OBJECTS)]
    pub objects: PathBuf,
    /// Folder with the file `peer-key`, with which stores are asked.
    #[arg(long = "login-dir", default_value = job::LOGIN)]
    pub login: PathBuf,
    /// Folder that is there only for this Job.
    #[arg(long = "scratch-dir", default_value = job::SCRATCH)]
    pub scratch: PathBuf,
    /// The program restic.
    #[arg(long, default_value = "restic")]
    pub restic: PathBuf,
}

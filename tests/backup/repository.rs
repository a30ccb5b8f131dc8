//! A repository in a folder, and the stock restic of the images.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use mail_operator::backup::restic::{
    Backup, BackupRun, Control, Engine, Place, Progress, Repository, Restic, SnapshotId,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "mật khẩu của kho";

/// The program, which `cluster/cluster restic` fetches once.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
        let output = Command::new(script).arg("restic").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "restic is not there");
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().into()
    })
}

pub(crate) fn control() -> Control<'static> {
    cancelled_by(CancellationToken::new())
}

pub(crate) fn cancelled_by(cancel: CancellationToken) -> Control<'static> {
    Control { cancel, progress: Box::leak(Box::new(|_: Progress| ())) }
}

/// Bytes that nothing makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = vec![0; length];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

/// The same as text, two letters for a byte.
pub(crate) fn noisy_text(length: usize) -> String {
    use std::fmt::Write;
    noise(length).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) struct Repo {
    pub(crate) folder: TempDir,
    pub(crate) restic: Restic,
}

impl Repo {
    /// Without a repository yet. Files to store are in `source/`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        let repository = Repository {
            place: Place::Folder(folder.path().join("repository")),
            password: folder.path().join("password"),
        };
        let engine = Engine {
            program: program().into(),
            cache: folder.path().join("cache"),
            stall: Duration::from_mins(1),
            ..Engine::default()
        };
        Self { folder, restic: Restic { repository, engine } }
    }

    /// With a repository.
    pub(crate) async fn made() -> Self {
        let repo = Self::new();
        repo.restic.init(&mut control()).await.unwrap();
        repo
    }

    /// With a snapshot of three files, each with other bytes.
    pub(crate) async fn filled() -> (Self, SnapshotId) {
        let repo = Self::made().await;
        for n in 0..3 {
            repo.put(&format!("mail/{n}."), &noise(300_000));
        }
        let run = repo.backup(None).await;
        assert_eq!(run.outcome, Ok(()));
        (repo, run.snapshot.unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn task(&self, parent: Option<SnapshotId>) -> Backup {
        Backup {
            root: self.path("source"),
            names: vec!["mail".into()],
            host: "store-0".into(),
            tags: vec!["run=1".into()],
            parent,
        }
    }

    pub(crate) async fn backup(&self, parent: Option<SnapshotId>) -> BackupRun {
        self.restic.backup(self.task(parent), &mut control()).await
    }

    /// The files of a kind in the repository, the largest first.
    pub(crate) fn files(&self, kind: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("repository").join(kind)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() { &mut folders } else { &mut found }
                    .push(entry.path());
            }
        }
        found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
        found
    }

    /// Restic as anyone runs it.
    pub(crate) fn stock(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env("RESTIC_REPOSITORY", self.path("repository"))
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("RESTIC_CACHE_DIR", self.path("stock-cache"));
        command
    }

    /// A program that stands for restic.
    pub(crate) fn stub(&mut self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("stub");
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.restic.engine.program = path;
    }
}

//! The pod of a Job: the compiled `mail-agent job` with its folders, its lines and its exit code.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use mail_operator::job::{
    BackupDone, BackupWork, MaintainDone, MaintainWork, Place, Progress, Repository, Said, Work, latest,
};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::{
    repository::{Repo, program},
    volume::Volume,
};

/// A store's volume, and what a pod mounts besides.
pub(crate) struct Pod {
    pub(crate) repo: Repo,
    pub(crate) volume: Volume,
    pub(crate) place: Place,
    pub(crate) storage: PathBuf,
}

/// What a Job left behind.
#[derive(Debug)]
pub(crate) struct Left<D> {
    pub(crate) code: Option<i32>,
    pub(crate) done: Option<D>,
    pub(crate) progress: Vec<Progress>,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let repo = Repo::new();
        let volume = Volume::new(repo.path("data"));
        volume.put("ab1", "x.vn!user.an", &["one", "two", "three"]);
        volume.put("ab2", "x.vn!user.an.Sent", &["sent"]);
        volume.put("cd1", "y.vn!user.binh", &["four"]);
        fs::create_dir(repo.path("scratch")).unwrap();
        Self { storage: repo.path("none"), volume, repo, place: Place::Folder("repository".into()) }
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository {
            place: self.place.clone(),
            system: "mail/province".into(),
            host: "province-store-0".into(),
        }
    }

    pub(crate) fn backup(&self, run: &str) -> BackupWork {
        BackupWork {
            repository: self.repository(),
            run: run.into(),
            shard: 0,
            pod: "province-store-0-1".into(),
            lag: Some(58),
            create: true,
            expected: [].into(),
            mailboxes: None,
            objects: false,
        }
    }

    pub(crate) fn maintain(&self, forget: &[&str]) -> MaintainWork {
        let forget = forget.iter().map(|id| (*id).to_owned()).collect();
        MaintainWork { repository: self.repository(), forget, read: false }
    }

    pub(crate) fn command(&self, work: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mail-agent"));
        command.arg("job").env("WORK", work).stdout(Stdio::piped());
        for (name, folder) in [
            ("--encryption-dir", self.repo.folder.path().to_owned()),
            ("--storage-dir", self.storage.clone()),
            ("--repository-dir", self.repo.folder.path().to_owned()),
            ("--volume-dir", self.volume.0.clone()),
            ("--objects-dir", self.repo.path("objects")),
            ("--login-dir", self.repo.path("login")),
            ("--scratch-dir", self.repo.path("scratch")),
            ("--restic", self.repo.restic.engine.program.clone()),
        ] {
            command.arg(name).arg(folder);
        }
        command
    }

    /// As in a pod: as Cyrus' user without any capability, and nothing can be written but what is mounted.
    pub(crate) fn confined(&mut self, work: &Work) -> Started {
        const SCRIPT: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro / &&
            chown -R 101:8 \"$0/data\" \"$0/scratch\" \"$0/volume\" && cd / &&
            exec setpriv --reuid=101 --regid=8 --clear-groups --bounding-set=-all --no-new-privs \"$@\"";
        let path = self.repo.folder.path().to_owned();
        fs::create_dir_all(path.join("volume")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let agent = PathBuf::from(env!("CARGO_BIN_EXE_mail-agent"));
        for (from, name) in [(agent.as_path(), "mail-agent"), (program(), "restic")] {
            fs::copy(from, path.join(name)).unwrap();
        }
        self.repo.restic.engine.program = path.join("restic");
        let inner = self.command(&serde_json::to_string(work).unwrap());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", SCRIPT]).arg(&path).arg(path.join("mail-agent"));
        command.args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Started::new(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn started(&self, work: &Work) -> Started {
        let child = self.command(&serde_json::to_string(work).unwrap()).spawn().unwrap();
        Started::new(child)
    }

    pub(crate) fn backs_up(&self, work: BackupWork) -> Left<BackupDone> {
        self.started(&Work::Backup(work)).left()
    }

    pub(crate) fn maintains(&self, work: MaintainWork) -> Left<MaintainDone> {
        self.started(&Work::Maintain(work)).left()
    }

    /// Restic that stores so slowly that it never ends.
    pub(crate) fn slow(&mut self) {
        let program = program().display();
        self.repo.stub(&format!(
            "[ \"$1\" != backup ] || exec {program} --limit-upload 1 \"$@\"\nexec {program} \"$@\""
        ));
    }
}

/// A Job that runs.
pub(crate) struct Started {
    child: Child,
    log: BufReader<std::process::ChildStdout>,
    lines: String,
}

impl Started {
    fn new(mut child: Child) -> Self {
        let log = BufReader::new(child.stdout.take().unwrap());
        Self { child, log, lines: String::new() }
    }

    /// Reads on until it is in this phase.
    pub(crate) fn until(&mut self, phase: &str) {
        loop {
            let before = self.lines.len();
            assert!(self.log.read_line(&mut self.lines).unwrap() > 0, "it ended: {}", self.lines);
            let said = latest::<()>(&self.lines[before..]);
            if matches!(said, Some(Said::Progress(at)) if at.phase == phase) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The whole log, and the exit code.
    pub(crate) fn log(mut self) -> (Option<i32>, String) {
        while self.log.read_line(&mut self.lines).unwrap() > 0 {}
        (self.child.wait().unwrap().code(), self.lines)
    }

    pub(crate) fn left<D: DeserializeOwned>(mut self) -> Left<D> {
        while self.log.read_line(&mut self.lines).unwrap() > 0 {}
        let code = self.child.wait().unwrap().code();
        let done = match latest::<D>(&self.lines) {
            Some(Said::Done(done)) => Some(done),
            _ => None,
        };
        let progress = self.lines.lines().filter_map(latest::<()>).filter_map(|said| match said {
            Said::Progress(progress) => Some(progress),
            Said::Done(()) => None,
        });
        Left { code, done, progress: progress.collect() }
    }
}

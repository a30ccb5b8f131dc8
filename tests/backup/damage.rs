//! Repositories that are damaged, locked or full.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::{fs::FileExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mail_operator::backup::restic::{Reason, Restore, SnapshotId, Subset};

use crate::repository::{Repo, control, noise};

/// What is done to the largest file of a kind.
type Deed = fn(&Path);

fn flip(path: &Path) {
    let file = open(path);
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

fn cut(path: &Path) {
    let file = open(path);
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
}

fn empty(path: &Path) {
    open(path).set_len(0).unwrap();
}

fn delete(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// Restic writes its files read-only.
fn open(path: &Path) -> File {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

async fn damaged(kind: &str, deed: Deed) -> (Repo, SnapshotId) {
    let (repo, id) = Repo::filled().await;
    for path in if kind == "data" { repo.files(kind)[..1].to_vec() } else { repo.files(kind) } {
        deed(&path);
    }
    // What the cache knows is no proof.
    fs::remove_dir_all(repo.path("cache")).unwrap();
    (repo, id)
}

async fn check(repo: &Repo, subset: Subset) -> Option<Reason> {
    match repo.restic.check(subset, &mut control()).await {
        Ok(report) => report.outcome.err().map(|failure| failure.reason),
        Err(failure) => Some(failure.reason),
    }
}

async fn restore(repo: &Repo, snapshot: SnapshotId) -> Option<Reason> {
    let restore = Restore { snapshot, paths: Vec::new(), target: repo.path("out") };
    repo.restic.restore(restore, &mut control()).await.err().map(|failure| failure.reason)
}

#[tokio::test]
async fn a_byte_that_flipped_is_found_by_whoever_reads_it() {
    let (repo, id) = damaged("data", flip).await;
    assert_eq!(check(&repo, Subset::Nothing).await, None, "nothing was read");
    let report = repo.restic.check(Subset::Everything, &mut control()).await.unwrap();
    assert_eq!(report.outcome.unwrap_err().reason, Reason::RepositoryDamaged);
    let pack = repo.files("data")[0].file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(report.broken_packs, [pack]);
    assert_eq!(restore(&repo, id.clone()).await, Some(Reason::RepositoryDamaged));
    // All the same the next backup succeeds: it says nothing about what was stored before.
    assert_eq!(repo.backup(Some(id)).await.outcome, Ok(()));
    let parts = [check(&repo, Subset::Part(1, 2)).await, check(&repo, Subset::Part(2, 2)).await];
    assert!(parts.contains(&Some(Reason::RepositoryDamaged)), "one of the parts has it: {parts:?}");
}

#[tokio::test]
async fn packs_that_are_cut_off_or_gone_are_found_without_reading() {
    for deed in [cut as Deed, delete, empty] {
        let (repo, _) = damaged("data", deed).await;
        assert_eq!(check(&repo, Subset::Nothing).await, Some(Reason::RepositoryDamaged));
    }
    let (repo, id) = damaged("data", delete).await;
    assert_eq!(restore(&repo, id).await, Some(Reason::RepositoryDamaged));
}

#[tokio::test]
async fn without_its_index_a_repository_is_damaged_for_everyone() {
    let (repo, id) = damaged("index", delete).await;
    assert_eq!(check(&repo, Subset::Nothing).await, Some(Reason::RepositoryDamaged));
    assert_eq!(restore(&repo, id.clone()).await, Some(Reason::RepositoryDamaged));
    let run = repo.backup(Some(id)).await;
    assert_eq!(run.outcome.unwrap_err().reason, Reason::RepositoryDamaged, "and not merely partial");
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_is_not_passed_over() {
    for deed in [empty as Deed, flip] {
        let (repo, id) = damaged("snapshots", deed).await;
        let listed = repo.restic.snapshots(&mut control()).await.unwrap_err();
        assert_eq!(listed.reason, Reason::RepositoryDamaged, "{listed}");
        assert_eq!(check(&repo, Subset::Nothing).await, Some(Reason::RepositoryDamaged));
        assert!(restore(&repo, id).await.is_some());
    }
    let (repo, id) = damaged("snapshots", delete).await;
    assert_eq!(check(&repo, Subset::Nothing).await, None, "restic cannot know");
    assert_eq!(restore(&repo, id).await, Some(Reason::SnapshotMissing));
}

#[tokio::test]
async fn a_repository_without_its_configuration_or_its_key_is_never_made_anew() {
    let (repo, _) = Repo::filled().await;
    empty(&repo.path("repository/config"));
    assert_eq!(check(&repo, Subset::Nothing).await, Some(Reason::RepositoryDamaged));
    assert!(repo.restic.init(&mut control()).await.is_err());
    assert!(!repo.files("snapshots").is_empty());
    let (repo, _) = damaged("keys", delete).await;
    let failure = repo.restic.snapshots(&mut control()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::WrongPassword, "{failure}");
}

/// A backup that holds its lock until it is killed, on a host of this name.
pub(crate) fn holds_a_lock(repo: &Repo, host: Option<&str>) -> Child {
    let file = File::create(repo.path("source/large")).unwrap();
    file.set_len(64 << 30).unwrap();
    let stock = repo.stock(&["backup", "--limit-upload", "1", "source/large"]);
    let mut command = match host {
        None => stock,
        Some(host) => {
            let mut command = Command::new("unshare");
            command
                .args(["--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", host])
                .arg(stock.get_program());
            command.args(stock.get_args());
            command.envs(stock.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
        }
    };
    command.current_dir(repo.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let child = command.spawn().unwrap();
    let began = Instant::now();
    // A lock has the hash of its content as its name; until it is whole it has another.
    let whole = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 64);
    while !repo.files("locks").iter().any(whole) {
        assert!(began.elapsed() < Duration::from_mins(2), "it takes no lock");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn who_lives_keeps_the_lock_and_who_was_killed_leaves_it_until_it_is_removed() {
    let (repo, id) = Repo::filled().await;
    let living = holds_a_lock(&repo, None);
    repo.restic.unlock(false, &mut control()).await.unwrap();
    let locked = repo.restic.forget(std::slice::from_ref(&id), &mut control()).await.unwrap_err();
    assert_eq!(locked.reason, Reason::RepositoryLocked, "{locked}");
    assert!(repo.restic.snapshots(&mut control()).await.is_ok(), "looking needs no lock");
    kill(living);
    assert_eq!(repo.restic.prune(&mut control()).await.unwrap_err().reason, Reason::RepositoryLocked);
    repo.restic.unlock(false, &mut control()).await.unwrap();
    repo.restic.prune(&mut control()).await.unwrap();
}

#[tokio::test]
async fn a_lock_of_another_host_goes_only_when_all_do() {
    let (repo, _) = Repo::filled().await;
    kill(holds_a_lock(&repo, Some("mail-store-0-1")));
    repo.restic.unlock(false, &mut control()).await.unwrap();
    let locked = check(&repo, Subset::Nothing).await;
    assert_eq!(locked, Some(Reason::RepositoryLocked));
    repo.restic.unlock(true, &mut control()).await.unwrap();
    assert_eq!(check(&repo, Subset::Nothing).await, None);
}

/// A small disk.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(&path).status();
        assert!(mounted.unwrap().success());
        Self(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_repository_is_usable_once_there_is_room() {
    let repo = Repo::new();
    let disk = Disk::new(repo.path("repository"));
    repo.restic.init(&mut control()).await.unwrap();
    repo.put("mail/1.", &noise(4_000_000));
    let run = repo.backup(None).await;
    let failure = run.outcome.unwrap_err();
    assert_eq!((failure.reason, run.snapshot), (Reason::NoSpace, None), "{failure}");
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk.0).status();
    assert!(grown.unwrap().success());
    repo.restic.unlock(true, &mut control()).await.unwrap();
    repo.restic.prune(&mut control()).await.unwrap();
    assert_eq!(repo.backup(None).await.outcome, Ok(()));
    assert_eq!(check(&repo, Subset::Everything).await, None);
}

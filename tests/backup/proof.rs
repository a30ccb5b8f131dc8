//! Jobs that prove a snapshot, as far as that goes without Cyrus: what is damaged, lost or too much is found before it. With
//! Cyrus it is proven on the cluster.

use std::{fs, os::unix::fs::FileExt, path::Path};

use mail_operator::job::{Counted, VerifyDone, VerifyWork, Work};
use rustix::process::Signal;

use crate::{
    pod::{Left, Pod},
    repository::{noise, program},
};

fn work(pod: &Pod, snapshot: &str) -> VerifyWork {
    VerifyWork { repository: pod.repository(), snapshot: snapshot.into(), sample_percent: 5, seed: 7 }
}

fn proves(pod: &Pod, snapshot: &str) -> Left<VerifyDone> {
    pod.started(&Work::Verify(work(pod, snapshot))).left()
}

/// Its reason, and the mailboxes concerned. Nothing is left of it.
fn refuted(pod: &Pod, snapshot: &str) -> (String, Vec<String>) {
    let left = proves(pod, snapshot);
    let done = left.done.unwrap();
    assert_eq!((left.code, done.restored, done.counted.read), (Some(3), None, 0), "{done:?}");
    assert!(left.progress.is_sorted_by_key(|it| it.percent));
    is_empty(pod);
    (done.failed.unwrap().reason, done.mailboxes.into_iter().collect())
}

fn is_empty(pod: &Pod) {
    for folder in ["restored", "run"] {
        assert!(!pod.repo.path("scratch").join(folder).exists(), "{folder} is left");
    }
}

/// A long message, which nothing makes smaller.
fn long() -> String {
    noise(150_000).iter().map(|byte| char::from(b'a' + byte % 16)).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn without_a_cyrus_that_starts_nothing_is_proven_though_all_files_are_there() {
    let pod = Pod::new();
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let done = proves(&pod, &stored.id).done.unwrap();
    // Its databases are none.
    assert_eq!(done.failed.unwrap().reason, "CyrusDoesNotStart");
    assert_eq!(done.counted, Counted { mailboxes: 0, messages: 5, files: 5, read: 0 });
    is_empty(&pod);
}

#[test]
fn a_damaged_repository_names_the_mailboxes_of_what_it_lost() {
    let pod = Pod::new();
    pod.volume.put("ef1", "z.vn!user.chi", &[&long(), &long(), &long()]);
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let pack = pod.repo.files("data").remove(0);
    damage(&pack);
    assert_eq!(refuted(&pod, &stored.id), ("RepositoryDamaged".into(), names(&["chi@z.vn"])));
    fs::remove_file(pack).unwrap();
    assert_eq!(refuted(&pod, &stored.id).0, "RepositoryDamaged");
}

fn damage(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    file.write_all_at(b"damage", middle).unwrap();
}

#[test]
fn messages_that_were_lost_or_altered_in_the_store_are_found_with_their_mailboxes() {
    let pod = Pod::new();
    fs::remove_file(pod.volume.folder("ab1").join("2.")).unwrap();
    fs::write(pod.volume.folder("cd1").join("1."), "fuor").unwrap();
    let failed = pod.backs_up(pod.backup("r1")).done.unwrap().failed.unwrap();
    assert_eq!(failed.reason, "Incomplete");
    let snapshot = pod.repo.files("snapshots").remove(0);
    let id = snapshot.file_name().unwrap().to_str().unwrap();
    assert_eq!(refuted(&pod, id), ("FilesMissing".into(), names(&["an@x.vn", "binh@y.vn"])));
}

#[test]
fn a_snapshot_that_is_not_there_and_a_wrong_password_have_their_reasons() {
    let pod = Pod::new();
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    assert_eq!(refuted(&pod, "latest").0, "SnapshotMissing");
    assert_eq!(refuted(&pod, &"f".repeat(64)).0, "SnapshotMissing");
    fs::write(pod.repo.path("password"), "another").unwrap();
    assert_eq!(refuted(&pod, &stored.id).0, "WrongPassword");
}

#[test]
fn a_proof_that_is_asked_to_end_says_nothing_and_leaves_nothing() {
    let mut pod = Pod::new();
    pod.volume.put("ef1", "z.vn!user.chi", &[&long()]);
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let restic = program().display();
    pod.repo.stub(&format!("exec {restic} --limit-download 1 \"$@\""));
    let mut proof = pod.started(&Work::Verify(work(&pod, &stored.id)));
    proof.until("Restoring");
    proof.signal(Signal::TERM);
    let left = proof.left::<VerifyDone>();
    assert_eq!((left.code, left.done), (Some(1), None));
    is_empty(&pod);
}

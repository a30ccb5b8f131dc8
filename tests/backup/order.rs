//! Jobs that keep a repository in order, as processes.

use std::{fs, os::unix::fs::PermissionsExt};

use mail_operator::{backup::restic::SnapshotId, job::Place};

use crate::{
    damage::{holds_a_lock, kill},
    pod::Pod,
    repository::noisy_text,
    s3::{BUCKET, S3},
    volume::contents,
};

fn ids(stored: &[mail_operator::job::Stored]) -> Vec<&str> {
    stored.iter().map(|it| it.id.as_str()).collect()
}

#[test]
fn what_is_named_is_forgotten_and_its_data_removed_and_nothing_else() {
    let pod = Pod::new();
    let long = noisy_text(300_000);
    pod.volume.put("ef1", "x.vn!user.chi", &[&long]);
    let first = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    fs::remove_dir_all(pod.volume.folder("ef1")).unwrap();
    let second = pod.backs_up(pod.backup("r2")).done.unwrap().snapshot.unwrap();
    let mut own = pod.repo.stock(&["backup", "--host", "province-store-0", "source"]);
    assert!(own.current_dir(pod.repo.folder.path()).output().unwrap().status.success());
    let own = pod.repo.files("snapshots").len();

    let before = pod.maintains(pod.maintain(&[]));
    let listed = before.done.unwrap();
    assert_eq!((before.code, own), (Some(0), 3));
    assert_eq!(listed.snapshots, [first.clone(), second.clone()]);
    // One that is nobody's, and one that is somebody's own, as the third is: not ours to forget.
    let gone = "f".repeat(64);
    let left = pod.maintains(pod.maintain(&[&first.id, &gone]));
    let after = left.done.unwrap();
    assert_eq!((left.code, ids(&after.snapshots)), (Some(0), vec![second.id.as_str()]));
    assert!(after.size.unwrap() + 250_000 < listed.size.unwrap(), "{after:?} {listed:?}");
    assert_eq!(pod.repo.files("snapshots").len(), 2);
    let phases: Vec<_> = left.progress.iter().map(|it| it.phase.as_str()).collect();
    assert_eq!(phases, ["Listing", "Forgetting", "Pruning", "Measuring"]);
    // The same again: a Job whose pod was killed is repeated.
    let again = pod.maintains(pod.maintain(&[&first.id]));
    assert_eq!((again.code, again.done.unwrap().failed), (Some(0), None));
}

#[test]
fn a_repository_that_is_missing_or_another_systems_is_told_and_left() {
    let pod = Pod::new();
    let left = pod.maintains(pod.maintain(&[]));
    let done = left.done.unwrap();
    assert_eq!((left.code, done.snapshots.len(), done.size), (Some(3), 0, None));
    assert_eq!(done.failed.unwrap().reason, "RepositoryMissing");
    assert!(!pod.repo.path("repository").exists());
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let mut other = pod.maintain(&[&stored.id]);
    other.repository.system = "mail/city".into();
    let done = pod.maintains(other).done.unwrap();
    assert_eq!(
        (done.failed.unwrap().reason.as_str(), done.snapshots.len()),
        ("RepositoryOfAnotherSystem", 0)
    );
    assert_eq!(pod.repo.files("snapshots").len(), 1);
}

#[test]
fn locks_of_killed_jobs_are_no_hindrance_to_who_is_alone() {
    let pod = Pod::new();
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let living = holds_a_lock(&pod.repo, Some("another-pod"));
    kill(living);
    let left = pod.maintains(pod.maintain(&[&stored.id]));
    assert_eq!((left.code, left.done.unwrap().snapshots.len()), (Some(0), 0));
}

#[test]
fn reading_all_finds_a_byte_that_flipped() {
    let pod = Pod::new();
    pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let mut work = pod.maintain(&[]);
    work.read = true;
    let left = pod.maintains(work.clone());
    assert_eq!((left.code, left.done.unwrap().failed), (Some(0), None));
    let pack = pod.repo.files("data")[0].clone();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pack, bytes).unwrap();
    assert_eq!(pod.maintains(pod.maintain(&[])).code, Some(0), "nothing was read");
    let left = pod.maintains(work);
    let done = left.done.unwrap();
    let failed = done.failed.unwrap();
    assert_eq!((left.code, failed.reason.as_str()), (Some(3), "RepositoryDamaged"), "{failed:?}");
    assert!(failed.message.contains(pack.file_name().unwrap().to_str().unwrap()), "{failed:?}");
    assert_eq!(done.snapshots.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_in_a_bucket_is_made_listed_and_measured() {
    let s3 = S3::start().await;
    let mut pod = Pod::new();
    let location = s3.location(BUCKET);
    pod.storage = s3.folder.path().join("credentials");
    pod.place = Place::Bucket {
        endpoint: location.endpoint,
        region: location.region,
        bucket: location.bucket,
        prefix: location.prefix,
    };
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    assert!(SnapshotId::parse(&stored.id).is_some());
    let left = pod.maintains(pod.maintain(&[]));
    let done = left.done.unwrap();
    assert_eq!((left.code, done.snapshots), (Some(0), vec![stored]));
    let files = contents(&s3.folder.path().join("objects").join(BUCKET));
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert_eq!(done.size, Some(bytes as u64));
    s3.credentials("somebody", "else");
    let failed = pod.backs_up(pod.backup("r2")).done.unwrap().failed.unwrap();
    assert_eq!(failed.reason, "CredentialsRefused");
}

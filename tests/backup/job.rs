//! Jobs that back up, as processes.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, path::Path};

use mail_operator::job::{BackupDone, MaintainDone, Place, Selected, Work};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::{
    pod::Pod,
    repository::{PASSWORD, noisy_text, program},
    runs::manifests,
    volume::contents,
};

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Restores as anyone does.
fn restored(pod: &Pod, id: &str, target: &str) -> std::path::PathBuf {
    let target = pod.repo.path(target);
    let restore = pod.repo.stock(&["restore", id, "--target"]).arg(&target).output().unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    target
}

fn mailboxes(root: &Path) -> Vec<String> {
    manifests(root).1.into_iter().filter_map(|it| it.mailbox).collect()
}

#[test]
fn a_job_makes_the_repository_and_backs_up_and_anyones_restic_restores_it() {
    let mut pod = Pod::new();
    pod.place = Place::Folder("volume/mail/province/0".into());
    let before = contents(&pod.volume.0);
    let left = pod.backs_up(pod.backup("daily-20261201-020000"));
    let done = left.done.unwrap();
    assert_eq!((left.code, &done.failed, done.vanished.len()), (Some(0), &None, 0));
    let stored = done.snapshot.unwrap();
    assert_eq!(
        (stored.run.as_str(), stored.mailboxes, stored.messages, stored.complete),
        ("daily-20261201-020000", Some(2), Some(5), true)
    );
    assert!(stored.added.unwrap() > 0 && stored.frozen > 1_700_000_000_000);
    let phases: Vec<_> = left.progress.iter().map(|it| it.phase.as_str()).collect();
    for phase in ["Opening", "Freezing", "Surveying", "Storing", "Checking"] {
        assert!(phases.contains(&phase), "{phase}: {phases:?}");
    }
    assert!(left.progress.is_sorted_by_key(|it| it.percent));
    let last = left.progress.last().unwrap();
    assert_eq!((last.mailboxes, last.messages, last.percent), (2, 5, 96));
    assert_eq!(contents(&pod.volume.0), before, "nothing is left on the volume");

    let mut stock = pod.repo.stock(&["restore", &stored.id, "--target"]);
    stock.arg(pod.repo.path("out")).env("RESTIC_REPOSITORY", pod.repo.path("volume/mail/province/0"));
    assert!(stock.output().unwrap().status.success());
    let restored = contents(&pod.repo.path("out"));
    for file in &before {
        assert!(restored.contains(file), "{}", file.0);
    }
}

#[test]
fn the_next_run_stores_what_is_new_and_tells_what_vanished() {
    let pod = Pod::new();
    let first = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    pod.volume.put("cd1", "y.vn!user.binh", &["four", "five"]);
    let gone = "f".repeat(64);
    let mut work = pod.backup("r2");
    work.expected = set(&[&first.id, &gone]);
    let done = pod.backs_up(work).done.unwrap();
    let second = done.snapshot.unwrap();
    assert_eq!((second.messages, done.vanished), (Some(6), vec![gone]));
    // Its pod was killed before anybody heard of it.
    let again = pod.backs_up(pod.backup("r2"));
    assert_eq!((again.code, again.done.unwrap().snapshot), (Some(0), Some(second.clone())));
    assert_eq!(pod.repo.files("snapshots").len(), 2);
    let parent = pod.repo.stock(&["cat", "snapshot", &second.id]).output().unwrap();
    assert!(String::from_utf8(parent.stdout).unwrap().contains(&first.id));
}

#[test]
fn a_backup_of_some_mailboxes_has_no_other_folder_and_one_of_none_stores_nothing() {
    let pod = Pod::new();
    let mut work = pod.backup("r1");
    work.mailboxes = Some(Selected { addresses: set(&["an@x.vn"]), domains: set(&["z.vn"]) });
    let stored = pod.backs_up(work.clone()).done.unwrap().snapshot.unwrap();
    assert_eq!((stored.mailboxes, stored.messages, stored.complete), (Some(1), Some(4), true));
    let root = restored(&pod, &stored.id, "out");
    assert_eq!(mailboxes(&root), ["an@x.vn"]);
    assert!(root.join("spool/uuid/a/b/ab2/1.").exists() && !root.join("spool/uuid/c").join("d/cd1").exists());
    assert!(root.join("conf/mailboxes.db").exists());
    assert!(pod.volume.folder("cd1").join("1.").exists(), "only the copy loses it");

    work.run = "r2".into();
    work.mailboxes = Some(Selected { addresses: set(&["chi@x.vn"]), ..Selected::default() });
    let left = pod.backs_up(work);
    assert_eq!(left.done.unwrap().failed.unwrap().reason, "SelectorMatchesNothing");
    assert_eq!((left.code, pod.repo.files("snapshots").len()), (Some(3), 1));
}

#[test]
fn objects_go_along_as_one_file() {
    let pod = Pod::new();
    for (number, text) in [("10", "{\"kind\":\"C\"}\n"), ("9", "{\"kind\":\"A\"}\n{\"kind\":\"B\"}\n")] {
        let folder = pod.repo.path("objects").join(number);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("objects.jsonl.zst"), zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
    }
    let mut work = pod.backup("r1");
    work.objects = true;
    let stored = pod.backs_up(work.clone()).done.unwrap().snapshot.unwrap();
    let file = restored(&pod, &stored.id, "out").join("objects/objects.jsonl.zst");
    let text = zstd::decode_all(fs::File::open(file).unwrap()).unwrap();
    let expected = "{\"kind\":\"A\"}\n{\"kind\":\"B\"}\n{\"kind\":\"C\"}\n";
    assert_eq!((String::from_utf8(text).unwrap().as_str(), stored.complete), (expected, true));
    fs::remove_dir_all(pod.repo.path("objects")).unwrap();
    fs::create_dir(pod.repo.path("objects")).unwrap();
    work.run = "r2".into();
    let failed = pod.backs_up(work).done.unwrap().failed.unwrap();
    assert!(failed.message.contains("there are no objects"), "{failed:?}");
}

#[test]
fn a_pod_needs_neither_root_nor_a_folder_besides_those_that_are_mounted() {
    let mut pod = Pod::new();
    pod.place = Place::Folder("volume/province/0".into());
    let left = pod.confined(&Work::Backup(pod.backup("r1"))).left::<BackupDone>();
    let stored = left.done.unwrap().snapshot.unwrap();
    assert_eq!((left.code, stored.messages), (Some(0), Some(5)));
    assert!(!pod.volume.0.join(".frozen").exists());
    let mut work = pod.maintain(&[&stored.id]);
    work.read = true;
    let left = pod.confined(&Work::Maintain(work)).left::<MaintainDone>();
    assert_eq!((left.code, left.done.unwrap().snapshots.len()), (Some(0), 0));
    let made = fs::metadata(pod.repo.path("volume/province/0/config")).unwrap();
    assert_eq!((made.uid(), made.gid()), (101, 8));
}

#[test]
fn what_is_hopeless_ends_with_another_exit_code_than_what_may_pass() {
    let pod = Pod::new();
    let mut work = pod.backup("r1");
    work.create = false;
    let left = pod.backs_up(work);
    assert_eq!(
        (left.code, left.done.unwrap().failed.unwrap().reason.as_str()),
        (Some(3), "RepositoryMissing")
    );
    assert!(pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.is_some());
    fs::write(pod.repo.path("password"), "another").unwrap();
    let left = pod.backs_up(pod.backup("r2"));
    let done = left.done.unwrap();
    assert_eq!((left.code, done.failed.unwrap().reason.as_str()), (Some(3), "WrongPassword"));
    assert_eq!(done.snapshot, None);
    for work in ["", "{}", "{\"compress\":{}}"] {
        let output = pod.command(work).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{work}");
    }
    let mut other = pod.backup("r2");
    fs::write(pod.repo.path("password"), PASSWORD).unwrap();
    other.repository.system = "mail/city".into();
    let left = pod.backs_up(other);
    let failed = left.done.unwrap().failed.unwrap();
    assert_eq!((left.code, failed.reason.as_str()), (Some(3), "RepositoryOfAnotherSystem"));
    assert_eq!(pod.repo.files("snapshots").len(), 1);
}

#[test]
fn a_message_that_lacks_its_file_is_told_and_the_snapshot_is_not_complete() {
    let pod = Pod::new();
    fs::remove_file(pod.volume.folder("ab2").join("1.")).unwrap();
    let left = pod.backs_up(pod.backup("r1"));
    let done = left.done.unwrap();
    assert_eq!((left.code, done.failed.unwrap().reason.as_str()), (Some(3), "Incomplete"));
    assert_eq!((done.snapshot, done.lacking), (None, set(&["an@x.vn"])));
    let listed = pod.maintains(pod.maintain(&[])).done.unwrap().snapshots;
    let of: Vec<_> = listed.iter().map(|it| (it.run.as_str(), it.complete)).collect();
    assert_eq!(of, [("r1", false)]);
}

#[test]
fn one_that_is_asked_to_end_leaves_no_lock_and_no_word_and_is_done_by_the_next() {
    let mut pod = Pod::new();
    let long = noisy_text(2 << 20);
    pod.volume.put("cd1", "y.vn!user.binh", &["four", &long]);
    pod.slow();
    for signal in [Signal::TERM, Signal::KILL] {
        let mut job = pod.started(&Work::Backup(pod.backup("r1")));
        job.until("Storing");
        while !pod.repo.files("locks").iter().any(|lock| lock.file_name().unwrap().len() == 64) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        job.signal(signal);
        let left = job.left::<serde_json::Value>();
        assert_eq!((left.done, pod.repo.files("snapshots").len()), (None, 0));
        if signal == Signal::TERM {
            assert_eq!((left.code, pod.repo.files("locks").len()), (Some(1), 0));
        }
        assert!(pod.volume.0.join(".frozen/r1/taken.json").exists());
    }
    pod.repo.restic.engine.program = program().into();
    // As of when it was frozen first.
    pod.volume.put("cd1", "y.vn!user.binh", &["four", &long, "newer"]);
    let left = pod.backs_up(pod.backup("r1"));
    assert_eq!((left.code, left.done.unwrap().snapshot.unwrap().messages), (Some(0), Some(6)));
    assert!(!pod.volume.0.join(".frozen").exists());
}

#[test]
fn a_volume_that_another_run_has_frozen_is_waited_for_and_not_touched() {
    let pod = Pod::new();
    let other = pod.volume.0.join(".frozen/other/spool");
    fs::create_dir_all(&other).unwrap();
    let volume = fs::File::open(&pod.volume.0).unwrap();
    flock(&volume, FlockOperation::LockExclusive).unwrap();
    let mut job = pod.started(&Work::Backup(pod.backup("r1")));
    job.until("Waiting");
    job.signal(Signal::TERM);
    let left = job.left::<serde_json::Value>();
    assert_eq!((left.code, left.done), (Some(1), None));
    assert!(other.exists());
    let mut job = pod.started(&Work::Backup(pod.backup("r1")));
    job.until("Waiting");
    assert!(other.exists());
    drop(volume);
    assert_eq!(job.left::<serde_json::Value>().code, Some(0));
    assert!(!other.exists());
}

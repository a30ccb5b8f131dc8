//! Jobs that print the objects of a snapshot, as processes.

use std::fs;

use age::x25519::Identity;
use mail_operator::job::{ObjectsDone, ObjectsWork, Said, Work, latest, objects};
use serde_json::json;

use crate::pod::Pod;

fn print(pod: &Pod, snapshot: &str, recipient: &str) -> (Option<i32>, String) {
    let work = ObjectsWork {
        repository: pod.repository(),
        snapshot: snapshot.to_owned(),
        recipient: recipient.to_owned(),
    };
    pod.started(&Work::Objects(work)).log()
}

fn reason(log: &str) -> String {
    let Some(Said::Done(ObjectsDone { failed: Some(failed), .. })) = latest(log) else { panic!("{log}") };
    failed.reason
}

#[test]
fn what_went_along_is_printed_for_the_operator_alone() {
    let pod = Pod::new();
    let secret = |n: u32| json!({"kind": "Secret", "metadata": {"name": format!("m{n}")}, "data": {"password": "aGFy"}});
    let text: String = (0..2000).map(|n| secret(n).to_string() + "\n").collect();
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (number, part) in packed.chunks(5000).enumerate() {
        let folder = pod.repo.path("objects").join(number.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(objects::PART), part).unwrap();
    }
    let mut work = pod.backup("r1");
    work.objects = true;
    let stored = pod.backs_up(work).done.unwrap().snapshot.unwrap();

    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    let (code, log) = print(&pod, &stored.id, &recipient);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(objects::gather(&log, &identity), Ok(Some(packed.clone())));
    objects::gather(&log, &Identity::generate()).unwrap_err();
    assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), text.as_bytes());
    // And by hand.
    let dump = pod.repo.stock(&["dump", &stored.id, objects::FILE]).output().unwrap();
    assert_eq!(dump.stdout, packed);
    let (code, log) = print(&pod, &stored.id, "age1");
    assert_eq!((code, reason(&log).as_str()), (Some(3), "KeyUnusable"));
}

#[test]
fn a_snapshot_without_objects_and_one_that_is_not_there_are_told_apart() {
    let pod = Pod::new();
    let stored = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    let recipient = Identity::generate().to_public().to_string();
    let (code, log) = print(&pod, &stored.id, &recipient);
    assert_eq!((code, reason(&log).as_str()), (Some(3), "NoObjects"));
    let (code, log) = print(&pod, &"f".repeat(64), &recipient);
    assert_eq!((code, reason(&log).as_str()), (Some(3), "SnapshotMissing"), "{log}");
    let (code, log) = print(&pod, "latest", &recipient);
    assert_eq!((code, reason(&log).as_str()), (Some(3), "SnapshotMissing"));
}

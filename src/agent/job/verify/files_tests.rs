use std::path::PathBuf;

use super::*;
use crate::agent::store::backup::{
    survey::survey,
    testing::{EXPUNGED, put},
};

/// What a snapshot of three mailboxes is restored to.
struct Restored {
    _volume: tempfile::TempDir,
    scratch: Scratch,
    inbox: PathBuf,
}

fn restored() -> Restored {
    let volume = tempfile::tempdir().unwrap();
    let scratch = Scratch::new(volume.path());
    let root = &scratch.restored;
    let inbox = put(root, "ab1", "x.vn!user.an", &[(0, "one"), (EXPUNGED, "two"), (0, "three")]);
    put(root, "ab2", "x.vn!user.an.Sent", &[(0, "four")]);
    put(root, "ac3", "x.vn!user.binh", &[(0, "five")]);
    put(root, "ad4", "x.vn!shared.news", &[(0, "six")]);
    let head =
        Head { system: "m/x".into(), shard: 0, pod: "p".into(), run: "r".into(), frozen: 1, lag: None };
    survey(root, &head, Depth::Digest, |_| true).unwrap();
    Restored { _volume: volume, scratch, inbox }
}

impl Restored {
    fn compared(&self) -> Compared {
        compare(&self.scratch, |_, _| true).unwrap()
    }

    fn reason(&self) -> (String, Vec<String>) {
        let findings = self.compared().findings;
        (findings.verdict().unwrap().reason, findings.mailboxes().iter().cloned().collect())
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.scratch.manifest().join(name)
    }
}

fn an() -> Vec<String> {
    vec!["an@x.vn".to_owned()]
}

#[test]
fn what_is_whole_is_counted() {
    let compared = restored().compared();
    assert_eq!(compared.findings.verdict(), None);
    assert_eq!(compared.counted, Counted { mailboxes: 0, messages: 5, files: 6, read: 0 });
    let names: Vec<_> = compared.mailboxes.iter().map(|entry| entry.mailbox.as_deref()).collect();
    assert_eq!(names, [None, Some("an@x.vn"), Some("binh@x.vn")]);
    assert_eq!(compared.head.unwrap().run, "r");
}

#[test]
fn a_message_without_its_file_or_with_another_names_its_mailbox() {
    let restored = restored();
    fs::remove_file(restored.inbox.join("2.")).unwrap();
    assert_eq!(restored.compared().findings.verdict(), None, "it was expunged");
    fs::write(restored.inbox.join("3."), "thre3").unwrap();
    assert_eq!(restored.reason(), ("FilesDiffer".into(), an()));
    fs::write(restored.inbox.join("3."), "shorter").unwrap();
    assert_eq!(restored.reason(), ("FilesDiffer".into(), an()));
    fs::remove_file(restored.inbox.join("1.")).unwrap();
    assert_eq!(restored.reason(), ("FilesMissing".into(), an()));
    let failed = restored.compared().findings.verdict().unwrap();
    assert_eq!(
        failed.message,
        "1 message has no file (an@x.vn: the file of UID 1 in folder ab1). \
         1 message has another file (an@x.vn: 7 bytes in place of 5 of UID 3 in folder ab1)"
    );
    fs::remove_dir_all(&restored.inbox).unwrap();
    assert_eq!(restored.reason(), ("FilesMissing".into(), an()));
}

#[test]
fn a_manifest_that_is_damaged_is_told_and_the_others_are_compared() {
    let restored = restored();
    let path = restored.manifest("mailboxes/an@x.vn.jsonl.zst");
    fs::copy(restored.manifest("mailboxes/binh@x.vn.jsonl.zst"), &path).unwrap();
    assert_eq!(restored.reason(), ("ManifestDamaged".into(), an()));
    let compared = restored.compared();
    assert_eq!((compared.mailboxes.len(), compared.counted.files), (2, 2));
    fs::remove_file(path).unwrap();
    assert_eq!(restored.reason(), ("ManifestDamaged".into(), an()));
    fs::write(restored.manifest(INDEX), "").unwrap();
    let compared = restored.compared();
    assert!(compared.head.is_none() && compared.mailboxes.is_empty());
    assert_eq!(restored.reason(), ("ManifestDamaged".into(), vec![]));
}

#[test]
fn a_folder_that_no_manifest_has_is_told() {
    let restored = restored();
    let other = put(&restored.scratch.restored, "ae5", "x.vn!user.an.Other", &[(0, "six")]);
    assert_eq!(restored.reason(), ("MailboxesDiffer".into(), vec![]));
    fs::remove_file(other.join("cyrus.index")).unwrap();
    assert_eq!(restored.compared().findings.verdict(), None, "what has no index is no folder");
}

#[test]
fn it_ends_when_it_is_asked_to() {
    let mut told = Vec::new();
    let ended = compare(&restored().scratch, |counted, all| {
        told.push((counted.messages, all));
        told.len() < 2
    });
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::Interrupted);
    assert_eq!(told, [(1, 5), (4, 5)]);
}

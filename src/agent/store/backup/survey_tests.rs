use super::*;
use crate::{
    agent::store::backup::testing::{EXPUNGED, SEEN, UNLINKED, put, sha1},
    backup::manifest::{Contents, Counts, IndexReader, MailboxReader},
    wire::cyrus::testing::header,
};

fn head() -> Head {
    Head { system: "mail/x".into(), shard: 0, pod: "p".into(), run: "r".into(), frozen: 1, lag: None }
}

fn surveyed(root: &Path, depth: Depth) -> Survey {
    survey(root, &head(), depth, |_| true).unwrap()
}

fn entries(root: &Path) -> Vec<Entry> {
    let mut reader = IndexReader::new(File::open(root.join("manifest").join(INDEX)).unwrap()).unwrap();
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

fn contents(root: &Path, entry: &Entry) -> Contents {
    let bytes = fs::read(root.join("manifest").join(&entry.file)).unwrap();
    assert_eq!(hex(&Sha256::digest(&bytes)), entry.sha256);
    MailboxReader::new(bytes.as_slice()).unwrap().contents().unwrap()
}

#[test]
fn a_spool_becomes_a_file_for_each_mailbox_and_the_same_one_next_time() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    put(root, "ab1", "x.vn!user.an", &[(SEEN, "one"), (EXPUNGED, "two"), (EXPUNGED | UNLINKED, "3")]);
    put(root, "ab2", "x.vn!user.an.Sent", &[(0, "sent")]);
    put(root, "ac3", "x.vn!DELETED.user.an.Old.6B04D33E", &[(0, "old")]);
    put(root, "ad4", "x.vn!user.binh", &[]);
    let survey = surveyed(root, Depth::Digest);
    let counts = Counts { folders: 4, messages: 3, expunged: 1, bytes: 10 };
    assert_eq!(survey.frozen, Frozen { mailboxes: 2, counts, found: 4, ..Frozen::default() });
    assert_eq!(survey.problems, []);
    let all = entries(root);
    let names: Vec<_> = all.iter().map(|entry| entry.mailbox.as_deref().unwrap()).collect();
    assert_eq!(names, ["an@x.vn", "binh@x.vn"]);
    let an = contents(root, &all[0]);
    let folders: Vec<_> =
        an.folders.iter().map(|(it, _)| (it.folder.as_str(), it.deleted, it.uid_validity)).collect();
    assert_eq!(folders, [("Old", true, 7), ("INBOX", false, 7), ("Sent", false, 7)]);
    let one = Message {
        uid: 1,
        guid: Guid(sha1("one")),
        date: 101,
        size: 3,
        flags: vec!["\\Seen".into(), "$B".into()],
        expunged: false,
    };
    assert_eq!(an.folders[1].1[0], one);
    assert!(
        an.folders[1].1[1].expunged && an.folders[1].1.len() == 2,
        "what has no file any more is not listed"
    );
    surveyed(root, Depth::Present);
    assert_eq!(entries(root), all);
}

#[test]
fn a_message_without_its_file_or_with_another_is_told_with_its_mailbox() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let path =
        put(root, "ab1", "x.vn!user.an", &[(0, "one"), (0, "two"), (0, "six"), (EXPUNGED, "gone"), (0, "5")]);
    fs::remove_file(path.join("1.")).unwrap();
    fs::write(path.join("2."), "longer").unwrap();
    fs::write(path.join("3."), "siy").unwrap();
    fs::remove_file(path.join("4.")).unwrap();
    let problem = |what| Problem { mailbox: Some("an@x.vn".into()), folder: "ab1".into(), what };
    let mut expected = vec![
        problem(Wrong::Missing { uid: 1, expunged: false }),
        problem(Wrong::Size { uid: 2, is: 6 }),
        problem(Wrong::Digest { uid: 3, is: Guid(sha1("siy")) }),
        problem(Wrong::Missing { uid: 4, expunged: true }),
    ];
    let survey = surveyed(root, Depth::Digest);
    assert_eq!(survey.problems, expected);
    assert_eq!((survey.frozen.found, survey.frozen.wrong, survey.frozen.cleaned), (1, 3, 1));
    let survey = surveyed(root, Depth::Present);
    expected.remove(2);
    assert_eq!((survey.problems, survey.frozen.found, survey.frozen.wrong), (expected, 2, 2));
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_the_others_are_there() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let torn = put(root, "ab1", "x.vn!user.an", &[(0, "one")]);
    let index = fs::read(torn.join("cyrus.index")).unwrap();
    fs::write(torn.join("cyrus.index"), &index[..200]).unwrap();
    let nameless = put(root, "ab2", "x.vn!user.an.Sent", &[]);
    fs::write(nameless.join("cyrus.header"), "x").unwrap();
    let other = put(root, "ab3", "x.vn!user.an.Other", &[]);
    fs::write(other.join("cyrus.header"), header("x.vn!user.an.Other")).unwrap();
    let empty = put(root, "ab4", "x.vn!user.an.Empty", &[]);
    for file in ["cyrus.header", "cyrus.index"] {
        fs::remove_file(empty.join(file)).unwrap();
    }
    put(root, "ad4", "x.vn!user.binh", &[(0, "two")]);
    let survey = surveyed(root, Depth::Present);
    assert_eq!((survey.frozen.unread, survey.frozen.counts.messages, survey.frozen.mailboxes), (3, 1, 2));
    let told: Vec<_> = survey.problems.iter().map(|it| (it.mailbox.as_deref(), it.folder.as_str())).collect();
    assert_eq!(told, [(None, "ab2"), (Some("an@x.vn"), "ab1"), (Some("an@x.vn"), "ab3")]);
}

#[test]
fn it_ends_when_it_is_asked_to_and_a_store_without_mailboxes_has_a_manifest() {
    let root = tempfile::tempdir().unwrap();
    let survey = surveyed(root.path(), Depth::Present);
    assert_eq!((survey.frozen, entries(root.path())), (Frozen::default(), vec![]));
    put(root.path(), "ad4", "x.vn!user.binh", &[(0, "two")]);
    put(root.path(), "ad5", "x.vn!user.an", &[(0, "two")]);
    let mut told = Vec::new();
    let ended = super::survey(root.path(), &head(), Depth::Present, |progress| {
        told.push(progress);
        false
    });
    assert_eq!(
        (ended.unwrap_err().kind(), told),
        (ErrorKind::Interrupted, vec![Progress { mailboxes: 1, of: 2, messages: 1 }])
    );
}

//! Whole runs, from the volume to the verdict.

use std::{
    fs::{self, File},
    sync::{Arc, Mutex},
};

use mail_operator::{
    agent::store::backup::{
        check::{Depth, Wrong, wrong},
        run::{Job, Phase, Progress, Report, run},
    },
    backup::{
        judge::Reason,
        manifest::{Change, Contents, Head, INDEX, IndexReader, MailboxReader, difference},
        restic::{Reason as EngineReason, Restore, SnapshotId},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    repository::{Repo, control},
    volume::{Volume, contents},
};

struct Store {
    repo: Repo,
    volume: Volume,
}

fn store() -> Store {
    let repo = Repo::new();
    let volume = Volume::new(repo.path("data"));
    volume.put("ab1", "x.vn!user.an", &["one", "two", "three"]);
    volume.put("ab2", "x.vn!user.an.Sent", &["sent"]);
    volume.put("cd1", "x.vn!user.binh", &["four"]);
    Store { repo, volume }
}

impl Store {
    fn job(&self, run: &str) -> Job {
        Job {
            volume: self.volume.0.clone(),
            head: Head {
                system: "mail/province".into(),
                shard: 0,
                pod: "province-store-0-1".into(),
                run: run.into(),
                frozen: 0,
                lag: Some(58),
            },
            host: "province-store-0".into(),
            restic: self.repo.restic.clone(),
            create: true,
            alone: true,
            expected: Vec::new(),
            depth: Depth::Digest,
            mailboxes: None,
            objects: None,
        }
    }

    async fn run(&self, name: &str) -> Report {
        run(self.job(name), CancellationToken::new(), quiet()).await
    }

    async fn restored(&self, snapshot: SnapshotId, target: &str) -> std::path::PathBuf {
        let target = self.repo.path(target);
        let restore = Restore { snapshot, paths: Vec::new(), target: target.clone() };
        self.repo.restic.restore(restore, &mut control()).await.unwrap();
        target
    }
}

fn quiet() -> Progress {
    Arc::new(|_| ())
}

/// The manifests of a restored snapshot.
pub(crate) fn manifests(root: &std::path::Path) -> (Head, Vec<Contents>) {
    let folder = root.join("manifest");
    let mut index = IndexReader::new(File::open(folder.join(INDEX)).unwrap()).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = index.next_entry().unwrap() {
        all.push(
            MailboxReader::new(File::open(folder.join(entry.file)).unwrap()).unwrap().contents().unwrap(),
        );
    }
    (index.head().clone(), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stores_the_volume_and_its_manifest_and_leaves_nothing_behind() {
    let store = store();
    let before = contents(&store.volume.0);
    let phases = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&phases);
    let progress: Progress = Arc::new(move |phase| told.lock().unwrap().push(phase));
    let report = run(store.job("r1"), CancellationToken::new(), progress).await;
    let id = report.verdict.outcome.unwrap();
    assert_eq!((report.frozen.mailboxes, report.frozen.counts.messages, report.frozen.found), (2, 5, 5));
    assert_eq!((report.problems.len(), report.lacking.len()), (0, 0));
    assert_eq!(contents(&store.volume.0), before);
    let phases = phases.lock().unwrap().clone();
    let order = [Phase::Opening, Phase::Freezing, Phase::Checking]
        .map(|it| phases.iter().position(|at| *at == it).unwrap());
    assert!(order.is_sorted() && phases.iter().any(|it| matches!(it, Phase::Storing(_))), "{phases:?}");

    let root = store.restored(id, "out").await;
    let stored = contents(&root);
    for (name, content) in &before {
        assert_eq!(stored.iter().find(|(it, _)| it == name).map(|(_, it)| it), Some(content), "{name}");
    }
    let (head, mailboxes) = manifests(&root);
    assert_eq!((head.run.as_str(), head.lag), ("r1", Some(58)));
    let folders: Vec<_> = mailboxes
        .iter()
        .flat_map(|it| &it.folders)
        .map(|(it, all)| (it.folder.as_str(), all.len()))
        .collect();
    assert_eq!(folders, [("INBOX", 3), ("Sent", 1), ("INBOX", 1)]);
    for (folder, messages) in mailboxes.iter().flat_map(|it| &it.folders) {
        let path = root.join("spool/uuid").join(&folder.id[..1]).join(&folder.id[1..2]).join(&folder.id);
        for message in messages {
            assert_eq!(wrong(&path, message, Depth::Digest), None);
            assert_eq!(message.flags, ["\\Seen", "$Label1"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_stores_what_is_new_and_a_manifest_tells_the_difference() {
    let store = store();
    let first = store.run("r1").await.verdict.outcome.unwrap();
    store.volume.put("cd1", "x.vn!user.binh", &["four", "five"]);
    let mut job = store.job("r2");
    job.expected = vec![first.clone()];
    let report = run(job, CancellationToken::new(), quiet()).await;
    let summary = report.summary.unwrap();
    assert_eq!(summary.total_files_processed, report.frozen.files);
    // A message, and nothing of the other mailbox is stored again but what Cyrus may change.
    assert_eq!(summary.files_new, 1, "{summary:?}");
    assert_eq!(report.verdict.vanished, []);
    let second = report.verdict.outcome.unwrap();
    let (_, before) = manifests(&store.restored(first, "first").await);
    let (_, after) = manifests(&store.restored(second, "second").await);
    assert_eq!(difference(&before[0], &after[0]), []);
    let changes = difference(&before[1], &after[1]);
    assert!(
        matches!(changes.as_slice(), [Change::New(folder, message)] if folder.id == "cd1" && message.uid == 2),
        "{changes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_its_file_makes_no_success_and_its_mailbox_is_named() {
    let store = store();
    fs::remove_file(store.volume.folder("ab2").join("1.")).unwrap();
    fs::write(store.volume.folder("cd1").join("1."), "fuor").unwrap();
    let report = store.run("r1").await;
    let (reason, message) = report.verdict.outcome.unwrap_err();
    assert_eq!((reason, report.frozen.wrong), (Reason::Incomplete, 2), "{message}");
    assert_eq!(report.lacking.into_iter().collect::<Vec<_>>(), ["an@x.vn", "binh@x.vn"]);
    assert!(matches!(report.problems[0].what, Wrong::Missing { uid: 1, expunged: false }));
    assert!(matches!(report.problems[1].what, Wrong::Digest { uid: 1, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_mailboxes_is_no_backup() {
    let repo = Repo::new();
    let volume = Volume::new(repo.path("data"));
    let report = Store { repo, volume }.run("r1").await;
    assert_eq!(report.verdict.outcome.unwrap_err().0, Reason::Empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_somebody_deleted_are_noticed() {
    let store = store();
    let first = store.run("r1").await.verdict.outcome.unwrap();
    fs::remove_file(store.repo.path("repository/snapshots").join(first.as_str())).unwrap();
    let mut job = store.job("r2");
    job.expected = vec![first.clone()];
    let report = run(job, CancellationToken::new(), quiet()).await;
    assert!(report.verdict.outcome.is_ok());
    assert_eq!(report.verdict.vanished, [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_frozen_for_a_repository_that_cannot_be_used_and_none_is_made_where_snapshots_are_expected()
 {
    let store = store();
    let engine = |report: Report| match report.verdict.outcome.unwrap_err().0 {
        Reason::Engine(reason) => reason,
        other => panic!("{other}"),
    };
    let mut job = store.job("r1");
    job.expected = vec![SnapshotId::parse(&"a".repeat(64)).unwrap()];
    assert_eq!(engine(run(job, CancellationToken::new(), quiet()).await), EngineReason::RepositoryMissing);
    let mut job = store.job("r1");
    job.create = false;
    assert_eq!(engine(run(job, CancellationToken::new(), quiet()).await), EngineReason::RepositoryMissing);
    assert!(!store.repo.path("repository").exists());
    assert!(store.run("r1").await.verdict.outcome.is_ok());
    fs::write(store.repo.path("password"), "another").unwrap();
    let phases = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&phases);
    let progress: Progress = Arc::new(move |phase| told.lock().unwrap().push(phase));
    let report = run(store.job("r2"), CancellationToken::new(), progress).await;
    assert_eq!(engine(report), EngineReason::WrongPassword);
    assert_eq!(*phases.lock().unwrap(), [Phase::Opening]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_lost_a_pack_is_no_place_for_a_success() {
    let store = store();
    assert!(store.run("r1").await.verdict.outcome.is_ok());
    fs::remove_file(&store.repo.files("data")[0]).unwrap();
    let report = store.run("r2").await;
    let (reason, message) = report.verdict.outcome.unwrap_err();
    assert_eq!(reason, Reason::Engine(EngineReason::RepositoryDamaged), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_interrupted_goes_on_with_what_it_froze() {
    let store = store();
    let cancel = CancellationToken::new();
    let ends = cancel.clone();
    let progress: Progress = Arc::new(move |phase| {
        if matches!(phase, Phase::Surveying(at) if at.mailboxes == at.of) {
            ends.cancel();
        }
    });
    let report = run(store.job("r1"), cancel, progress).await;
    assert_eq!(report.verdict.outcome.unwrap_err().0, Reason::Engine(EngineReason::Cancelled));
    let taken = store.volume.0.join(".frozen/r1/taken.json");
    let head: Head = serde_json::from_slice(&fs::read(taken).unwrap()).unwrap();
    // Mail goes on; the run is as of then.
    store.volume.put("cd1", "x.vn!user.binh", &["four", "five"]);
    let report = store.run("r1").await;
    assert_eq!(report.frozen.counts.messages, 5);
    let root = store.restored(report.verdict.outcome.unwrap(), "out").await;
    assert_eq!(manifests(&root).0, head);
    assert!(!root.join("taken.json").exists());
    assert!(!store.volume.0.join(".frozen").exists());
    // Another run does not take what an old one left.
    fs::create_dir_all(store.volume.0.join(".frozen/r0/spool")).unwrap();
    let report = store.run("r2").await;
    assert_eq!((report.verdict.outcome.is_ok(), report.frozen.counts.messages), (true, 6));
}

//! What restic does when all is well, and what it passes over.

use std::{fs, os::unix::fs::PermissionsExt};

use mail_operator::backup::restic::{Place, Reason, Restore, SnapshotId, Subset};

use crate::repository::{Repo, control, program};

fn nobody() -> SnapshotId {
    SnapshotId::parse(&"f".repeat(64)).unwrap()
}

#[tokio::test]
async fn a_repository_is_made_once_and_never_over_another() {
    let repo = Repo::new();
    let missing = repo.restic.snapshots(&mut control()).await.unwrap_err();
    assert_eq!(missing.reason, Reason::RepositoryMissing, "{missing}");
    let id = repo.restic.init(&mut control()).await.unwrap();
    let config = fs::read(repo.path("repository/config")).unwrap();
    let again = repo.restic.init(&mut control()).await.unwrap_err();
    assert_eq!(again.reason, Reason::RepositoryExists, "{again}");
    assert_eq!(fs::read(repo.path("repository/config")).unwrap(), config);
    assert_eq!((id.len(), repo.restic.snapshots(&mut control()).await.unwrap()), (64, vec![]));
}

#[tokio::test]
async fn another_password_opens_nothing_and_without_one_nothing_is_begun() {
    let (repo, _) = Repo::filled().await;
    fs::write(repo.path("password"), "another").unwrap();
    let wrong = repo.restic.snapshots(&mut control()).await.unwrap_err();
    assert_eq!(wrong.reason, Reason::WrongPassword, "{wrong}");
    assert_eq!(repo.backup(None).await.outcome.unwrap_err().reason, Reason::WrongPassword);
    assert_eq!(
        repo.restic.check(Subset::Nothing, &mut control()).await.unwrap_err().reason,
        Reason::WrongPassword
    );
    let over = repo.restic.init(&mut control()).await.unwrap_err();
    assert_eq!(over.reason, Reason::RepositoryExists, "never another one over it");
    for content in [Some(" \n"), None] {
        match content {
            Some(text) => fs::write(repo.path("password"), text).unwrap(),
            None => fs::remove_file(repo.path("password")).unwrap(),
        }
        let without = repo.restic.init(&mut control()).await.unwrap_err();
        assert_eq!(without.reason, Reason::CredentialsMissing, "{without}");
    }
}

#[tokio::test]
async fn what_was_stored_comes_back_and_anyones_restic_reads_it() {
    let (repo, id) = Repo::filled().await;
    let snapshots = repo.restic.snapshots(&mut control()).await.unwrap();
    assert_eq!(
        (&snapshots[0].id, snapshots[0].hostname.as_str(), snapshots[0].tags.join(" ")),
        (&id, "store-0", "run=1".into())
    );
    assert_eq!(snapshots[0].summary.unwrap().total_files_processed, 3);
    let listed = repo.stock(&["ls", id.as_str()]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|line| line == "/mail/2."), "seen from the root: {listed}");

    let restore = |paths: &[&str], target: &str| Restore {
        snapshot: id.clone(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        target: repo.path(target),
    };
    let all = repo.restic.restore(restore(&[], "all"), &mut control()).await.unwrap();
    assert_eq!(all.bytes_restored, 900_000);
    repo.restic.restore(restore(&["/mail/1."], "one"), &mut control()).await.unwrap();
    let original = fs::read(repo.path("source/mail/1.")).unwrap();
    assert_eq!(fs::read(repo.path("all/mail/1.")).unwrap(), original);
    assert_eq!(fs::read(repo.path("one/mail/1.")).unwrap(), original);
    assert!(!repo.path("one/mail/2.").exists());
}

#[tokio::test]
async fn names_with_signs_of_patterns_are_only_names() {
    let repo = Repo::made().await;
    for name in ["mail/a[1]*.x", "mail/a1b.x", "mail/a[1]b.x"] {
        repo.put(name, name.as_bytes());
    }
    let snapshot = repo.backup(None).await.snapshot.unwrap();
    let restore = Restore { snapshot, paths: vec!["/mail/a[1]*.x".into()], target: repo.path("out") };
    repo.restic.restore(restore, &mut control()).await.unwrap();
    let names: Vec<_> =
        fs::read_dir(repo.path("out/mail")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["a[1]*.x"]);
}

#[tokio::test]
async fn what_is_not_there_is_a_failure_though_restic_says_that_all_is_well() {
    let (repo, id) = Repo::filled().await;
    let mut task = repo.task(None);
    task.names.push("spool".into());
    let run = repo.restic.backup(task, &mut control()).await;
    assert_eq!(run.outcome.unwrap_err().reason, Reason::PartiallyFailed);
    let restore = |snapshot: SnapshotId, paths: &[&str]| Restore {
        snapshot,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        target: repo.path("out"),
    };
    for paths in [&["/mail/9."][..], &["/mail/1.", "/mail/9."]] {
        let nothing = repo.restic.restore(restore(id.clone(), paths), &mut control()).await.unwrap_err();
        assert_eq!(nothing.reason, Reason::NothingMatches, "{nothing}");
        assert!(nothing.message.contains("/mail/9."), "{nothing}");
    }
    let unknown = repo.restic.restore(restore(nobody(), &[]), &mut control()).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::SnapshotMissing, "{unknown}");
    let forgotten = repo.restic.forget(&[nobody()], &mut control()).await.unwrap_err();
    assert_eq!(forgotten.reason, Reason::SnapshotMissing, "{forgotten}");
}

#[tokio::test]
async fn only_what_is_named_is_forgotten() {
    let (repo, first) = Repo::filled().await;
    repo.put("mail/4.", b"new");
    let second = repo.backup(Some(first.clone())).await;
    let summary = second.summary.unwrap();
    assert_eq!((summary.files_new, summary.files_changed, summary.total_files_processed), (1, 0, 4));
    repo.restic.forget(&[], &mut control()).await.unwrap();
    assert_eq!(repo.restic.snapshots(&mut control()).await.unwrap().len(), 2);
    repo.restic.forget(&[first], &mut control()).await.unwrap();
    repo.restic.prune(&mut control()).await.unwrap();
    let left: Vec<_> =
        repo.restic.snapshots(&mut control()).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(left, [second.snapshot.unwrap()]);
    let report = repo.restic.check(Subset::Everything, &mut control()).await.unwrap();
    assert_eq!(report.outcome, Ok(()));
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named_and_the_backup_is_partial() {
    let mut repo = Repo::new();
    let as_nobody = format!("exec setpriv --reuid=65534 --clear-groups {} \"$@\"", program().display());
    repo.stub(&as_nobody);
    // It has to reach everything but the one file.
    for folder in [repo.folder.path().to_owned(), repo.path("source")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let copied = repo.path("restic");
    fs::copy(program(), &copied).unwrap();
    repo.stub(&as_nobody.replace(&program().display().to_string(), &copied.display().to_string()));
    repo.restic.init(&mut control()).await.unwrap();
    repo.put("mail/1.", b"one");
    repo.put("mail/2.", b"two");
    fs::set_permissions(repo.path("source/mail/2."), fs::Permissions::from_mode(0o600)).unwrap();
    let run = repo.backup(None).await;
    let failure = run.outcome.unwrap_err();
    assert_eq!(failure.reason, Reason::PartiallyFailed, "{failure}");
    assert!(run.items.iter().any(|item| item.path.ends_with("/mail/2.")), "{:?}", run.items);
    assert!(run.snapshot.is_some() && run.summary.unwrap().total_files_processed == 1);
}

#[tokio::test]
async fn the_password_is_in_no_process_list_and_the_agents_environment_in_no_child() {
    let mut repo = Repo::new();
    repo.stub("tr '\\0' '\\n' </proc/$$/cmdline >\"$0.cmdline\"; env >\"$0.env\"; echo '{\"message_type\":\"initialized\",\"id\":\"x\"}'");
    repo.restic.init(&mut control()).await.unwrap();
    let said = fs::read_to_string(repo.path("stub.cmdline")).unwrap()
        + &fs::read_to_string(repo.path("stub.env")).unwrap();
    assert!(said.contains("RESTIC_PASSWORD_FILE=") && !said.contains("CARGO"), "{said}");
    assert!(!said.contains("mật khẩu"), "{said}");
}

#[tokio::test]
async fn a_restic_that_is_missing_or_too_old_is_told() {
    let mut repo = Repo::new();
    assert!(repo.restic.version(&mut control()).await.unwrap().starts_with("0."));
    for script in ["echo '{\"version\":\"0.16.5\"}'", "echo restic 0.14.0 compiled with go1.19.8", "exit 1"] {
        repo.stub(script);
        let old = repo.restic.version(&mut control()).await.unwrap_err();
        assert_eq!(old.reason, Reason::EngineUnusable, "{script}: {old}");
    }
    repo.restic.engine.program = repo.path("none");
    assert_eq!(repo.restic.init(&mut control()).await.unwrap_err().reason, Reason::EngineUnusable);
    repo.restic.repository.place = Place::Folder(repo.path("nothing"));
    repo.restic.engine.program = program().into();
    assert_eq!(
        repo.backup(None).await.outcome.unwrap_err().reason,
        Reason::PartiallyFailed,
        "there is no source"
    );
}

//! Runs that do not end by themselves.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use mail_operator::backup::restic::{Control, Progress, Reason};
use tokio_util::sync::CancellationToken;

use crate::{
    repository::{Repo, cancelled_by, control},
    s3::until,
};

/// Whether a process is gone whose id is in this file.
fn is_gone(file: &Path) -> bool {
    let id = fs::read_to_string(file).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    !id.trim().is_empty() && (stat.is_empty() || stat.contains(") Z "))
}

#[tokio::test]
async fn a_run_that_is_cancelled_leaves_no_lock_and_no_snapshot() {
    let repo = Repo::made().await;
    let large = repo.path("source/mail");
    fs::create_dir_all(&large).unwrap();
    fs::File::create(large.join("1.")).unwrap().set_len(64 << 30).unwrap();
    let cancel = CancellationToken::new();
    let mut told = |progress: Progress| {
        if progress.bytes > 0 {
            cancel.cancel();
        }
    };
    let mut control = Control { cancel: cancel.clone(), progress: &mut told };
    let run = repo.restic.backup(repo.task(None), &mut control).await;
    assert_eq!(run.outcome.unwrap_err().reason, Reason::Cancelled);
    assert!(repo.files("locks").is_empty() && repo.files("snapshots").is_empty());
}

#[tokio::test]
async fn one_that_hears_nothing_is_killed_with_all_that_it_started() {
    let mut repo = Repo::made().await;
    repo.put("mail/1.", b"one");
    repo.stub("trap '' INT TERM; (trap '' INT TERM; echo $BASHPID >\"$0.child\"; sleep 600) & echo $$ >\"$0.pid\"; wait; sleep 600");
    repo.restic.engine.grace = Duration::from_millis(300);
    let cancel = CancellationToken::new();
    let ready = async {
        until("it runs", async || repo.path("stub.pid").exists() && repo.path("stub.child").exists()).await;
        cancel.cancel();
    };
    let mut control = cancelled_by(cancel.clone());
    let (run, ()) = tokio::join!(repo.restic.backup(repo.task(None), &mut control), ready);
    assert_eq!(run.outcome.unwrap_err().reason, Reason::Cancelled);
    until("both are gone", async || is_gone(&repo.path("stub.pid")) && is_gone(&repo.path("stub.child")))
        .await;
}

#[tokio::test]
async fn one_that_nobody_follows_any_more_does_not_go_on() {
    let mut repo = Repo::made().await;
    repo.put("mail/1.", b"one");
    repo.stub("sleep 600 & echo $! >\"$0.child\"; echo $$ >\"$0.pid\"; wait");
    let mut control = control();
    let work = repo.restic.backup(repo.task(None), &mut control);
    let ready = until("it runs", async || repo.path("stub.pid").exists());
    tokio::select! {
        run = work => panic!("it ended: {run:?}"),
        () = ready => {}
    }
    until("both are gone", async || is_gone(&repo.path("stub.pid")) && is_gone(&repo.path("stub.child")))
        .await;
}

#[tokio::test]
async fn without_progress_a_run_ends_and_with_some_it_goes_on() {
    let mut repo = Repo::made().await;
    repo.put("mail/1.", b"one");
    repo.restic.engine.stall = Duration::from_secs(2);
    // It says the same all the time, and starts nothing: what a shell's children read counts as its own.
    let pause = "mkfifo \"$0.pipe\" 2>/dev/null; exec 3<>\"$0.pipe\"; pause() { read -r -t 0.1 -u 3 x; }";
    let says =
        |bytes: &str| format!("echo '{{\"message_type\":\"status\",\"bytes_done\":'{bytes}'}}'; pause");
    repo.stub(&format!("{pause}; while :; do {}; done", says("7")));
    let began = Instant::now();
    let failure = repo.backup(None).await.outcome.unwrap_err();
    assert_eq!(failure.reason, Reason::Stalled);
    assert!(failure.message.starts_with("no progress for 2 seconds"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(20));
    // A byte more each time, for longer than it may rest.
    repo.stub(&format!("{pause}; for n in {{1..50}}; do {}; done; exit 3", says("$n")));
    let failure = repo.backup(None).await.outcome.unwrap_err();
    assert_eq!(failure.reason, Reason::PartiallyFailed, "{failure}");
    // It tells nothing, and reads: a shell that includes a large file over and over.
    fs::write(repo.path("large"), format!(": {}\n", "x".repeat(100_000))).unwrap();
    repo.stub(&format!("{pause}; for n in {{1..50}}; do . \"${{0%/*}}/large\"; pause; done; exit 11"));
    let failure = repo.backup(None).await.outcome.unwrap_err();
    assert_eq!(failure.reason, Reason::RepositoryLocked, "{failure}");
}

#[tokio::test]
async fn one_that_something_else_kills_is_told_as_killed() {
    let mut repo = Repo::made().await;
    repo.put("mail/1.", b"one");
    repo.stub("kill -9 $$");
    let failure = repo.backup(None).await.outcome.unwrap_err();
    assert_eq!((failure.reason, failure.message.as_str()), (Reason::Killed, "restic was ended by signal 9"));
}

#[tokio::test]
async fn a_flood_of_words_is_no_trouble() {
    let mut repo = Repo::made().await;
    repo.put("mail/1.", b"one");
    repo.stub("yes 'a line of words that goes on' | head -n 200000 >&2; head -c 3000000 /dev/zero | tr '\\0' x; exit 12");
    assert_eq!(repo.backup(None).await.outcome.unwrap_err().reason, Reason::WrongPassword);
}

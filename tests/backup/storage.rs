//! Repositories in object storage.

use std::time::{Duration, Instant};

use mail_operator::backup::restic::{Place, Reason, Subset};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use crate::{
    repository::{Repo, cancelled_by, control, noise},
    s3::{BUCKET, ID, S3, until},
};

/// A repository on a server; its folder holds the password and what is stored.
fn on(s3: &S3, bucket: &str) -> Repo {
    let mut repo = Repo::new();
    repo.restic.repository.place = Place::Bucket(s3.location(bucket), s3.folder.path().join("credentials"));
    repo.restic.engine.stall = Duration::from_secs(4);
    repo.restic.engine.grace = Duration::from_secs(1);
    repo.put("mail/1.", &noise(300_000));
    repo
}

async fn reason(repo: &Repo) -> Reason {
    repo.restic.snapshots(&mut control()).await.unwrap_err().reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_a_repository_under_its_prefix_and_tls_is_checked() {
    let s3 = S3::start_with_tls().await;
    let repo = on(&s3, BUCKET);
    assert_eq!(reason(&repo).await, Reason::Unreachable, "nobody trusts it yet");
    s3.trust();
    assert_eq!(reason(&repo).await, Reason::RepositoryMissing);
    repo.restic.init(&mut control()).await.unwrap();
    let run = repo.backup(None).await;
    assert_eq!(run.outcome, Ok(()));
    let listed = repo.restic.snapshots(&mut control()).await.unwrap();
    assert_eq!(Some(&listed[0].id), run.snapshot.as_ref());
    assert_eq!(repo.restic.check(Subset::Everything, &mut control()).await.unwrap().outcome, Ok(()));
    let config = s3.folder.path().join("objects").join(BUCKET).join("mail/system/config");
    assert!(config.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_told_at_once_and_missing_ones_before() {
    let s3 = S3::start().await;
    let repo = on(&s3, BUCKET);
    repo.restic.init(&mut control()).await.unwrap();
    let began = Instant::now();
    s3.credentials(ID, "another secret");
    assert_eq!(reason(&repo).await, Reason::CredentialsRefused);
    s3.credentials("somebody", "another secret");
    assert_eq!(reason(&repo).await, Reason::CredentialsRefused);
    assert_eq!(repo.backup(None).await.outcome.unwrap_err().reason, Reason::CredentialsRefused);
    assert!(began.elapsed() < Duration::from_secs(30));
    s3.credentials("", "");
    assert_eq!(reason(&repo).await, Reason::CredentialsMissing);
    // New ones count at the next run.
    s3.right_credentials();
    assert_eq!(repo.backup(None).await.outcome, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_not_made() {
    let s3 = S3::start().await;
    let repo = on(&s3, "another");
    assert_eq!(reason(&repo).await, Reason::BucketMissing);
    assert_eq!(repo.restic.init(&mut control()).await.unwrap_err().reason, Reason::BucketMissing);
    assert!(!s3.folder.path().join("objects/another").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_silent_does_not_hold_a_run() {
    let mut s3 = S3::start().await;
    let repo = on(&s3, BUCKET);
    repo.restic.init(&mut control()).await.unwrap();
    s3.kill();
    let began = Instant::now();
    assert_eq!(reason(&repo).await, Reason::Unreachable);
    s3.run().await;
    s3.signal(Signal::STOP);
    assert_eq!(reason(&repo).await, Reason::Unreachable);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    s3.signal(Signal::CONT);
    assert_eq!(repo.backup(None).await.outcome, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_while_files_are_stored_makes_a_failure_and_the_next_run_succeeds() {
    let mut s3 = S3::start().await;
    let repo = on(&s3, BUCKET);
    repo.restic.init(&mut control()).await.unwrap();
    for n in 0..60 {
        repo.put(&format!("mail/{n}."), &noise(4_000_000));
    }
    let objects = s3.folder.path().join("objects").join(BUCKET).join("mail/system/data");
    let packs = || {
        objects
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .any(|it| it.path().read_dir().is_ok_and(|mut it| it.next().is_some()))
    };
    let mut following = control();
    let (run, ()) = tokio::join!(repo.restic.backup(repo.task(None), &mut following), async {
        until("a pack is stored", async || packs()).await;
        s3.kill();
    });
    assert_eq!(run.outcome.unwrap_err().reason, Reason::Unreachable);
    s3.run().await;
    repo.restic.unlock(true, &mut control()).await.unwrap();
    let again = repo.backup(None).await;
    assert_eq!(again.outcome, Ok(()));
    assert_eq!(repo.restic.check(Subset::Everything, &mut control()).await.unwrap().outcome, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_while_the_server_is_silent_ends_within_its_grace() {
    let s3 = S3::start().await;
    let repo = on(&s3, BUCKET);
    repo.restic.init(&mut control()).await.unwrap();
    s3.signal(Signal::STOP);
    let cancel = CancellationToken::new();
    let mut following = cancelled_by(cancel.clone());
    let began = Instant::now();
    let (run, ()) = tokio::join!(repo.restic.backup(repo.task(None), &mut following), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    });
    assert_eq!(run.outcome.unwrap_err().reason, Reason::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(10));
    s3.signal(Signal::CONT);
}

//! The journal's writer on a real S3 server: what is kept is there, whatever happens to the server; what is not kept is
//! refused in time; and what is wrong has a name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod audit;
mod s3;

use std::{collections::BTreeSet, path::Path};

use age::x25519::Identity;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use mail_operator::journal::{
    Entry, Head, JournalId, Segment,
    writer::{Durability, Journal, Settings, Unkept, new_id},
};
use s3::{BUCKET, S3, until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

struct Writer {
    journal: Journal,
    key: Identity,
    stop: CancellationToken,
    _work: AbortOnDropHandle<()>,
}

fn writer(s3: &S3, bucket: &str, durability: Durability) -> Writer {
    writer_at(s3, bucket, durability, &s3.folder.path().join("backlog"), 1 << 20)
}

fn writer_at(s3: &S3, bucket: &str, durability: Durability, backlog: &Path, backlog_limit: u64) -> Writer {
    let (key, stop) = (Identity::generate(), CancellationToken::new());
    let settings = Settings {
        pod: "mail-gateway-0".into(),
        durability,
        keys: vec![key.to_public()],
        backlog: backlog.to_owned(),
        backlog_limit,
    };
    let (journal, work) = Journal::open(settings, s3.storage(bucket), stop.clone()).unwrap();
    Writer { journal, key, stop, _work: AbortOnDropHandle::new(tokio::spawn(work)) }
}

fn entry(text: &str) -> (JournalId, Entry) {
    let id = new_id().unwrap();
    let head = Head {
        id,
        received: 1,
        login: None,
        sender: b"a@x.vn".to_vec(),
        recipients: vec![b"b@x.vn".to_vec()],
    };
    (id, Entry { head, message: vec![Bytes::from(format!("Subject: {text}\r\n\r\n"))] })
}

impl Writer {
    async fn keep(&self, text: &str) -> Result<JournalId, Unkept> {
        let (id, entry) = entry(text);
        self.journal.keep(entry).await.map(|()| id)
    }

    /// Ids in the segments of the server, each segment read with the key; numbers must have no gap.
    fn ids(&self, s3: &S3) -> BTreeSet<JournalId> {
        let mut ids = BTreeSet::new();
        for (expected, (name, content)) in (1..).zip(s3.segments()) {
            assert_eq!(name.number(), expected, "a number is missing");
            let mut segment =
                Segment::open(&name, content.as_slice(), std::slice::from_ref(&self.key)).unwrap();
            while let Some(head) = segment.head().unwrap() {
                let mut message = Vec::new();
                segment.message(&mut message).unwrap();
                assert!(message.starts_with(b"Subject: "));
                assert!(ids.insert(head.id), "an entry is there twice");
            }
        }
        ids
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_in_object_storage_and_many_entries_share_a_segment() {
    let s3 = S3::start().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    let mut kept = BTreeSet::new();
    let mut waiting: FuturesUnordered<_> = (0..500).map(|_| writer.keep("x")).collect();
    while let Some(id) = waiting.next().await {
        kept.insert(id.unwrap());
    }
    assert_eq!(writer.ids(&s3), kept);
    assert!(s3.segments().len() < 250, "{} segments", s3.segments().len());
    assert!(writer.journal.report().written);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_waits_for_a_server_that_comes_back_and_is_kept_once() {
    let mut s3 = S3::start().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    let first = writer.keep("x").await.unwrap();
    s3.kill();
    let (second, ()) = tokio::join!(writer.keep("y"), async {
        until("trouble is told", async || writer.journal.report().reason.as_deref() == Some("Unreachable"))
            .await;
        s3.run().await;
    });
    assert_eq!(writer.ids(&s3), [first, second.unwrap()].into());
    assert_eq!(writer.journal.report().reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn required_refuses_in_time_what_a_frozen_server_does_not_take() {
    let s3 = S3::start().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    writer.keep("x").await.unwrap();
    s3.signal(rustix::process::Signal::STOP);
    assert!(matches!(writer.keep("y").await, Err(Unkept::Late)));
    assert_eq!(writer.journal.report().reason.as_deref(), Some("Timeout"));
    s3.signal(rustix::process::Signal::CONT);
    writer.keep("z").await.unwrap();
    // What was refused may be there all the same: nobody was told that it was accepted.
    assert!(writer.ids(&s3).len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn preferred_keeps_on_the_volume_what_the_server_does_not_take_and_uploads_it_in_order() {
    let mut s3 = S3::start().await;
    let mut kept = BTreeSet::new();
    let writer = writer(&s3, BUCKET, Durability::Preferred);
    kept.insert(writer.keep("x").await.unwrap());
    s3.kill();
    for text in ["y", "z"] {
        kept.insert(writer.keep(text).await.unwrap());
    }
    let report = writer.journal.report();
    assert!(!report.written && report.backlog_segments == 2 && report.backlog_bytes > 0, "{report:?}");
    s3.run().await;
    until("the backlog is uploaded", async || writer.journal.report().backlog_segments == 0).await;
    kept.insert(writer.keep("w").await.unwrap());
    assert_eq!(writer.ids(&s3), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_survives_the_writer() {
    let mut s3 = S3::start().await;
    s3.kill();
    let first = writer(&s3, BUCKET, Durability::Preferred);
    let id = first.keep("x").await.unwrap();
    first.stop.cancel();
    s3.run().await;
    // Also one that requires object storage uploads what it finds.
    let second = writer(&s3, BUCKET, Durability::Required);
    until("the backlog is uploaded", async || second.journal.report().backlog_segments == 0).await;
    assert_eq!(first.ids(&s3), [id].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backlog_refuses() {
    let mut s3 = S3::start().await;
    s3.kill();
    let folder = s3.folder.path().join("small");
    let writer = writer_at(&s3, BUCKET, Durability::Preferred, &folder, 100);
    assert!(matches!(writer.keep("x").await, Err(Unkept::Late)));
    assert_eq!(writer.journal.report().reason.as_deref(), Some("BacklogUnusable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_known_before_mail_comes_and_has_the_servers_name() {
    let s3 = S3::start().await;
    let reason = async |writer: &Writer, expected: &str| {
        let is = async || {
            let report = writer.journal.report();
            let told = report.reason.as_deref() == Some(expected);
            if !told {
                println!("{report:?}");
            }
            told
        };
        until(expected, is).await;
    };
    reason(&writer(&s3, "another", Durability::Required), "NoSuchBucket").await;
    s3.credentials(s3::ID, "another secret");
    let journal = writer(&s3, BUCKET, Durability::Required);
    reason(&journal, "SignatureDoesNotMatch").await;
    s3.credentials("somebody", "another secret");
    // versitygw's word for InvalidAccessKeyId.
    reason(&journal, "XAdminUserNotFound").await;
    // Corrected credentials count without a restart.
    s3.right_credentials();
    until("it writes", async || journal.journal.report().written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_cannot_be_written_down_is_refused_alone() {
    let s3 = S3::start().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    let (_, mut broken) = entry("x");
    broken.head.sender = b"a\nb@x.vn".to_vec();
    assert!(matches!(writer.journal.keep(broken).await, Err(Unkept::Envelope(_))));
    writer.keep("y").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_an_authority_of_its_own_is_trusted_once_that_is_given() {
    let s3 = S3::start_with_tls().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    until("it is not trusted", async || writer.journal.report().reason.as_deref() == Some("Unreachable"))
        .await;
    let message = writer.journal.report().message.unwrap();
    assert!(message.to_lowercase().contains("certificate"), "{message}");
    s3.trust();
    let id = writer.keep("x").await.unwrap();
    assert_eq!(writer.ids(&s3), [id].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_listed_by_pages_and_read_back() {
    let s3 = S3::start().await;
    let writer = writer(&s3, BUCKET, Durability::Required);
    for text in ["x", "y", "z"] {
        writer.keep(text).await.unwrap();
    }
    let storage = s3.storage(BUCKET);
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = storage.list(after.as_ref(), 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        names.extend(page.into_iter().map(|(name, _)| name));
    }
    let stored = s3.segments();
    assert_eq!(names, stored.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    assert_eq!(storage.get(&names[1]).await.unwrap(), stored[1].1);
    let missing = mail_operator::journal::Name::new("nobody", 1).unwrap();
    assert_eq!(storage.get(&missing).await.unwrap_err().reason, "NoSuchKey");
}

//! The gate on a real socket, spoken to as Postfix does. What the daemons do with it is the end-to-end suite's concern.

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::*;
use crate::{
    agent::directory::testing,
    api::system::{OnDetection, OnFailure},
};

/// Postfix 3.10's offer: version 6, all actions and protocol bits it has.
const OFFER: [u8; 12] = [0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff];

async fn gate(on_failure: OnFailure) -> (tempfile::TempDir, UnixStream) {
    gate_of(testing::replica(), on_failure).await
}

async fn gate_of(replica: Replica, on_failure: OnFailure) -> (tempfile::TempDir, UnixStream) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("gate")).unwrap();
    let policy = Policy { on_failure, on_detection: OnDetection::Reject };
    let gate = Gate::new(policy, "t0", replica, ("127.0.0.1", 1));
    tokio::spawn(gate.run(listener, CancellationToken::new()));
    let mut stream = UnixStream::connect(folder.path().join("gate")).await.unwrap();
    frame(&mut stream, b'O', &OFFER).await;
    assert_eq!(answer(&mut stream).await.0, b'O');
    (folder, stream)
}

async fn frame(stream: &mut UnixStream, kind: u8, data: &[u8]) {
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(data.len()).unwrap() + 1);
    frame.put_u8(kind);
    frame.put_slice(data);
    stream.write_all(&frame).await.unwrap();
}

async fn answer(stream: &mut UnixStream) -> (u8, Vec<u8>) {
    let length = stream.read_u32().await.unwrap();
    let kind = stream.read_u8().await.unwrap();
    let mut data = vec![0; length as usize - 1];
    stream.read_exact(&mut data).await.unwrap();
    (kind, data)
}

async fn message(stream: &mut UnixStream, daemon: &str, headers: &[&[u8]]) {
    frame(stream, b'D', format!("C{{daemon_name}}\0{daemon}\0").as_bytes()).await;
    frame(stream, b'C', b"client\0U").await;
    transaction(stream, headers).await;
}

async fn transaction(stream: &mut UnixStream, headers: &[&[u8]]) {
    frame(stream, b'M', b"<a@b.vn>\0").await;
    frame(stream, b'R', b"<c@d.vn>\0").await;
    for header in headers {
        frame(stream, b'L', header).await;
    }
    frame(stream, b'N', b"").await;
    frame(stream, b'B', b"x\r\n").await;
    frame(stream, b'E', b"").await;
}

#[tokio::test]
async fn without_clamd_mail_is_deferred() {
    let (_folder, mut stream) = gate(OnFailure::Defer).await;
    message(&mut stream, "smtp", &[b"Mail-Verdict\0 t0 action=no-action\0"]).await;
    let (kind, data) = answer(&mut stream).await;
    assert_eq!((kind, &data[..9]), (b'y', &b"451 4.7.1"[..]));
}

#[tokio::test]
async fn mail_without_our_verdict_is_deferred_and_the_next_is_judged_on_its_own() {
    let (_folder, mut stream) = gate(OnFailure::Accept).await;
    message(&mut stream, "smtp", &[b"Mail-Verdict\0 t1 action=no-action\0"]).await;
    assert_eq!(answer(&mut stream).await.0, b'y');
    message(&mut stream, "smtp", &[b"Mail-Verdict\0 forged\0", b"Mail-Verdict\0 t0 action=no-action\0"])
        .await;
    for index in [2, 1] {
        let mut expected = vec![0, 0, 0, index];
        expected.extend_from_slice(b"Mail-Verdict\0\0");
        assert_eq!(answer(&mut stream).await, (b'm', expected));
    }
    assert_eq!(answer(&mut stream).await.0, b'c');
}

#[tokio::test]
async fn postfix_own_mail_needs_no_verdict_of_rspamd() {
    let (_folder, mut stream) = gate(OnFailure::Accept).await;
    message(&mut stream, "internal", &[]).await;
    assert_eq!(answer(&mut stream).await.0, b'c');
}

#[tokio::test]
async fn a_session_that_does_not_negotiate_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("gate")).unwrap();
    let policy = Policy { on_failure: OnFailure::Accept, on_detection: OnDetection::Reject };
    tokio::spawn(
        Gate::new(policy, "t0", testing::replica(), ("127.0.0.1", 1)).run(listener, CancellationToken::new()),
    );
    let mut stream = UnixStream::connect(folder.path().join("gate")).await.unwrap();
    frame(&mut stream, b'E', b"").await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_group_takes_mail_from_outside_only_of_who_is_named_and_proven() {
    let replica = crate::agent::posting::testing::replica(crate::api::Posting::Listed, &["dan@example.com"]);
    let (_folder, mut stream) = gate_of(replica, OnFailure::Accept).await;
    frame(&mut stream, b'D', b"C{daemon_name}\0smtp\0").await;
    frame(&mut stream, b'C', b"client\0U").await;
    for (verdict, from, expected) in [
        ("spf=example.com", "dan@example.com", None),
        ("", "dan@example.com", Some("550 5.7.1")),
        ("unsure", "dan@example.com", Some("451 4.7.1")),
        ("spf=example.com", "eve@example.com", Some("550 5.7.1")),
    ] {
        frame(&mut stream, b'M', b"<dan@example.com>\0").await;
        frame(&mut stream, b'R', b"<binh@x.vn>\0").await;
        frame(&mut stream, b'R', b"<Nhom@x.vn>\0").await;
        frame(&mut stream, b'L', format!("Mail-Verdict\0 t0 action=no-action {verdict}\0").as_bytes()).await;
        frame(&mut stream, b'L', format!("From\0 Đan <{from}>\0").as_bytes()).await;
        frame(&mut stream, b'N', b"").await;
        frame(&mut stream, b'E', b"").await;
        let (mut kind, mut data) = answer(&mut stream).await;
        if kind == b'm' {
            (kind, data) = answer(&mut stream).await;
        }
        match expected {
            None => assert_eq!(kind, b'c', "{verdict} {from}"),
            Some(code) => assert_eq!((kind, &data[..9]), (b'y', code.as_bytes()), "{verdict} {from}"),
        }
    }
}

#[tokio::test]
async fn whoever_logged_in_sends_under_an_own_name_only() {
    let (_folder, mut stream) = gate(OnFailure::Accept).await;
    let verdict: &[u8] = b"Mail-Verdict\0 t0 action=no-action\0";
    frame(&mut stream, b'D', b"C{daemon_name}\0submission\0").await;
    frame(&mut stream, b'C', b"client\0U").await;
    for (login, from, expected) in [
        ("An@X.vn", " An <an@x.vn>", None),
        ("an@x.vn", " An <binh@x.vn>", Some("550 5.7.1")),
        ("binh@x.vn", " An <an@x.vn>", Some("550 5.7.1")),
        ("", " An <an@x.vn>", Some("530 5.7.0")),
    ] {
        frame(&mut stream, b'D', format!("M{{auth_authen}}\0{login}\0").as_bytes()).await;
        transaction(&mut stream, &[verdict, format!("From\0{from}\0").as_bytes()]).await;
        let (mut kind, mut data) = answer(&mut stream).await;
        if kind == b'm' {
            (kind, data) = answer(&mut stream).await;
        }
        match expected {
            None => assert_eq!(kind, b'c', "{login} {from}"),
            Some(code) => assert_eq!((kind, &data[..9]), (b'y', code.as_bytes()), "{login} {from}"),
        }
    }
}

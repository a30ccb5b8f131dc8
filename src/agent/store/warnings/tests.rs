//! From figures to a gateway that takes letters, or does not.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::agent::store::testing::directory;

const NOW: i64 = 1_700_000_000;

/// A gateway. What it was told is kept; a command that contains `refuses.0` is answered with `refuses.1`.
async fn gateway(refuses: (&'static str, &'static str)) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (listener, told) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::default());
    let (address, all) = (listener.local_addr().unwrap(), Arc::clone(&told));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            converse(stream, refuses, &all).await;
        }
    });
    (address, told)
}

async fn converse(stream: TcpStream, refuses: (&str, &str), told: &Mutex<Vec<String>>) {
    let (read, mut write) = stream.into_split();
    let (mut lines, mut data) = (BufReader::new(read).lines(), false);
    write.write_all(b"220 x\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = match &*line {
            _ if !refuses.0.is_empty() && line.contains(refuses.0) => refuses.1,
            "." => "250 2.0.0 Ok: queued as 4jdjBw15nzzmFdJ\r\n",
            "DATA" => "354 go\r\n",
            "QUIT" => "221 bye\r\n",
            _ if data => "",
            _ if line.starts_with("AUTH") => "235 2.7.0 ok\r\n",
            _ => "250 ok\r\n",
        };
        data = line == "DATA" || data && line != ".";
        told.lock().unwrap().push(line);
        if write.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn warnings(folder: &Path, gateway: SocketAddr) -> Warnings {
    let login_file = folder.join("smtp.conf");
    std::fs::write(&login_file, "smtp_auth_authname: store\nsmtp_auth_password: 5ecret\n").unwrap();
    let way = Post {
        host: "127.0.0.1".into(),
        port: gateway.port(),
        login_file,
        name: "mail.x.vn".into(),
        resolver: Resolver::default(),
    };
    Warnings::with(folder.join("agent").join(FILE), way, Metrics::default())
}

impl Warnings {
    /// With the letter `id` on its way into the full mailbox of `owner`.
    pub(in super::super) fn that_await(owner: &str, id: &str, folder: &Path) -> Self {
        let warnings = warnings(folder, ([127, 0, 0, 1], 1).into());
        warnings.book().judge(owner, (100, 100), NOW, || id.to_owned());
        warnings.book().change(owner, |record| record.sent(NOW));
        warnings
    }

    fn counted(&self, fate: &'static str) -> u64 {
        self.0.metrics.quota_warnings.get_or_create(&Warned { fate }).get()
    }

    /// A round as [`Self::run`] makes it.
    async fn round(&self, usage: &Usage, serves: bool, now: i64) -> usize {
        let (due, changed) = self.look(usage, &directory(), serves, now);
        let count = due.len();
        if changed {
            self.note().await.unwrap();
        }
        self.send(due, || serves).await.unwrap();
        count
    }
}

/// `an` holds so much of its GiB, in percent.
fn usage(percent: u64) -> Usage {
    let used = (1 << 30) * percent / 100 + 1;
    Usage::that_found(&[
        ("an@x.vn", Some("an"), used),
        ("binh@x.vn", Some("binh"), 5),
        // Of these nobody is told.
        ("suspended@x.vn", Some("suspended"), 2 << 30),
        ("elsewhere@x.vn", Some("somebody else"), 2 << 30),
        ("nobody@x.vn", Some("nobody"), 2 << 30),
    ])
}

#[tokio::test]
async fn the_owner_of_a_mailbox_that_is_nearly_full_gets_one_letter_through_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let (address, told) = gateway(("", "")).await;
    let warnings = warnings(folder.path(), address);
    assert_eq!(warnings.round(&usage(89), true, NOW).await, 0);
    assert_eq!(warnings.round(&usage(92), true, NOW).await, 1);
    assert_eq!(warnings.round(&usage(93), true, NOW + 90_000).await, 0);
    let left = async || {
        while told.lock().unwrap().last().is_none_or(|line| line != "QUIT") {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left()).await.unwrap();
    let told = told.lock().unwrap().clone();
    let proof = format!("AUTH PLAIN {}", STANDARD.encode("\0store\x005ecret"));
    let before = ["EHLO mail.x.vn", &proof, "MAIL FROM:<> AUTH=postmaster@x.vn", "RCPT TO:<an@x.vn>", "DATA"];
    assert_eq!(told[..5], before);
    let has = |line: &str| told.iter().any(|it| it == line);
    assert!(has("To: <an@x.vn>") && has("Auto-Submitted: auto-generated") && has(" <postmaster@x.vn>"));
    assert_eq!((warnings.counted("sent"), warnings.counted("deferred")), (1, 0));
    assert_eq!(warnings.awaited("an", "an@x.vn"), None, "there is room for it");
}

#[tokio::test]
async fn a_letter_that_no_gateway_takes_is_the_same_after_a_restart_and_goes_once() {
    let folder = tempfile::tempdir().unwrap();
    let (away, _) = gateway(("DATA", "451 4.3.0 later\r\n")).await;
    let first = warnings(folder.path(), away);
    assert_eq!(first.round(&usage(105), true, NOW).await, 1);
    assert_eq!((first.counted("sent"), first.counted("deferred")), (0, 1));
    assert_eq!(first.round(&usage(105), true, NOW + 20).await, 1);
    assert_eq!(first.counted("deferred"), 1, "it is put off");
    let id = first.awaited("an", "an@x.vn");
    assert!(id.is_some());

    let (here, told) = gateway(("", "")).await;
    let second = warnings(folder.path(), here);
    assert_eq!(second.awaited("an", "an@x.vn"), id);
    assert_eq!(second.round(&usage(105), true, NOW + 40).await, 1);
    let header = format!("Message-ID: {}", id.clone().unwrap());
    assert!(told.lock().unwrap().contains(&header));

    let third = warnings(folder.path(), here);
    assert_eq!(third.round(&usage(105), true, NOW + 60).await, 0);
    assert_eq!(third.awaited("an", "an@x.vn"), id, "it has not come");
    third.arrived("an");
    assert_eq!(third.awaited("an", "an@x.vn"), None);
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = gateway(("RCPT", "550 5.1.1 unknown\r\n")).await;
    let warnings = warnings(folder.path(), address);
    assert_eq!(warnings.round(&usage(95), true, NOW).await, 1);
    assert_eq!(warnings.counted("refused"), 1);
    assert_eq!(warnings.round(&usage(95), true, NOW + 90_000).await, 0);
}

#[tokio::test]
async fn a_store_that_follows_sends_nothing_and_one_that_takes_over_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (address, told) = gateway(("", "")).await;
    let warnings = warnings(folder.path(), address);
    // It does not know whose mail it has.
    let replicated = Usage::that_found(&[("an@x.vn", None, 1 << 30)]);
    assert_eq!(warnings.round(&replicated, false, NOW).await, 0);
    assert_eq!(warnings.round(&replicated, false, NOW + 3600).await, 0);
    assert_eq!(warnings.round(&usage(100), true, NOW + 3700).await, 0);
    assert!(told.lock().unwrap().is_empty());
    assert!(warnings.look(&replicated, &directory(), true, NOW).0.is_empty(), "not before it knows");
}

#[tokio::test]
async fn nothing_goes_that_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = gateway(("", "")).await;
    let warnings = warnings(folder.path(), address);
    std::fs::write(folder.path().join("agent"), "a file where a folder should be").unwrap();
    let (due, changed) = warnings.look(&usage(95), &directory(), true, NOW);
    assert!(due.len() == 1 && changed && warnings.note().await.is_err());
}

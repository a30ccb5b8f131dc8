//! The door between a client and a peer that answers as Cyrus' `lmtpd` does.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{codec::Framed, sync::CancellationToken};

use super::{Door, Metrics, Provisioner, Replica, Warnings};
use crate::{
    agent::store::{metrics::Recipient, testing::directory},
    names::SystemName,
    wire::{
        lmtp::{Command, Input, ServerCodec, param},
        reply::Reply,
    },
};

/// How the peer treats a message.
#[derive(Clone, Copy)]
enum Peer {
    /// Stores it for the first recipient, and has no room for the others.
    Stores,
    /// Closes the connection at the first piece of data.
    Breaks,
    /// Stores what may go into a full mailbox, and nothing else.
    Full,
}

/// Takes one transaction; returns what came: recipients, then the message.
async fn lmtpd(listener: TcpListener, peer: Peer) -> (Vec<Bytes>, BytesMut) {
    let (mut recipients, mut message) = (Vec::new(), BytesMut::new());
    let mut framed = Framed::new(listener.accept().await.unwrap().0, ServerCodec::default());
    framed.send(Reply::plain(220, "peer LMTP")).await.unwrap();
    while let Some(Ok(input)) = framed.next().await {
        let reply = match input {
            Input::Command(Command::Rcpt { params, .. })
                if matches!(peer, Peer::Full) && param(&params, "IGNOREQUOTA").is_none() =>
            {
                Reply::plain(452, "4.2.2 Over quota SESSIONID=<x>")
            }
            Input::Command(Command::Rset) => {
                recipients.clear();
                Reply::new(250, 0, 0, "ok")
            }
            Input::Command(Command::Rcpt { to, .. }) => {
                recipients.push(to);
                Reply::new(250, 1, 5, "ok")
            }
            Input::Command(Command::Data) => {
                framed.codec_mut().start_data();
                Reply::plain(354, "go ahead")
            }
            Input::Command(Command::Quit) => Reply::new(221, 0, 0, "bye"),
            Input::Command(_) => Reply::new(250, 0, 0, "ok"),
            Input::Data(_) if matches!(peer, Peer::Breaks) => break,
            Input::Data(piece) => {
                message.extend_from_slice(&piece);
                continue;
            }
            Input::EndOfData => {
                for _ in 1..recipients.len() {
                    framed.feed(Reply::plain(250, "2.1.5 Success SESSIONID=<x>")).await.unwrap();
                }
                match peer {
                    Peer::Full => Reply::plain(250, "2.1.5 Success SESSIONID=<x>"),
                    Peer::Stores | Peer::Breaks => Reply::new(452, 2, 2, "Over quota"),
                }
            }
            Input::Bad(syntax) => syntax.reply(),
        };
        framed.send(reply).await.unwrap();
    }
    (recipients, message)
}

struct World {
    metrics: Metrics,
    close: CancellationToken,
    door: JoinHandle<()>,
    client: TcpStream,
}

impl World {
    async fn new(replica: Replica, cyrus: SocketAddr) -> Self {
        Self::with(replica, cyrus, None).await
    }

    async fn with(replica: Replica, cyrus: SocketAddr, warnings: Option<Warnings>) -> Self {
        let provisioner =
            Provisioner::that_found(replica.clone(), &["an@x.vn", "binh@x.vn", "suspended@x.vn"]);
        let (metrics, close) = (Metrics::default(), CancellationToken::new());
        let door = Door::new("store", (0, cyrus), replica, provisioner, metrics.clone()).of_pod("store-0");
        let door = Door { warnings, ..door };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let door = tokio::spawn(door.run(listener, close.clone()));
        let mut world = Self { metrics, close, door, client };
        world.expect("220 store LMTP\r\n").await;
        world
    }

    async fn say(&mut self, text: &str, answer: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
        self.expect(answer).await;
    }

    async fn expect(&mut self, answer: &str) {
        let mut got = vec![0; answer.len()];
        let read = timeout(Duration::from_secs(20), self.client.read_exact(&mut got)).await;
        assert!(read.is_ok_and(|read| read.is_ok()), "got {}, wanted {answer}", got.escape_ascii());
        assert_eq!(String::from_utf8_lossy(&got), answer);
    }

    fn count(&self, fate: &'static str) -> u64 {
        self.metrics.recipients.get_or_create(&Recipient { fate }).get()
    }
}

async fn peer(how: Peer) -> (SocketAddr, JoinHandle<(Vec<Bytes>, BytesMut)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), tokio::spawn(lmtpd(listener, how)))
}

const REFUSED: &str = "451 4.2.1 no such mailbox here yet\r\n";

#[tokio::test]
async fn recipients_are_judged_the_message_passes_unchanged_and_the_answer_names_the_pod() {
    let (address, peer) = peer(Peer::Stores).await;
    let mut world = World::new(directory(), address).await;
    world.say("RCPT TO:<an@x.vn>\r\n", "503 5.5.1 no transaction is open\r\n").await;
    world.say("MAIL FROM:<> SIZE=30 BODY=8BITMIME\r\n", "250 2.0.0 ok\r\n").await;
    world.say("RCPT TO:<nobody@x.vn>\r\n", REFUSED).await;
    world.say("RCPT TO:<elsewhere@x.vn>\r\n", "451 4.4.4 this mailbox is in another shard\r\n").await;
    world.say("RCPT TO:<Alias@X.vn>\r\n", "250 2.1.5 ok\r\n").await;
    world.say("RCPT TO:<suspended@x.vn>\r\n", "250 2.1.5 ok\r\n").await;
    world.say("DATA\r\n", "354 go ahead\r\n").await;
    let replies = "250 2.1.5 Ok store-0\r\n452 4.2.2 Over quota\r\n";
    world.say("Subject: ễ\r\n\r\n..\r\n.\r\n", replies).await;
    world.close.cancel();
    world.expect("421 4.3.2 closing\r\n").await;
    world.door.await.unwrap();
    let (recipients, message) = peer.await.unwrap();
    assert_eq!(recipients, ["an@x.vn", "suspended@x.vn"]);
    assert_eq!(message, "Subject: ễ\r\n\r\n.\r\n");
    let count = |fate| world.metrics.recipients.get_or_create(&Recipient { fate }).get();
    assert_eq!((count("stored"), count("deferred"), count("refused")), (1, 3, 0));
}

#[tokio::test]
async fn a_delivery_that_breaks_is_deferred_for_every_recipient() {
    let (address, _peer) = peer(Peer::Breaks).await;
    let mut world = World::new(directory(), address).await;
    world.say("MAIL FROM:<a@b>\r\n", "250 2.0.0 ok\r\n").await;
    world.say("RCPT TO:<an@x.vn>\r\n", "250 2.1.5 ok\r\n").await;
    world.say("RCPT TO:<binh@x.vn>\r\n", "250 2.1.5 ok\r\n").await;
    world.say("DATA\r\n", "354 go ahead\r\n").await;
    let away = "451 4.3.0 the mail store is away, try again later\r\n";
    world.say("a\r\n.\r\n", &[away, away].concat()).await;
    world.say("NOOP\r\n", "250 2.0.0 ok\r\n").await;
    assert_eq!((world.count("stored"), world.count("deferred")), (0, 2));
}

#[tokio::test]
async fn a_message_that_cyrus_would_read_differently_never_ends_there() {
    let (address, peer) = peer(Peer::Stores).await;
    let mut world = World::new(directory(), address).await;
    world.say("MAIL FROM:<a@b>\r\n", "250 2.0.0 ok\r\n").await;
    world.say("RCPT TO:<an@x.vn>\r\n", "250 2.1.5 ok\r\n").await;
    world.say("DATA\r\n", "354 go ahead\r\n").await;
    let refused = "554 5.6.0 the message has a line feed without carriage return\r\n";
    world.say("a\n.\nMAIL FROM:<x>\r\n.\r\n", refused).await;
    assert_eq!(peer.await.unwrap().1, "");
}

#[tokio::test]
async fn nothing_is_refused_while_cyrus_or_the_directory_is_away() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut world = World::new(directory(), nobody).await;
    world.say("MAIL FROM:<a@b>\r\n", "451 4.3.0 the mail store is away, try again later\r\n").await;
    world.say("DATA\r\n", "503 5.5.1 no valid recipients\r\n").await;

    let (address, _peer) = peer(Peer::Stores).await;
    let mut world = World::new(Replica::new(SystemName::new("n", "s")), address).await;
    world.say("MAIL FROM:<a@b>\r\n", "250 2.0.0 ok\r\n").await;
    world.say("RCPT TO:<an@x.vn>\r\n", "451 4.3.0 the directory is not loaded yet\r\n").await;
}

#[tokio::test]
async fn a_message_that_comes_again_waits_until_the_mailbox_can_be_searched_and_a_fresh_one_does_not() {
    let old = "Subject: a\r\nJournal-Id: 000000000001ffffffffffffffffffff\r\n\r\nx\r\n.\r\n";
    let id = crate::journal::writer::new_id().unwrap();
    let fresh = format!("Subject: a\r\nJournal-Id: {id}\r\n\r\nx\r\n.\r\n");
    let late = "Subject: a\r\n\r\nJournal-Id: 000000000001ffffffffffffffffffff\r\n.\r\n";
    let away = "451 4.3.0 the mail store is away, try again later\r\n";
    let stored = "452 4.2.2 Over quota\r\n";
    for (message, answer) in [(old, away), (&*fresh, stored), (late, stored)] {
        let (address, peer) = peer(Peer::Stores).await;
        let mut world = World::new(directory(), address).await;
        world.say("MAIL FROM:<a@b>\r\n", "250 2.0.0 ok\r\n").await;
        world.say("RCPT TO:<an@x.vn>\r\n", "250 2.1.5 ok\r\n").await;
        world.say("DATA\r\n", "354 go ahead\r\n").await;
        let (first, second) = message.split_at(message.len() / 2);
        world.client.write_all(first.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.say(second, answer).await;
        assert_eq!(peer.await.unwrap().1.is_empty(), answer == away);
    }
}

#[tokio::test]
async fn a_full_mailbox_takes_the_letter_that_says_so_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (over, none) = ("452 4.2.2 Over quota SESSIONID=<x>\r\n", "503 5.5.1 no valid recipients\r\n");
    let letter = "Message-ID: <quota-1@x.vn>\r\n\r\nx\r\n.\r\n";
    for (sender, to, message, rcpt, answer) in [
        ("", "an", letter, "250 2.1.5 ok\r\n", "250 2.1.5 Ok store-0\r\n"),
        ("", "an", "Message-ID: <other@x.vn>\r\n\r\nx\r\n.\r\n", "250 2.1.5 ok\r\n", over),
        ("", "an", "Subject: x\r\n\r\nMessage-ID: <quota-1@x.vn>\r\n.\r\n", "250 2.1.5 ok\r\n", over),
        ("dan@example.com", "an", letter, over, none),
        ("", "binh", letter, over, none),
    ] {
        let (address, peer) = peer(Peer::Full).await;
        let warnings = Warnings::that_await("an", "quota-1", folder.path());
        let mut world = World::with(directory(), address, Some(warnings.clone())).await;
        world.say(&format!("MAIL FROM:<{sender}>\r\n"), "250 2.0.0 ok\r\n").await;
        world.say(&format!("RCPT TO:<{to}@x.vn>\r\n"), rcpt).await;
        if answer == none {
            world.say("DATA\r\n", none).await;
        } else {
            world.say("DATA\r\n", "354 go ahead\r\n").await;
            world.say(message, answer).await;
        }
        let came = answer.starts_with("250");
        assert_eq!(warnings.awaited("an", "an@x.vn").is_none(), came, "{sender} {to} {message}");
        drop(world);
        assert_eq!(!peer.await.unwrap().1.is_empty(), came);
    }
}

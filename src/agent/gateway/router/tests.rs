//! The router between Postfix and doors of two stores, of which one serves.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::timeout,
};

use super::{
    stores::{
        choice::Times,
        testing::{pair, tell, waited_for},
    },
    *,
};
use crate::{
    agent::directory::testing::replica,
    wire::{
        lmtp::{Command, Input},
        reply::Reply,
    },
};

/// A door that closes, and lets the other store be primary before it does.
#[derive(Clone, Copy)]
enum Closes {
    Never,
    /// With the greeting: it does not serve.
    AtOnce,
    /// Instead of an answer to the recipient of this number.
    AtRecipient(usize),
}

const EVEN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const ODD: [u8; 4] = [127, 0, 0, 2];

/// Serves one connection; returns the recipients it accepted, and the message.
async fn door(listener: TcpListener, closes: Closes, fail_over: impl Fn()) -> (usize, BytesMut) {
    let (mut recipients, mut message) = (0, BytesMut::new());
    let mut framed = Framed::new(listener.accept().await.unwrap().0, ServerCodec::default());
    if let Closes::AtOnce = closes {
        fail_over();
        framed.send(Reply::new(421, 3, 2, "this store does not serve now, the other does")).await.unwrap();
        return (recipients, message);
    }
    framed.send(Reply::plain(220, "door LMTP")).await.unwrap();
    while let Some(Ok(input)) = framed.next().await {
        let reply = match input {
            Input::Command(Command::Rcpt { .. }) => {
                if matches!(closes, Closes::AtRecipient(number) if number == recipients) {
                    fail_over();
                    break;
                }
                recipients += 1;
                Reply::new(250, 1, 5, "ok")
            }
            Input::Command(Command::Data) => {
                framed.codec_mut().start_data();
                Reply::plain(354, "go ahead")
            }
            Input::Command(_) => Reply::new(250, 0, 0, "ok"),
            Input::Data(piece) => {
                message.extend_from_slice(&piece);
                continue;
            }
            Input::EndOfData => {
                for _ in 1..recipients {
                    framed.feed(Reply::new(250, 1, 5, "Ok")).await.unwrap();
                }
                Reply::new(250, 1, 5, "Ok")
            }
            Input::Bad(syntax) => syntax.reply(),
        };
        framed.send(reply).await.unwrap();
    }
    (recipients, message)
}

struct World {
    stores: Stores,
    router: Router,
    postfix: UnixStream,
    even: JoinHandle<(usize, BytesMut)>,
    odd: JoinHandle<(usize, BytesMut)>,
}

impl World {
    async fn new(times: Times, even: Closes) -> Self {
        let (a, b) = loop {
            let even = TcpListener::bind((EVEN, 0)).await.unwrap();
            let port = even.local_addr().unwrap().port();
            if let Ok(odd) = TcpListener::bind(SocketAddr::from((ODD, port))).await {
                break (even, odd);
            }
        };
        let (port, stores) = (a.local_addr().unwrap().port(), pair(times));
        let router = Router::new("gateway", replica(), stores.clone()).with_doors_at(port);
        let failing = stores.clone();
        let even = tokio::spawn(door(a, even, move || tell(&failing, (0, 1), (5, true), ODD)));
        let odd = tokio::spawn(door(b, Closes::Never, || ()));
        let (postfix, ours) = UnixStream::pair().unwrap();
        tokio::spawn(router.clone().serve(ours, CancellationToken::new()));
        let mut world = Self { stores, router, postfix, even, odd };
        world.expect("220 gateway LMTP\r\n").await;
        world.say("MAIL FROM:<a@b>\r\n", "250 2.1.0 ok\r\n").await;
        world
    }

    fn even_serves(&self) {
        tell(&self.stores, (0, 0), (4, true), [127, 0, 0, 1]);
    }

    async fn say(&mut self, text: &str, answer: &str) {
        self.postfix.write_all(text.as_bytes()).await.unwrap();
        self.expect(answer).await;
    }

    async fn expect(&mut self, answer: &str) {
        let mut got = vec![0; answer.len()];
        let read = timeout(Duration::from_mins(1), self.postfix.read_exact(&mut got)).await;
        assert!(read.is_ok_and(|read| read.is_ok()), "got {}, wanted {answer}", got.escape_ascii());
        assert_eq!(String::from_utf8_lossy(&got), answer);
    }

    async fn deliver(&mut self) {
        self.say("DATA\r\n", "354 go ahead\r\n").await;
        self.say("Subject: a\r\n\r\nx\r\n.\r\n", "250 2.1.5 Ok\r\n").await;
    }

    fn count(&self, fate: Fate) -> u64 {
        self.router.recipients.get_or_create(&Recipient { fate }).get()
    }
}

const AN: &str = "RCPT TO:<an@x.vn>\r\n";
const BINH: &str = "RCPT TO:<binh@x.vn>\r\n";
const TAKEN: &str = "250 2.1.5 ok\r\n";
const AWAY: &str = "451 4.4.1 the mail store is away, try again later\r\n";

#[tokio::test]
async fn a_delivery_waits_for_a_primary_and_goes_on_when_there_is_one() {
    let mut world = World::new(Times::USUAL, Closes::Never).await;
    world.postfix.write_all(AN.as_bytes()).await.unwrap();
    waited_for(&world.stores, 0).await;
    world.even_serves();
    world.expect(TAKEN).await;
    world.deliver().await;
    drop(world.postfix);
    let (recipients, message) = world.even.await.unwrap();
    assert_eq!((recipients, &message[..]), (1, &b"Subject: a\r\n\r\nx\r\n"[..]));
}

#[tokio::test]
async fn a_store_that_closes_before_it_accepted_a_recipient_is_left_for_the_one_that_serves() {
    for closes in [Closes::AtOnce, Closes::AtRecipient(0)] {
        let mut world = World::new(Times::USUAL, closes).await;
        world.even_serves();
        world.say(AN, TAKEN).await;
        world.say(BINH, TAKEN).await;
        world.say("DATA\r\n", "354 go ahead\r\n").await;
        world.say("x\r\n.\r\n", "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n").await;
        assert_eq!((world.count(Fate::Delivered), world.count(Fate::Deferred)), (2, 0));
        drop(world.postfix);
        assert_eq!(world.even.await.unwrap().0, 0);
        assert_eq!(world.odd.await.unwrap().0, 2);
    }
}

#[tokio::test]
async fn a_store_that_closes_after_it_accepted_one_makes_all_of_them_wait() {
    let mut world = World::new(Times::USUAL, Closes::AtRecipient(1)).await;
    world.even_serves();
    world.say(AN, TAKEN).await;
    world.say(BINH, AWAY).await;
    world.say("DATA\r\n", "354 go ahead\r\n").await;
    world.say("x\r\n.\r\n", AWAY).await;
    assert_eq!((world.count(Fate::Delivered), world.count(Fate::Deferred)), (0, 2));
    assert!(!world.odd.is_finished(), "nothing came to the other");
    // The next message finds the way.
    world.say("MAIL FROM:<a@b>\r\n", "250 2.1.0 ok\r\n").await;
    world.say(AN, TAKEN).await;
    world.deliver().await;
    drop(world.postfix);
    assert_eq!((world.even.await.unwrap().0, world.odd.await.unwrap().0), (1, 1));
}

#[tokio::test]
async fn without_a_primary_mail_of_that_shard_is_deferred_and_that_of_an_unknown_shard_too() {
    let mut world = World::new(Times { outage: Duration::ZERO, ..Times::USUAL }, Closes::Never).await;
    world.say(AN, AWAY).await;
    world.say("RCPT TO:<chi@x.vn>\r\n", AWAY).await;
    world.say("DATA\r\n", "503 5.5.1 no valid recipients\r\n").await;
    assert_eq!(world.count(Fate::Deferred), 2);
    assert!(!world.even.is_finished() && !world.odd.is_finished());
}

//! The routes over the loopback, with a Cyrus that notes what it is told.

use std::{collections::BTreeSet, fs, time::Duration};

use tokio::net::TcpListener;

use super::{
    desk::Desk,
    protocol::{APPEND, Answer, Append, Ask, Fate, Flags, HAVE, Have, Message, Refusal, reason},
};
use crate::{
    agent::store::{
        back::carry::file_of,
        provision::Provisioner,
        role::{PeerClient, PeerKey},
        scripted::{self, Shared},
        testing::directory,
    },
    wire::cyrus::testing::Listed,
};

const WITHIN: Duration = Duration::from_secs(20);
const BODY: &[u8] = b"abc";
const GUID: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const OTHER: (&[u8], &str) = (b"abcd", "81fe8bfe87576c3ecb22426f8e57847382917acf");

struct World {
    spool: tempfile::TempDir,
    script: Shared,
    peer: PeerClient,
}

async fn world() -> World {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = http.local_addr().unwrap().port();
    let script = Shared::default();
    script.lock().unwrap().folders = vec![("", "i1"), ("/Work", "w1"), ("DELETED/Old/6B0E605A", "o1")];
    let access = scripted::cyrus(script.clone()).await;
    let replica = directory();
    let found = ["an@x.vn", "suspended@x.vn", "elsewhere@x.vn"];
    let provisioner = Provisioner::that_found_in(access, replica.clone(), &found);
    let spool = tempfile::tempdir().unwrap();
    let desk = Desk::new(PeerKey::new("k"), (replica, 0), provisioner, spool.path(), || Some(7));
    tokio::spawn(async move { axum::serve(http, desk.routes()).await });
    let peer = PeerClient::new("127.0.0.1".into(), PeerKey::new("k")).at(port);
    World { spool, script, peer }
}

impl World {
    fn put(&self, id: &str, name: &str, messages: &[Listed]) {
        scripted::put(self.spool.path(), id, name, messages);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().heard)
    }

    async fn have(&self, address: &str) -> Answer<Have> {
        self.peer.ask(HAVE, &Ask { epoch: 7, address: address.into() }, WITHIN).await.unwrap()
    }

    async fn append(&self, address: &str, messages: Vec<(Message, &[u8])>) -> Answer<Vec<Fate>> {
        let (messages, bodies): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let ask = Append { epoch: 7, address: address.into(), messages };
        let body = [&serde_json::to_vec(&ask).unwrap()[..], b"\n", &bodies.concat()].concat();
        serde_json::from_slice(&self.peer.send(APPEND, body.into(), WITHIN).await.unwrap()).unwrap()
    }
}

fn message(path: &str, guid: &str, bytes: Option<usize>) -> Message {
    Message {
        path: path.into(),
        guid: guid.into(),
        date: 0,
        flags: Flags(["\\Seen".to_owned()].into()),
        bytes: bytes.map(|it| it as u64),
    }
}

fn listed(uid: u32, guid: &str, expunged: bool) -> Listed<'static> {
    let byte = |at| u8::from_str_radix(&guid[2 * at..2 * at + 2], 16).unwrap();
    Listed { uid, guid: std::array::from_fn(byte), expunged, ..Listed::default() }
}

#[tokio::test]
async fn what_lives_is_told_by_folder_and_what_is_kept_besides() {
    let world = world().await;
    world.put("i1", "x.vn!user.an", &[listed(1, GUID, false), listed(2, OTHER.1, true)]);
    world.put("w1", "x.vn!user.an.Work", &[]);
    let third = "03".repeat(20);
    world.put("o1", "x.vn!DELETED.user.an.Old.6B0E605A", &[listed(1, &third, false)]);
    let Answer::Done(Have::Mailbox(mailbox)) = world.have("an@x.vn").await else { panic!("refused") };
    let inbox = BTreeSet::from([GUID.to_owned()]);
    let expected = [("INBOX".to_owned(), inbox), ("Work".to_owned(), BTreeSet::new())];
    assert_eq!(mailbox.folders, expected.into());
    assert_eq!(mailbox.kept, [GUID.to_owned(), OTHER.1.to_owned(), third].into());
    for (address, is_there) in
        [("suspended@x.vn", true), ("elsewhere@x.vn", false), ("alias@x.vn", false), ("none@x.vn", false)]
    {
        let answer = world.have(address).await;
        let refused = matches!(&answer, Answer::Done(Have::Refused(it)) if it.reason == reason::NO_MAILBOX);
        assert_eq!(refused, !is_there, "{address} {answer:?}");
    }
}

#[tokio::test]
async fn messages_come_once_with_their_dates_and_flags_into_folders_that_are_made() {
    let world = world().await;
    world.put("w1", "x.vn!user.an.Work", &[listed(1, OTHER.1, false)]);
    let messages = || {
        vec![
            (message("New", GUID, Some(3)), BODY),
            (message("Work", OTHER.1, Some(4)), OTHER.0),
            (message("New", GUID, Some(3)), BODY),
            (message("Work", GUID, None), &b""[..]),
        ]
    };
    let fates = [Fate::Appended, Fate::There, Fate::There, Fate::Lacking];
    assert_eq!(world.append("an@x.vn", messages()).await, Answer::Done(fates.into()));
    let append = "APPEND \"New\" (\\Seen) \"01-Jan-1970 00:00:00 +0000\" abc";
    assert_eq!(world.heard(), ["CREATE \"New\"", "SUBSCRIBE \"New\"", append]);
    // The folder of a former try is there by now, and has it.
    world.script.lock().unwrap().folders.push(("/New", "n1"));
    world.put("n1", "x.vn!user.an.New", &[listed(1, GUID, false)]);
    let fates = [Fate::There, Fate::There, Fate::There, Fate::Lacking];
    assert_eq!(world.append("an@x.vn", messages()).await, Answer::Done(fates.into()));
    assert_eq!(world.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_deleted_and_is_still_kept_need_not_be_sent() {
    let world = world().await;
    world.put("i1", "x.vn!user.an", &[listed(3, GUID, true)]);
    world.put("o1", "x.vn!DELETED.user.an.Old.6B0E605A", &[listed(4, OTHER.1, false)]);
    fs::write(file_of(world.spool.path(), "i1", 3).unwrap(), BODY).unwrap();
    fs::write(file_of(world.spool.path(), "o1", 4).unwrap(), b"another").unwrap();
    let wanted = vec![(message("INBOX", GUID, None), &b""[..]), (message("INBOX", OTHER.1, None), &b""[..])];
    let answer = world.append("an@x.vn", wanted).await;
    assert_eq!(answer, Answer::Done(vec![Fate::Appended, Fate::Lacking]), "a damaged one is as none");
    assert_eq!(world.heard(), ["APPEND \"INBOX\" (\\Seen) \"01-Jan-1970 00:00:00 +0000\" abc"]);
}

#[tokio::test]
async fn a_message_that_is_refused_keeps_none_of_the_others_away() {
    let world = world().await;
    world.script.lock().unwrap().refuses =
        vec![("APPEND", "NO [OVERQUOTA] Over quota"), ("CREATE", "NO Permission denied")];
    let wanted = vec![
        (message("Work", GUID, Some(3)), BODY),
        (message("No", GUID, Some(3)), BODY),
        (message("INBOX", OTHER.1, Some(3)), BODY),
        (message("INBOX", GUID, Some(3)), BODY),
    ];
    let Answer::Done(fates) = world.append("an@x.vn", wanted).await else { panic!("refused") };
    let reasons: Vec<_> = fates
        .iter()
        .map(|fate| match fate {
            Fate::Refused(Refusal { reason, .. }) => reason.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(reasons, [reason::FULL, reason::REFUSED, reason::DAMAGED, ""]);
    assert_eq!(fates[3], Fate::Appended);
    let wanted = vec![(message("INBOX", GUID, Some(3)), BODY)];
    let Answer::Done(fates) = world.append("none@x.vn", wanted).await else { panic!("refused") };
    assert!(matches!(&fates[..], [Fate::Refused(it)] if it.reason == reason::NO_MAILBOX));
}

#[tokio::test]
async fn nothing_is_done_in_another_epoch_for_a_stranger_or_with_too_few_bytes() {
    let world = world().await;
    let ask = Ask { epoch: 9, address: "an@x.vn".into() };
    let answer: Answer<Have> = world.peer.ask(HAVE, &ask, WITHIN).await.unwrap();
    assert_eq!(answer, Answer::Refused("this store is not the primary of epoch 9".into()));
    let stranger = PeerClient::new("127.0.0.1".into(), PeerKey::new("wrong"));
    assert!(stranger.at(world.peer.port()).send(HAVE, "{}".into(), WITHIN).await.is_err());
    for body in [&b"ab"[..], b"abcd"] {
        let answer = world.append("an@x.vn", vec![(message("INBOX", GUID, Some(3)), body)]).await;
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    }
    assert_eq!(world.heard(), Vec::<String>::new());
}

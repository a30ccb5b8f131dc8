//! The routes over the loopback, with a Cyrus that notes what it is told.

use std::{fs, time::Duration};

use tokio::{net::TcpListener, sync::mpsc};

use super::{
    carry::{Account, Carrier, Fate},
    desk::Desk,
    listing::Mailbox,
    protocol::{APPEND, Append, Ask, CHANGE, Change, Found, LIST, What},
    *,
};
use crate::{
    agent::store::{
        door::Locks,
        metrics::Metrics,
        provision::Provisioner,
        role::{PeerClient, PeerKey},
        scripted::{self, Shared},
        signed::Answer,
        testing::directory,
    },
    wire::cyrus::testing::Listed,
};

const WITHIN: Duration = Duration::from_secs(20);
const BODY: &[u8] = b"abc";
const GUID: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

struct World {
    spool: tempfile::TempDir,
    script: Shared,
    peer: PeerClient,
}

async fn world() -> World {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = http.local_addr().unwrap().port();
    let script = Shared::default();
    let access = scripted::cyrus(script.clone()).await;
    let provisioner =
        Provisioner::new(directory(), 0, access, Metrics::default(), mpsc::unbounded_channel().0);
    let spool = tempfile::tempdir().unwrap();
    let desk = Desk::new(PeerKey::new("k"), (provisioner, Locks::default()), spool.path(), || Some(7));
    tokio::spawn(async move { axum::serve(http, desk.routes()).await });
    script.lock().unwrap().folders = vec![("", "i1"), ("/Work", "w1")];
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

    async fn append(&self, ask: &Append) -> Answer<()> {
        let body = [&serde_json::to_vec(ask).unwrap()[..], b"\n", BODY].concat();
        serde_json::from_slice(&self.peer.send(APPEND, body.into(), WITHIN).await.unwrap()).unwrap()
    }

    async fn change(&self, epoch: u64, what: What) -> Answer<()> {
        let change = Change { epoch, address: "an@x.vn".into(), what };
        self.peer.ask(CHANGE, &change, WITHIN).await.unwrap()
    }
}

fn ask(path: &str) -> Append {
    Append {
        epoch: 7,
        address: "an@x.vn".into(),
        path: path.into(),
        guid: GUID.into(),
        id: None,
        besides: Vec::new(),
        new: true,
        date: 0,
        flags: listing::Flags(["\\Seen".to_owned()].into()),
    }
}

fn guid() -> [u8; 20] {
    let byte = |at| u8::from_str_radix(&GUID[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

const DONE: Answer<()> = Answer::Done(());

#[tokio::test]
async fn a_message_is_appended_once_with_its_date_and_flags() {
    let world = world().await;
    assert_eq!(world.append(&ask("Work")).await, DONE);
    let expected = "APPEND \"Work\" (\\Seen) \"01-Jan-1970 00:00:00 +0000\" abc";
    assert_eq!(world.heard(), [expected]);
    let besides = vec![1];
    world.put(
        "w1",
        "x.vn!user.an.Work",
        &[Listed { uid: 1, guid: guid(), expunged: true, ..Listed::default() }],
    );
    assert_eq!(world.append(&Append { besides, ..ask("Work") }).await, DONE);
    assert_eq!(world.heard().len(), 1, "a former copy that is gone is not it");
    // It is there, or was and somebody deleted it.
    for expunged in [false, true] {
        let message = Listed { uid: 1, guid: guid(), expunged, ..Listed::default() };
        world.put("w1", "x.vn!user.an.Work", &[message]);
        assert_eq!(world.append(&ask("Work")).await, DONE);
        assert_eq!(world.heard(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_folder_is_made_first_and_where_it_cannot_be_the_inbox_takes_the_message() {
    let world = world().await;
    assert_eq!(world.append(&ask("New")).await, DONE);
    let heard = world.heard();
    assert_eq!(heard[..2], ["CREATE \"New\"", "SUBSCRIBE \"New\""]);
    assert!(heard[2].starts_with("APPEND \"New\" "), "{heard:?}");
    world.script.lock().unwrap().refuses = vec![("CREATE", "NO Permission denied")];
    assert_eq!(world.append(&ask("New")).await, DONE);
    let heard = world.heard();
    assert!(heard.len() == 2 && heard[1].starts_with("APPEND \"INBOX\" "), "{heard:?}");
    world.script.lock().unwrap().refuses = vec![("APPEND \"New", "NO no"), ("APPEND \"INBOX", "NO never")];
    assert_eq!(world.append(&ask("New")).await, Answer::Refused("never".into()));
}

#[tokio::test]
async fn a_full_mailbox_takes_it_all_the_same() {
    let world = world().await;
    world.script.lock().unwrap().refuses = vec![("APPEND", "NO [OVERQUOTA] Over quota")];
    assert_eq!(world.append(&ask("INBOX")).await, DONE);
    let heard: Vec<_> = world.heard().iter().map(|it| it.split(" (\\").next().unwrap().to_owned()).collect();
    let root = "\"user/an@x.vn\"";
    let expected = [
        "APPEND \"INBOX\"".to_owned(),
        format!("GETQUOTA {root}"),
        format!("SETQUOTA {root} ()"),
        "APPEND \"INBOX\"".to_owned(),
        format!("SETQUOTA {root} (STORAGE 7)"),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn only_what_still_is_what_it_was_is_deleted_or_flagged() {
    let world = world().await;
    let message =
        |uid, expunged| Listed { uid, guid: [u8::try_from(uid).unwrap(); 20], expunged, ..Listed::default() };
    world.put("w1", "x.vn!user.an.Work", &[message(1, false), message(2, false), message(3, true)]);
    let known = |uid: u8| (u32::from(uid), listing::hex(&[uid; 20]));
    let expunged = What::Expunged("w1".into(), vec![known(1), (2, GUID.into()), known(3), known(4)]);
    assert_eq!(world.change(7, expunged.clone()).await, DONE);
    assert_eq!(world.heard(), ["SELECT \"Work\"", "UID STORE 1 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1"]);
    let flags = |flag: &str| listing::Flags([flag.to_owned()].into());
    let what = What::Flags("w1".into(), known(2), flags("\\Flagged"), flags("\\Seen"));
    assert_eq!(world.change(7, what).await, DONE);
    let stores = ["UID STORE 2 +FLAGS.SILENT (\\Flagged)", "UID STORE 2 -FLAGS.SILENT (\\Seen)"];
    assert_eq!(world.heard(), ["SELECT \"Work\"", stores[0], stores[1]]);
    for gone in [What::Expunged("gone".into(), vec![known(1)]), What::Folder("Work".into())] {
        assert_eq!(world.change(7, gone).await, DONE);
        assert_eq!(world.heard(), Vec::<String>::new());
    }
    world.script.lock().unwrap().refuses = vec![("UID EXPUNGE", "NO Permission denied")];
    assert!(matches!(world.change(7, expunged).await, Answer::Refused(_)));
}

#[tokio::test]
async fn nothing_is_done_in_another_epoch_or_for_a_stranger() {
    let world = world().await;
    let refused = "this store is not the primary of epoch 9";
    assert_eq!(world.append(&Append { epoch: 9, ..ask("Work") }).await, Answer::Refused(refused.into()));
    assert_eq!(world.change(9, What::Folder("x".into())).await, Answer::Refused(refused.into()));
    let stranger = PeerClient::new("127.0.0.1".into(), PeerKey::new("wrong"));
    assert!(stranger.at(world.peer.port()).send(APPEND, "{}".into(), WITHIN).await.is_err());
    assert_eq!(world.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_mailbox_is_listed_with_programs_folders_that_were_asked_for() {
    let world = world().await;
    world.put("i1", "x.vn!user.an", &[Listed { uid: 5, ..Listed::default() }]);
    world.put("w1", "x.vn!user.an.Work", &[]);
    world.put("s1", "x.vn!user.an.#sieve", &[]);
    world.put("b1", "x.vn!user.binh", &[]);
    let folders = ["i1", "s1", "b1"].map(str::to_owned).to_vec();
    let ask = Ask { epoch: 7, address: "an@x.vn".into(), inbox: "i1".into(), owner: None, folders };
    let Answer::Done(Found::Mailbox(found)) = world.peer.ask(LIST, &ask, WITHIN).await.unwrap() else {
        panic!("not found")
    };
    let paths: Vec<_> = found.folders.iter().map(|it| (it.path.as_str(), it.mail)).collect();
    assert_eq!(paths, [("INBOX", true), ("Work", true), ("#sieve", false)]);
    assert_eq!(found.folders[0].messages[0].uid, 5);
}

#[tokio::test]
async fn what_the_former_primary_has_alone_is_brought_and_a_damaged_message_is_set_aside() {
    let world = world().await;
    world.put("i1", "x.vn!user.an", &[]);
    world.put("w1", "x.vn!user.an.Work", &[]);
    let former = tempfile::tempdir().unwrap();
    let spool = former.path().join("spool");
    let there = World {
        spool: tempfile::TempDir::new_in(former.path()).unwrap(),
        script: world.script.clone(),
        peer: world.peer.clone(),
    };
    let whole = Listed { uid: 1, guid: guid(), keywords: [1, 0, 0, 0], ..Listed::default() };
    let damaged = Listed { uid: 2, guid: [9; 20], ..Listed::default() };
    there.put("i1", "x.vn!user.an", &[whole, damaged]);
    fs::rename(there.spool.path(), &spool).unwrap();
    for uid in [1, 2] {
        fs::write(super::carry::file_of(&spool, "i1", uid).unwrap(), BODY).unwrap();
    }
    let carrier = Carrier::new(world.peer.clone(), 7, &spool, Aside::new(former.path(), 7));
    let account = Account { address: "an@x.vn".into(), inbox: "i1".into(), folders: vec!["i1".into()] };
    assert_eq!(carrier.carry(&account).await.unwrap(), Fate::Anew);
    assert_eq!(world.heard(), ["APPEND \"INBOX\" ($Forwarded) \"01-Jan-1970 00:00:00 +0000\" abc"]);
    let aside = former.path().join("set-aside-return-7/an@x.vn/INBOX");
    assert_eq!(fs::read(aside.join("2.eml")).unwrap(), BODY);
    assert_eq!(fs::read_dir(aside).unwrap().count(), 1);

    let mailbox: Mailbox = listing::mailbox(&spool, "an@x.vn", &["i1".to_owned()]).unwrap();
    assert_eq!(mailbox.folders[0].messages.len(), 2, "nothing is changed there");
    let wrong = Carrier::new(world.peer.clone(), 9, &spool, Aside::new(former.path(), 9));
    let error = wrong.carry(&account).await.unwrap_err().to_string();
    assert_eq!(error, "the present primary: this store is not the primary of epoch 9");
}

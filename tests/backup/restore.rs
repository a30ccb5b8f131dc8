//! Jobs that bring mail back, as processes: a real repository, and a store that keeps what it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use mail_operator::{
    agent::store::{
        PeerKey,
        restore::protocol::{
            APPEND, Answer, Append, Ask, Fate, HAVE, Have, LARGEST, Mailbox, Refusal, reason,
        },
    },
    api::restore::{Filter, Target},
    backup::manifest::Guid,
    job::{RestoreDone, RestoreWork, Stores, Work},
};
use serde_json::json;

use crate::pod::{Left, Pod};

const KEY: &str = "the stores' key";
const FIRST: &str = "From: =?utf-8?Q?B=C3=ACnh?= <binh@y.vn>\r\nSubject: =?utf-8?B?Q8O0bmcgdsSDbiA3?=\r\nMessage-ID: <7@y.vn>\r\n\r\none\r\n";
const SECOND: &str = "From: chi@y.vn\r\nSubject: meeting\r\nMessage-ID: <8@y.vn>\r\n\r\ntwo\r\n";

/// A message that a store has: where, its bytes, its flags and its date.
type Kept = (String, Vec<u8>, Vec<String>, u32);

#[derive(Default)]
struct Has {
    /// By address.
    mailboxes: BTreeMap<String, Vec<Kept>>,
    /// Requests that are refused before one is not, and whose answers are lost after one is carried out.
    refuses: u32,
    loses: u32,
    full: bool,
    epoch: u64,
}

/// A store, as its agent is seen by a Job.
#[derive(Clone)]
struct Store {
    has: Arc<Mutex<Has>>,
    port: u16,
}

impl Store {
    fn new(mailboxes: &[&str]) -> Self {
        let has = Arc::new(Mutex::new(Has { epoch: 7, ..Has::default() }));
        for address in mailboxes {
            has.lock().unwrap().mailboxes.insert((*address).to_owned(), Vec::new());
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let store = Self { has, port };
        let served = store.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, served.routes()).await.unwrap();
            });
        });
        store
    }

    fn routes(self) -> Router {
        let (role, have, append) = (self.clone(), self.clone(), self);
        let role = move || {
            let epoch = role.has.lock().unwrap().epoch;
            async move {
                Json(
                    json!({"pod": "p", "epoch": epoch, "serving": true, "phase": "Primary", "in_sync": true}),
                )
            }
        };
        let have = async move |headers: HeaderMap, body: Bytes| have.answered(HAVE, &headers, &body);
        let append = async move |headers: HeaderMap, body: Bytes| append.answered(APPEND, &headers, &body);
        Router::new()
            .route("/role", get(role))
            .route(HAVE, post(have))
            .route(APPEND, post(append))
            .layer(axum::extract::DefaultBodyLimit::max(LARGEST))
    }

    fn answered(&self, path: &str, headers: &HeaderMap, body: &Bytes) -> Response {
        let key = PeerKey::new(KEY);
        let Some((bytes, mac)) = key.accept(path, headers, body) else { return PeerKey::refuse() };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let mut has = self.has.lock().unwrap();
        if has.refuses > 0 {
            has.refuses -= 1;
            // Another store took over.
            has.epoch += 1;
            let refused: Answer<()> = Answer::Refused("this store is not the primary".into());
            return key.answer(&mac, serde_json::to_vec(&refused).unwrap());
        }
        let answer = if path == HAVE {
            let ask: Ask = serde_json::from_slice(&bytes[..end]).unwrap();
            assert_eq!(ask.epoch, has.epoch);
            serde_json::to_vec(&Answer::Done(has.have(&ask.address)))
        } else {
            let ask: Append = serde_json::from_slice(&bytes[..end]).unwrap();
            let fates = has.append(&ask, &bytes[end + 1..]);
            serde_json::to_vec(&Answer::Done(fates))
        };
        if path == APPEND && has.loses > 0 {
            has.loses -= 1;
            return PeerKey::refuse();
        }
        key.answer(&mac, answer.unwrap())
    }

    fn paths(&self, address: &str) -> Vec<String> {
        let has = self.has.lock().unwrap();
        has.mailboxes[address].iter().map(|(path, ..)| path.clone()).collect()
    }
}

impl Has {
    fn have(&self, address: &str) -> Have {
        let Some(messages) = self.mailboxes.get(address) else {
            return Have::Refused(Refusal::new(reason::NO_MAILBOX, "no such mailbox"));
        };
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, bytes, ..) in messages {
            folders.entry(path.clone()).or_default().insert(sha1(bytes));
        }
        Have::Mailbox(Mailbox { folders, kept: BTreeSet::new() })
    }

    fn append(&mut self, ask: &Append, mut rest: &[u8]) -> Vec<Fate> {
        let full = self.full;
        let messages = self.mailboxes.get_mut(&ask.address).unwrap();
        let mut fates = Vec::new();
        for message in &ask.messages {
            let Some(length) = message.bytes else {
                fates.push(Fate::Lacking);
                continue;
            };
            let (bytes, after) = rest.split_at(usize::try_from(length).unwrap());
            rest = after;
            assert_eq!(sha1(bytes), message.guid);
            if messages.iter().any(|(path, other, ..)| *path == message.path && other == bytes) {
                fates.push(Fate::There);
            } else if full {
                fates.push(Fate::Refused(Refusal::new(reason::FULL, "Over quota")));
            } else {
                let flags = message.flags.0.iter().cloned().collect();
                messages.push((message.path.clone(), bytes.to_vec(), flags, message.date));
                fates.push(Fate::Appended);
            }
        }
        fates
    }
}

fn sha1(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    Guid(digest.as_ref().try_into().unwrap()).to_string()
}

/// A pod whose repository has a snapshot of mailboxes `an@x.vn` and `binh@y.vn`.
fn pod() -> (Pod, String) {
    let pod = Pod::new();
    pod.volume.put("ef1", "x.vn!user.an.C&AaE- quan.2026", &[FIRST, SECOND]);
    fs::create_dir(pod.repo.path("login")).unwrap();
    fs::write(pod.repo.path("login").join("peer-key"), KEY).unwrap();
    let snapshot = pod.backs_up(pod.backup("r1")).done.unwrap().snapshot.unwrap();
    (pod, snapshot.id)
}

fn work(pod: &Pod, snapshot: &str, store: &Store, addresses: &[&str]) -> RestoreWork {
    let stores = Stores { host: "127.0.0.1".into(), pods: 1, port: store.port };
    RestoreWork {
        repository: pod.repository(),
        snapshot: snapshot.to_owned(),
        addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
        filter: Filter::default(),
        target: None,
        dry_run: false,
        shard: 0,
        stores: [(0, stores)].into(),
    }
}

fn restores(pod: &Pod, work: RestoreWork) -> Left<RestoreDone> {
    pod.started(&Work::Restore(work)).left()
}

fn counts(done: &RestoreDone) -> (u64, u64, u64, u64) {
    (done.found, done.restored, done.skipped, done.failed)
}

fn reason_of(done: &RestoreDone) -> &str {
    done.failure.as_ref().map_or("", |failed| failed.reason.as_str())
}

#[test]
fn a_mailbox_comes_back_with_its_folders_flags_and_dates_and_only_once() {
    let (pod, id) = pod();
    let store = Store::new(&["an@x.vn", "binh@y.vn"]);
    let left = restores(&pod, work(&pod, &id, &store, &["an@x.vn"]));
    let done = left.done.unwrap();
    assert_eq!((left.code, counts(&done), reason_of(&done)), (Some(0), (6, 6, 0, 0), ""), "{done:?}");
    assert!(done.mailboxes.contains("an@x.vn") && done.examples.len() == 6, "{done:?}");
    let (new, inbox) = ("C&AaE- quan/2026", "INBOX");
    assert_eq!(store.paths("an@x.vn"), [inbox, inbox, inbox, new, new, "Sent"]);
    assert!(store.paths("binh@y.vn").is_empty());
    let (_, bytes, flags, date) = store.has.lock().unwrap().mailboxes["an@x.vn"][3].clone();
    assert_eq!((bytes.as_slice(), date), (FIRST.as_bytes(), 1_764_000_001));
    assert_eq!(flags, ["$Label1", "\\Seen"]);

    store.has.lock().unwrap().mailboxes.get_mut("an@x.vn").unwrap().remove(4);
    let done = restores(&pod, work(&pod, &id, &store, &[])).done.unwrap();
    assert_eq!(counts(&done), (7, 2, 5, 0), "{done:?}");
    let done = restores(&pod, work(&pod, &id, &store, &[])).done.unwrap();
    assert_eq!(counts(&done), (7, 0, 7, 0), "{done:?}");
    assert!(
        fs::read_dir(pod.repo.path("scratch/restored"))
            .unwrap()
            .all(|entry| entry.unwrap().file_name() == "manifest")
    );
}

#[test]
fn one_message_is_found_by_what_people_know_of_it_and_told_before_it_comes() {
    let (pod, id) = pod();
    let store = Store::new(&["an@x.vn"]);
    let subject =
        Filter { subject: Some("CÔNG VĂN 7".into()), from: Some("bình".into()), ..Filter::default() };
    let mut wanted = work(&pod, &id, &store, &["an@x.vn"]);
    wanted.filter = subject;
    wanted.dry_run = true;
    let done = restores(&pod, wanted.clone()).done.unwrap();
    assert_eq!((counts(&done), reason_of(&done)), ((1, 1, 0, 0), ""), "{done:?}");
    assert!(done.examples[0].starts_with("Cơ quan/2026: Công văn 7 (2025-11-24T"), "{done:?}");
    assert!(store.paths("an@x.vn").is_empty(), "it only tells");
    wanted.dry_run = false;
    wanted.target = Some(Target { mailbox: None, folder: Some("Của An".into()) });
    assert_eq!(counts(&restores(&pod, wanted.clone()).done.unwrap()), (1, 1, 0, 0));
    assert_eq!(store.paths("an@x.vn"), ["C&Huc-a An/C&AaE- quan/2026"]);
    assert_eq!(counts(&restores(&pod, wanted).done.unwrap()), (1, 0, 1, 0));
}

#[test]
fn nothing_comes_instead_of_what_is_not_there_and_what_is_near_is_named() {
    let (pod, id) = pod();
    let store = Store::new(&["an@x.vn"]);
    let of = |addresses: &[&str], filter: Filter| {
        let left = restores(&pod, RestoreWork { filter, ..work(&pod, &id, &store, addresses) });
        let done = left.done.unwrap();
        assert_eq!((left.code, reason_of(&done)), (Some(3), "NothingMatches"), "{done:?}");
        done.examples
    };
    let near = of(&["am@x.vn"], Filter::default());
    assert_eq!(near[0], "the backup has a mailbox an@x.vn");
    let near = of(&["an@x.vn"], Filter { folder: Some("Cơ quan/2025".into()), ..Filter::default() });
    assert_eq!(near[0], "there is a folder Cơ quan/2026 with 2 messages");
    let near = of(&["an@x.vn"], Filter { subject: Some("công văn 8".into()), ..Filter::default() });
    assert!(near[0].starts_with("there is Cơ quan/2026: Công văn 7"), "{near:?}");
    assert!(store.paths("an@x.vn").is_empty());
}

#[test]
fn a_switch_of_the_primary_and_a_lost_answer_change_nothing() {
    let (pod, id) = pod();
    let store = Store::new(&["an@x.vn"]);
    store.has.lock().unwrap().refuses = 2;
    store.has.lock().unwrap().loses = 1;
    let done = restores(&pod, work(&pod, &id, &store, &["an@x.vn"])).done.unwrap();
    assert_eq!((counts(&done), reason_of(&done)), ((6, 6, 0, 0), ""), "{done:?}");
    assert_eq!(store.paths("an@x.vn").len(), 6);
}

#[test]
fn what_does_not_fit_and_who_is_not_there_is_told_with_what_to_do() {
    let (pod, id) = pod();
    let store = Store::new(&["an@x.vn"]);
    let left = restores(&pod, work(&pod, &id, &store, &[]));
    let done = left.done.unwrap();
    assert_eq!((left.code, counts(&done)), (Some(3), (7, 6, 0, 1)), "{done:?}");
    assert_eq!(reason_of(&done), "PartiallyRestored");
    let store = Store::new(&["an@x.vn"]);
    store.has.lock().unwrap().full = true;
    let done = restores(&pod, work(&pod, &id, &store, &["an@x.vn"])).done.unwrap();
    assert_eq!((counts(&done), reason_of(&done)), ((6, 0, 0, 6), "QuotaExceeded"), "{done:?}");
    assert!(done.failure.unwrap().message.contains("raise the quota"));
    let binh = restores(&pod, work(&pod, &id, &store, &["binh@y.vn"])).done.unwrap();
    assert_eq!((counts(&binh), reason_of(&binh)), ((1, 0, 0, 1), "NoSuchMailbox"), "{binh:?}");
}

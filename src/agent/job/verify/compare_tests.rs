use super::*;
use crate::agent::job::verify::testing::{folder, message, sha1};

/// Frozen long after all folders were made.
fn head() -> Head {
    let frozen = 1_764_036_000_000;
    Head { system: "m/x".into(), shard: 0, pod: "p".into(), run: "r".into(), frozen, lag: Some(2_000) }
}

fn contents() -> Contents {
    let expunged = Message { expunged: true, ..message(3) };
    let folders = vec![
        (folder("f1"), vec![message(1), message(2), expunged]),
        (folder("f2"), vec![]),
        (Folder { deleted: true, ..folder("f3") }, vec![message(1)]),
        (Folder { kind: "js".into(), ..folder("f4") }, vec![message(1)]),
    ];
    Contents { mailbox: Some("an@x.vn".into()), folders }
}

fn opened(id: &str, exists: u32) -> (String, (Vec<u8>, Opened)) {
    let name = format!("INBOX/{id}").into_bytes();
    (id.to_owned(), (name, Opened { id: id.to_owned(), uid_validity: 7, exists }))
}

fn served() -> Served {
    Served { opened: [opened("f1", 2), opened("f2", 0)].into(), refused: Vec::new() }
}

fn told(contents: &Contents, served: &Served) -> Option<String> {
    let mut findings = Findings::default();
    folders(&head(), contents, served, &mut findings);
    let failed = findings.verdict()?;
    assert_eq!((failed.reason.as_str(), findings.mailboxes().len()), ("MailboxesDiffer", 1));
    let (_, message) = failed.message.split_once("(an@x.vn: ").unwrap();
    Some(message.trim_end_matches(')').to_owned())
}

#[test]
fn what_is_served_as_it_was_is_no_finding() {
    assert_eq!(told(&contents(), &served()), None);
    let mut more = served();
    // Frozen between the names and the folders: renamed, deleted, and one that is not for mail but is listed.
    more.opened.extend([opened("f3", 1), opened("f4", 1)]);
    more.opened.get_mut("f2").unwrap().0 = b"INBOX/former".to_vec();
    assert_eq!(told(&contents(), &more), None);
}

#[test]
fn folders_that_are_lacking_other_or_more_are_told() {
    let but = |change: fn(&mut Served)| {
        let mut served = served();
        change(&mut served);
        told(&contents(), &served).unwrap()
    };
    assert_eq!(but(|served| drop(served.opened.remove("f2"))), "folder f2: Cyrus does not have it");
    let fewer = but(|served| served.opened.get_mut("f1").unwrap().1.exists = 1);
    assert_eq!(fewer, "folder f1: it has 1 messages, and had 2");
    let other = but(|served| served.opened.get_mut("f1").unwrap().1.uid_validity = 8);
    assert_eq!(other, "folder f1: its UIDVALIDITY is 8, and was 7");
    let more = but(|served| served.opened.extend([opened("f9", 0)]));
    assert_eq!(more, "folder f9 is not in the manifest");
    let broken = but(|served| {
        served.opened.remove("f2");
        served.refused.push((b"INBOX/f2".to_vec(), "System I/O error".into()));
    });
    assert_eq!(broken, "Cyrus cannot open INBOX/f2: System I/O error");
}

#[test]
fn a_folder_that_was_made_while_the_volume_was_frozen_need_not_be_listed() {
    let made = |before: i64| {
        let mut contents = contents();
        let seconds = (head().frozen - before) / 1000;
        contents.folders[1].0.uid_validity = u32::try_from(seconds).unwrap();
        let mut served = served();
        served.opened.remove("f2");
        told(&contents, &served)
    };
    assert_eq!(made(-5_000), None);
    assert_eq!(made(61_000), None, "what the replica lacked, and clocks");
    assert!(made(63_000).is_some());
}

#[test]
fn messages_are_compared_by_their_content_and_their_flags() {
    let all: Vec<_> = (1..=5).map(message).collect();
    let fetched = |uid: u32| Fetched {
        uid,
        flags: vec!["$Label1".into(), "\\Recent".into(), "\\Seen".into()],
        guid: Some(sha1(&uid.to_string())),
    };
    let told = |came: &[Fetched]| {
        let mut findings = Findings::default();
        messages(Some("an@x.vn"), &folder("f1"), &all, &[2, 4], came, &mut findings);
        findings
            .verdict()
            .map(|failed| (failed.reason, failed.message.split_once("UID ").unwrap().1.to_owned()))
    };
    let finding = |what: &str| Some(("MessagesDiffer".to_owned(), what.to_owned()));
    assert_eq!(told(&[fetched(4), fetched(2)]), None);
    assert_eq!(told(&[fetched(2)]), finding("4 in folder f1 is not served)"));
    let other = Fetched { guid: Some(sha1("x")), ..fetched(2) };
    assert_eq!(told(&[other, fetched(4)]), finding("2 in folder f1 has another content)"));
    let empty = Fetched { guid: None, ..fetched(2) };
    assert_eq!(told(&[empty, fetched(4)]), finding("2 in folder f1 has another content)"));
    let unread = Fetched { flags: vec!["$Label1".into()], ..fetched(2) };
    assert_eq!(told(&[unread, fetched(4)]), finding("2 in folder f1 has other flags)"));
}

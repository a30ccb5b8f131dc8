use std::io::Read;

use proptest::prelude::*;

use super::*;

fn folder(id: &str, folder: &str) -> Folder {
    Folder {
        folder: folder.into(),
        name: format!("x.vn!user.an.{id}"),
        id: id.into(),
        kind: "e".into(),
        uid_validity: 7,
        deleted: false,
    }
}

fn message(uid: u32) -> Message {
    let flags = vec!["\\Seen".into(), "$Việc".into()];
    Message {
        uid,
        guid: Guid([u8::try_from(uid % 251).unwrap(); 20]),
        date: 100,
        size: 10,
        flags,
        expunged: false,
    }
}

fn contents() -> Contents {
    let expunged = Message { expunged: true, flags: Vec::new(), ..message(9) };
    let folders = vec![
        (folder("a", "INBOX"), vec![message(1), message(3), expunged]),
        (folder("b", "Cơ quan/2026"), vec![]),
        (folder("c", "Sent"), vec![message(2)]),
    ];
    Contents { mailbox: Some("an@x.vn".into()), folders }
}

fn written(contents: &Contents) -> Vec<u8> {
    let mut writer = MailboxWriter::new(Vec::new(), contents.mailbox.as_deref()).unwrap();
    for (folder, messages) in &contents.folders {
        writer.folder(folder).unwrap();
        for message in messages {
            writer.message(message).unwrap();
        }
    }
    writer.finish().unwrap().0
}

fn read(bytes: &[u8]) -> Result<Contents, ReadError> {
    MailboxReader::new(bytes)?.contents()
}

fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    zstd::Decoder::new(bytes).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn packed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn what_is_written_is_json_that_anyone_reads() {
    let bytes = written(&contents());
    let lines = text(&bytes);
    let sum = lines.rsplit('"').nth(1).unwrap();
    insta::assert_snapshot!(lines.replace(sum, "SUM"), @r#"
    {"manifest":1,"mailbox":"an@x.vn"}
    {"folder":"INBOX","name":"x.vn!user.an.a","id":"a","kind":"e","uidValidity":7}
    {"uid":1,"guid":"0101010101010101010101010101010101010101","date":100,"size":10,"flags":["\\Seen","$Việc"]}
    {"uid":3,"guid":"0303030303030303030303030303030303030303","date":100,"size":10,"flags":["\\Seen","$Việc"]}
    {"uid":9,"guid":"0909090909090909090909090909090909090909","date":100,"size":10,"expunged":true}
    {"folder":"Cơ quan/2026","name":"x.vn!user.an.b","id":"b","kind":"e","uidValidity":7}
    {"folder":"Sent","name":"x.vn!user.an.c","id":"c","kind":"e","uidValidity":7}
    {"uid":2,"guid":"0202020202020202020202020202020202020202","date":100,"size":10,"flags":["\\Seen","$Việc"]}
    {"end":{"folders":3,"messages":3,"expunged":1,"bytes":30},"sha256":"SUM"}
    "#);
    assert_eq!(read(&bytes).unwrap(), contents());
    assert_eq!(written(&contents()), bytes, "the same bytes each time");
}

#[test]
fn a_manifest_that_was_cut_off_or_changed_is_never_taken_for_whole() {
    let bytes = written(&contents());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        assert!(read(&broken).is_err() || read(&broken).unwrap() == contents(), "{at}");
    }
    let whole = text(&bytes);
    let lines: Vec<_> = whole.lines().collect();
    let without = |gone: usize| {
        let left: Vec<_> =
            lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
        packed(&(left.join("\n") + "\n"))
    };
    for gone in 0..lines.len() {
        assert!(read(&without(gone)).is_err(), "{gone}");
    }
    assert!(matches!(read(&without(lines.len() - 1)), Err(ReadError::Truncated)));
    assert!(matches!(
        read(&packed(&whole.replace("\"size\":10", "\"size\":11"))),
        Err(ReadError::Damaged(9, _))
    ));
    assert!(matches!(read(&packed(&(whole.clone() + "{}\n"))), Err(ReadError::Damaged(9, _))));
    assert!(matches!(read(&packed("{\"manifest\":2,\"mailbox\":null}\n")), Err(ReadError::Version(2))));
}

#[test]
fn messages_out_of_order_or_in_no_folder_are_not_written() {
    let mut writer = MailboxWriter::new(Vec::new(), None).unwrap();
    assert!(writer.message(&message(1)).is_err());
    writer.folder(&folder("a", "INBOX")).unwrap();
    writer.message(&message(2)).unwrap();
    assert!(writer.message(&message(2)).is_err() && writer.message(&message(1)).is_err());
    writer.folder(&folder("b", "Sent")).unwrap();
    writer.message(&message(1)).unwrap();
    let (bytes, counts) = writer.finish().unwrap();
    assert_eq!(counts, Counts { folders: 2, messages: 2, expunged: 0, bytes: 20 });
    assert_eq!(MailboxReader::new(bytes.as_slice()).unwrap().mailbox(), None);
}

fn head() -> Head {
    Head {
        system: "mail/province".into(),
        shard: 3,
        pod: "province-store-3-1".into(),
        run: "r1".into(),
        frozen: 1_764_036_000_123,
        lag: Some(58),
    }
}

#[test]
fn the_index_counts_all_mailboxes() {
    let counts = Counts { folders: 1, messages: 2, expunged: 3, bytes: 4 };
    let entry = |mailbox: Option<&str>| Entry {
        mailbox: mailbox.map(str::to_owned),
        file: file_name(mailbox),
        sha256: "00".repeat(32),
        counts,
    };
    let mut writer = IndexWriter::new(Vec::new(), &head()).unwrap();
    writer.entry(&entry(Some("an@x.vn"))).unwrap();
    writer.entry(&entry(None)).unwrap();
    let bytes = writer.finish().unwrap();
    assert!(text(&bytes).starts_with(
        r#"{"manifest":1,"system":"mail/province","shard":3,"pod":"province-store-3-1","run":"r1","frozen":1764036000123,"lag":58}"#
    ));
    let mut reader = IndexReader::new(bytes.as_slice()).unwrap();
    assert_eq!(reader.head(), &head());
    assert_eq!(reader.next_entry().unwrap(), Some(entry(Some("an@x.vn"))));
    assert_eq!(reader.next_entry().unwrap(), Some(entry(None)));
    assert_eq!(reader.next_entry().unwrap(), None);
    assert_eq!(reader.counts(), Counts { folders: 2, messages: 4, expunged: 6, bytes: 8 });
    let later = packed("{\"manifest\":9,\"sharding\":\"other\"}\n");
    assert!(matches!(IndexReader::new(later.as_slice()), Err(ReadError::Version(9))));
}

#[test]
fn folders_belong_to_whom_their_names_say() {
    let of = |name: &str| {
        let Owner { mailbox, folder, deleted } = Owner::of(name);
        (mailbox.unwrap_or_default(), folder, deleted)
    };
    let an = || "an.nguyen@x.vn".to_owned();
    assert_eq!(of("x.vn!user.an^nguyen"), (an(), "INBOX".into(), false));
    assert_eq!(of("x.vn!user.an^nguyen.C&AaE- quan.2026^1"), (an(), "Cơ quan/2026.1".into(), false));
    assert_eq!(of("x.vn!user.an^nguyen.R&-D"), (an(), "R&D".into(), false));
    assert_eq!(of("x.vn!user.an^nguyen.a&b"), (an(), "a&b".into(), false));
    assert_eq!(of("x.vn!DELETED.user.an^nguyen.Sent.6B04D33E"), (an(), "Sent".into(), true));
    assert_eq!(of("x.vn!DELETED.user.an^nguyen.6B04D33E"), (an(), "INBOX".into(), true));
    assert_eq!(of("x.vn!shared.news"), (String::new(), "x.vn!shared.news".into(), false));
    assert_eq!(of("user.an"), (String::new(), "user.an".into(), false));
    assert_eq!(file_name(Some("an.nguyen@x.vn")), "mailboxes/an.nguyen@x.vn.jsonl.zst");
    assert_eq!(file_name(Some("../Tô'$~")), "mailboxes/..%2F%54%C3%B4%27%24%7E.jsonl.zst");
    assert_eq!(file_name(None), "mailboxes/nobody.jsonl.zst");
}

#[test]
fn each_difference_has_its_kind_and_only_those_that_lose_mail_say_so() {
    let (old, mut new) = (contents(), contents());
    assert_eq!(difference(&old, &new), []);
    new.folders[0].1[0].flags.clear();
    new.folders[0].1[1].guid = Guid([9; 20]);
    new.folders[0].1.remove(2);
    new.folders[0].1.push(message(10));
    new.folders[1].0.folder = "Cơ quan/cũ".into();
    let inbox = || folder("a", "INBOX");
    let (sent, _) = old.folders[2].clone();
    new.folders[2] = (folder("d", "Gửi"), vec![message(1)]);
    let changes = difference(&old, &new);
    let expected = [
        Change::Marks(inbox(), message(1), Message { flags: vec![], ..message(1) }),
        Change::Content(inbox(), message(3), Message { guid: Guid([9; 20]), ..message(3) }),
        Change::Gone(inbox(), old.folders[0].1[2].clone()),
        Change::New(inbox(), message(10)),
        Change::FolderMoved(old.folders[1].0.clone(), new.folders[1].0.clone()),
        Change::FolderGone(sent, 1),
        Change::FolderNew(folder("d", "Gửi"), 1),
    ];
    assert_eq!(changes, expected);
    let loses: Vec<_> = changes.iter().map(Change::loses_mail).collect();
    assert_eq!(loses, [false, true, false, false, false, true, false]);
    let mut other = contents();
    other.folders[0].0.uid_validity = 8;
    let changes = difference(&old, &other);
    assert!(matches!(changes.as_slice(), [change @ Change::UidValidity(..)] if change.loses_mail()));
    let backwards = difference(&new, &old);
    assert_eq!(backwards.len(), expected.len());
}

fn any_message() -> impl Strategy<Value = Message> {
    let flags = proptest::collection::vec("[ -~é]{1,5}", 0..3);
    (any::<[u8; 20]>(), any::<u32>(), any::<u32>(), flags, any::<bool>()).prop_map(
        |(guid, date, size, flags, expunged)| Message {
            uid: 0,
            guid: Guid(guid),
            date,
            size,
            flags,
            expunged,
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        mailbox in proptest::option::of(".{0,9}"), messages in proptest::collection::vec((1_u32..9, any_message()), 0..20), name in ".{0,9}",
    ) {
        let mut uid = 0;
        let messages = messages.into_iter().map(|(step, message)| { uid += step; Message { uid, ..message } }).collect();
        let contents = Contents { mailbox, folders: vec![(folder("a", &name), messages), (folder("b", "x"), vec![])] };
        prop_assert_eq!(read(&written(&contents)).unwrap(), contents);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), line in "\\{\"(uid|end|folder|manifest)\".{0,40}\n", name in ".{0,20}") {
        let _ = read(&bytes);
        let _ = read(&packed(&format!("{{\"manifest\":1,\"mailbox\":null}}\n{line}")));
        let _ = Owner::of(&name);
        let _ = Owner::of(&format!("x.vn!user.an.{name}"));
    }
}

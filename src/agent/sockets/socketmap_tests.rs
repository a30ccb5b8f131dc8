//! What Postfix is told, from a small directory.

use super::*;
use crate::agent::directory::testing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn ask(replica: &Replica, map: &'static str, key: &'static str) -> Reply {
    answer(replica, &Request { map: Bytes::from(map), key: Bytes::from(key) })
}

#[test]
fn nothing_is_unknown_before_the_directory_is_there() {
    for map in ["mailbox", "alias", "sender"] {
        assert!(matches!(ask(&testing::empty(), map, "an@x.vn"), Reply::Temp(_)));
    }
}

#[test]
fn addresses_are_found_in_any_case_and_by_what_they_are() {
    let replica = testing::replica();
    let an = Reply::Ok("an@x.vn".into());
    assert_eq!(ask(&replica, "mailbox", "An@X.vn"), an);
    assert_eq!(ask(&replica, "mailbox", "van-thu@x.vn"), Reply::NotFound);
    assert_eq!(ask(&replica, "alias", "\"van-thu\"@x.vn"), an);
    assert_eq!(ask(&replica, "alias", "an@x.vn"), Reply::NotFound);
    assert_eq!(ask(&replica, "sender", "van-thu@x.vn"), an);
    assert_eq!(ask(&replica, "sender", "an@x.vn"), an);
    for key in ["nobody@x.vn", "@x.vn", "an", "an@", "a b@x.vn"] {
        assert_eq!(ask(&replica, "sender", key), Reply::NotFound, "{key}");
    }
    assert!(matches!(ask(&replica, "transport", "an@x.vn"), Reply::Perm(_)));
}

#[test]
fn who_writes_to_a_mailbox_that_takes_no_mail_is_told_so_by_each_of_its_addresses() {
    use crate::directory::{Entry, MailboxEntry, Shard};
    let replica = testing::replica();
    assert_eq!(ask(&replica, "refusal", "an@x.vn"), Reply::NotFound);
    for (refusal, start) in [
        (Refusal::Unsettled, "451 4.2.1 "),
        (Refusal::Suspended, "550 5.2.1 "),
        (Refusal::Retired(None), "550 5.1.6 This mailbox is closed /"),
        (Refusal::Retired(Some("b@y.vn".into())), "550 5.1.6 This mailbox is closed, write to b@y.vn"),
    ] {
        let mailbox = MailboxEntry { refusal: Some(refusal), ..MailboxEntry::default() };
        let entries = [
            ("an@x.vn".to_owned(), Entry::Mailbox(mailbox)),
            ("van-thu@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
        ];
        let replica = testing::empty();
        testing::fill(&replica);
        let shard = Shard { entries: entries.into(), ..Shard::default() };
        assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
        for key in ["An@x.vn", "van-thu@x.vn"] {
            let Reply::Ok(action) = ask(&replica, "refusal", key) else { panic!("{key} is taken") };
            assert!(action.starts_with(start.as_bytes()) && action.is_ascii(), "{action:?}");
        }
        assert_eq!(ask(&replica, "refusal", "x.vn"), Reply::NotFound);
    }
}

#[test]
fn members_who_may_send_are_named_as_senders_and_those_who_only_read_are_not() {
    use crate::{
        api::MemberRight,
        directory::{Entry, MailboxEntry, Shard, Share},
    };
    let member = |address: &str, right| Share { address: address.into(), rights: [right].into() };
    let members = vec![member("an@x.vn", MemberRight::SendAs), member("binh@x.vn", MemberRight::Write)];
    let mailbox = MailboxEntry { shares: members, ..MailboxEntry::default() };
    let entries = [
        ("vt@x.vn".to_owned(), Entry::Mailbox(mailbox)),
        ("van-thu@x.vn".to_owned(), Entry::Alias("vt@x.vn".into())),
    ];
    let replica = testing::empty();
    testing::fill(&replica);
    let shard = Shard { entries: entries.into(), ..Shard::default() };
    assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
    for key in ["vt@x.vn", "Van-thu@x.vn"] {
        assert_eq!(ask(&replica, "sender", key), Reply::Ok("vt@x.vn,an@x.vn".into()));
    }
    assert!(replica.owns("an@x.vn", "van-thu@x.vn") && replica.owns("vt@x.vn", "vt@x.vn"));
    assert!(!replica.owns("binh@x.vn", "vt@x.vn"));
}

#[test]
fn a_detail_is_not_part_of_an_address_and_is_kept() {
    let replica = testing::replica();
    assert_eq!(ask(&replica, "mailbox", "An+Viec@x.vn"), Reply::Ok("an+viec@x.vn".into()));
    assert_eq!(ask(&replica, "alias", "an+viec@x.vn"), Reply::NotFound);
    assert_eq!(ask(&replica, "mailbox", "van-thu+a+b@x.vn"), Reply::NotFound);
    assert_eq!(ask(&replica, "alias", "van-thu+a+b@x.vn"), Reply::Ok("an+a+b@x.vn".into()));
    assert_eq!(ask(&replica, "sender", "an+viec@x.vn"), Reply::Ok("an@x.vn".into()));
    for unknown in ["nobody+viec@x.vn", "+viec@x.vn"] {
        assert_eq!(ask(&replica, "mailbox", unknown), Reply::NotFound, "{unknown}");
    }
}

#[test]
fn a_forward_replaces_a_recipient_or_stands_beside_it() {
    use crate::directory::{Entry, Forward, MailboxEntry, Shard};
    for (copy, own, detailed) in
        [(true, "an@x.vn,binh@x.vn", "an+viec@x.vn,binh@x.vn"), (false, "binh@x.vn", "binh@x.vn")]
    {
        let forward = Some(Forward { to: "binh@x.vn".into(), copy });
        let entries = [
            ("an@x.vn".to_owned(), Entry::Mailbox(MailboxEntry { forward, ..MailboxEntry::default() })),
            ("van-thu@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
        ];
        let replica = testing::empty();
        testing::fill(&replica);
        let shard = Shard { entries: entries.into(), ..Shard::default() };
        assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
        for key in ["an@x.vn", "van-thu@x.vn"] {
            assert_eq!(ask(&replica, "alias", key), Reply::Ok(own.into()), "{key}");
        }
        assert_eq!(ask(&replica, "alias", "van-thu+viec@x.vn"), Reply::Ok(detailed.into()));
        assert_eq!(ask(&replica, "mailbox", "an@x.vn"), Reply::Ok("an@x.vn".into()));
    }
}

#[test]
fn a_group_is_whom_it_reaches_and_nobody_sends_as_it() {
    use crate::directory::{Group, Shard};
    let recipients: Vec<String> = (0..5000).map(|n| format!("u{n:0>60}@{}.vn", "x".repeat(60))).collect();
    let group = |recipients| Group { recipients, ..Group::default() };
    let groups =
        [("nhom@x.vn".to_owned(), group(recipients.clone())), ("trong@x.vn".to_owned(), group(vec![]))];
    let replica = testing::empty();
    testing::fill(&replica);
    let shard = Shard { groups: groups.into(), ..Shard::default() };
    assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
    let all = Reply::Ok(recipients.join(",").into());
    for key in ["Nhom@x.vn", "nhom+viec@x.vn"] {
        assert_eq!(ask(&replica, "alias", key), all);
    }
    let mut bytes = bytes::BytesMut::new();
    tokio_util::codec::Encoder::encode(&mut Codec, all, &mut bytes).unwrap();
    for map in ["mailbox", "sender", "refusal"] {
        assert_eq!(ask(&replica, map, "nhom@x.vn"), Reply::NotFound, "{map}");
    }
    assert!(matches!(ask(&replica, "alias", "trong@x.vn"), Reply::Temp(_)));
    let Reply::Ok(waits) = ask(&replica, "refusal", "trong@x.vn") else { panic!("it is taken") };
    assert!(waits.starts_with(b"451 4.2.1 ") && waits.is_ascii());
}

#[test]
fn a_group_is_reached_by_an_alias_and_by_whoever_forwards_to_it() {
    use crate::directory::{Entry, Forward, Group, MailboxEntry, Shard};
    let forward = |copy| Some(Forward { to: "nhom@x.vn".into(), copy });
    let mailbox = |forward| Entry::Mailbox(MailboxEntry { forward, ..MailboxEntry::default() });
    let entries = [
        ("n@x.vn".to_owned(), Entry::Alias("nhom@x.vn".into())),
        ("an@x.vn".to_owned(), mailbox(forward(true))),
        ("binh@x.vn".to_owned(), mailbox(forward(false))),
        ("chi@x.vn".to_owned(), mailbox(None)),
        ("dung@x.vn".to_owned(), mailbox(None)),
    ];
    let group = Group { recipients: vec!["chi@x.vn".into(), "dung@x.vn".into()], ..Group::default() };
    let replica = testing::empty();
    testing::fill(&replica);
    let groups = [("nhom@x.vn".to_owned(), group)].into();
    let shard = Shard { entries: entries.into(), groups, ..Shard::default() };
    assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
    for key in ["n@x.vn", "N@X.vn", "n+viec@x.vn", "nhom@x.vn"] {
        assert_eq!(ask(&replica, "alias", key), Reply::Ok("chi@x.vn,dung@x.vn".into()), "{key}");
        for map in ["mailbox", "sender", "refusal"] {
            assert_eq!(ask(&replica, map, key), Reply::NotFound, "{map} {key}");
        }
        assert!(replica.find(key).is_none());
    }
    let ends = |address| expand(&replica, address).unwrap().join(" ");
    assert_eq!(ends("n@x.vn"), "chi@x.vn dung@x.vn");
    assert_eq!(ends("an@x.vn"), "an@x.vn chi@x.vn dung@x.vn");
    assert_eq!(ends("binh@x.vn"), "chi@x.vn dung@x.vn");
}

#[test]
fn an_alias_whose_mailbox_has_not_arrived_is_not_unknown() {
    use crate::directory::{Entry, Shard};
    let replica = testing::empty();
    testing::fill(&replica);
    let entries = [
        ("an@x.vn".to_owned(), Entry::Alias("an.le@x.vn".into())),
        ("a@x.vn".to_owned(), Entry::Alias("an@x.vn".into())),
    ];
    let shard = Shard { entries: entries.into(), ..Shard::default() };
    assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
    for (map, key) in
        [("mailbox", "an@x.vn"), ("alias", "an@x.vn"), ("sender", "a@x.vn"), ("refusal", "a@x.vn")]
    {
        assert!(matches!(ask(&replica, map, key), Reply::Temp(_)), "{map} {key}");
    }
    assert_eq!(ask(&replica, "alias", "an.le@x.vn"), Reply::NotFound);
}

#[tokio::test]
async fn postfix_asks_several_questions_on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    let shutdown = CancellationToken::new();
    let mut registry = crate::metrics::registry();
    let server = serve(&path, testing::replica(), &mut registry, shutdown.clone()).unwrap();
    let server = tokio::spawn(server);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"15:mailbox An@x.vn,14:mailbox x@x.vn,").await.unwrap();
    let mut answers = vec![0; 14 + 12];
    stream.read_exact(&mut answers).await.unwrap();
    assert_eq!(answers, b"10:OK an@x.vn,9:NOTFOUND ,");
    shutdown.cancel();
    server.await.unwrap();
    assert!(crate::metrics::encode(&registry).unwrap().contains("answer=\"NotFound\"} 1"));
}

#[test]
fn an_address_leads_where_postfix_would_find_it_to_lead() {
    use crate::directory::{Entry, Forward, MailboxEntry, Shard};
    let forward = |to: &str, copy| Some(Forward { to: to.into(), copy });
    let mailbox = |forward| Entry::Mailbox(MailboxEntry { forward, ..MailboxEntry::default() });
    let entries = [
        ("an@x.vn".to_owned(), mailbox(forward("binh@x.vn", true))),
        ("binh@x.vn".to_owned(), mailbox(forward("an@x.vn", true))),
        ("chi@x.vn".to_owned(), mailbox(forward("an@x.vn", false))),
        ("van-thu@x.vn".to_owned(), Entry::Alias("chi@x.vn".into())),
    ];
    let replica = testing::empty();
    assert_eq!(expand(&replica, "an@x.vn"), None, "it is not known yet");
    testing::fill(&replica);
    let shard = Shard { entries: entries.into(), ..Shard::default() };
    assert_eq!(replica.offer_shard(1, 0, 2, shard), crate::agent::directory::Offer::Taken);
    let both = || Some(vec!["an@x.vn".to_owned(), "binh@x.vn".to_owned()]);
    assert_eq!(expand(&replica, "an@x.vn"), both());
    assert_eq!(expand(&replica, "van-thu@x.vn"), both());
    assert_eq!(expand(&replica, "o@example.net"), Some(vec!["o@example.net".to_owned()]));
}

//! The codec against what Cyrus 3.10 says, and against any bytes.

use super::*;
use crate::wire::testing::{cut, decode_pieces, decode_whole};
use bytes::Bytes;
use proptest::prelude::*;

fn only(bytes: &[u8]) -> Response {
    let (mut items, failed) = decode_whole(&mut Codec, bytes);
    assert!(!failed && items.len() == 1, "{items:?}");
    items.remove(0)
}

fn sent(command: Command) -> BytesMut {
    let mut out = BytesMut::new();
    Codec.encode((7, command), &mut out).unwrap();
    out
}

#[test]
fn mailboxes_are_read_in_every_form_of_a_string() {
    for (line, name) in [
        (&b"* LIST (\\HasNoChildren) \"/\" user/a@d.test\r\n"[..], &b"user/a@d.test"[..]),
        (b"* LIST (\\Noselect \\HasChildren) \"/\" \"user/a/b c@d.test\"\r\n", b"user/a/b c@d.test"),
        (b"* list () NIL \"user/a/\\\"\\\\@d\" (CHILDINFO (x))\r\n", b"user/a/\"\\@d"),
        (b"* LIST () \"/\" {6}\r\na\r\nb)(\r\n", b"a\r\nb)("),
        (b"* LIST () \"/\" {0}\r\n\r\n", b""),
    ] {
        assert_eq!(only(line), Response::List { name: Bytes::from_static(name) }, "{}", line.escape_ascii());
    }
}

#[test]
fn the_limit_of_storage_is_read() {
    let quota = |line| match only(line) {
        Response::Quota { storage, .. } => storage,
        other => panic!("{other:?}"),
    };
    assert_eq!(quota(b"* QUOTA user/a@d.test (STORAGE 5 1024)\r\n"), Some(1024));
    assert_eq!(quota(b"* QUOTA user/a@d.test (MESSAGE 1 2 storage 5 1024)\r\n"), Some(1024));
    assert_eq!(quota(b"* QUOTA user/a@d.test ()\r\n"), None);
}

#[test]
fn access_lists_are_read() {
    let rights = |line| match only(line) {
        Response::Acl { name, rights } => (name, rights),
        other => panic!("{other:?}"),
    };
    let (name, list) = rights(b"* ACL \"user/vt/K&APQ-@x.vn\" vt@x.vn lrswipkxtecdan \"an@x.vn\" lrs\r\n");
    assert_eq!(name, "user/vt/K&APQ-@x.vn");
    assert_eq!(list, [("vt@x.vn".into(), "lrswipkxtecdan".into()), ("an@x.vn".into(), "lrs".into())]);
    assert_eq!(rights(b"* ACL x\r\n").1, []);
}

#[test]
fn annotations_are_read_and_absent_ones_told_from_a_value_of_that_name() {
    let values = |line| match only(line) {
        Response::Metadata { name, values } => (name, values),
        other => panic!("{other:?}"),
    };
    let (name, found) =
        values(b"* METADATA user/a@d.test (\"/private/comment\" \"U1\" /shared/comment NIL)\r\n");
    assert_eq!(name, "user/a@d.test");
    assert_eq!(found, [("/private/comment".into(), Some("U1".into())), ("/shared/comment".into(), None)]);
    let (name, found) = values(b"* METADATA \"\" (/private/comment {3}\r\nNIL)\r\n");
    assert_eq!((name, found), (Bytes::new(), vec![("/private/comment".into(), Some("NIL".into()))]));
    assert_eq!(values(b"* METADATA \"\" ()\r\n").1, []);
}

#[test]
fn statuses_are_told_apart_and_braces_in_their_text_mean_nothing() {
    assert_eq!(
        only(b"a12 NO Mailbox already exists {5}\r\n"),
        Response::Done { tag: 12, condition: Condition::No, text: "Mailbox already exists {5}".into() }
    );
    assert_eq!(only(b"* BYE {9}\r\n"), Response::Notice { condition: Condition::Bye, text: "{9}".into() });
    assert_eq!(only(b"* CAPABILITY IMAP4rev1\r\n"), Response::Other);
    assert_eq!(only(b"+ go on\r\n"), Response::Other);
}

#[test]
fn what_is_no_response_is_an_error() {
    let endless = [b"* LIST () \"/\" {65535}\r\n".to_vec(), vec![b'a'; MAX_RESPONSE]].concat();
    for bytes in [
        &b"hello\r\n"[..],
        b"a1 MAYBE\r\n",
        b"ax OK\r\n",
        b"* LIST (\r\n",
        b"* LIST () \"/\"\r\n",
        b"* LIST () \"/\" \"a\r\n",
        b"* QUOTA a (STORAGE 1)\r\n",
        b"* METADATA a (/private/comment)\r\n",
        b"* QUOTA a (STORAGE 1 -1)\r\n",
        b"* LIST () \"/\" {99999999999999999999}\r\n",
        b"* LIST () \"/\" {70000}\r\n",
        &vec![b'a'; MAX_RESPONSE],
        &endless,
    ] {
        assert!(decode_whole(&mut Codec, bytes).1, "{}", bytes[..bytes.len().min(60)].escape_ascii());
    }
}

#[test]
fn arguments_are_quoted_or_made_literals() {
    assert_eq!(
        sent(Command::new("CREATE").string(b"user/\"a\\b@d").raw("(USE (\\Sent))")),
        "a7 CREATE \"user/\\\"a\\\\b@d\" (USE (\\Sent))\r\n"
    );
    assert_eq!(sent(Command::new("X").string("ễ\r\nb".as_bytes())), "a7 X {6+}\r\nễ\r\nb\r\n");
    assert!(Codec.encode((1, Command::new("X").string(b"\0")), &mut BytesMut::new()).is_err());
}

proptest! {
    #[test]
    fn a_name_sent_as_a_literal_is_read_again(name in prop::collection::vec(any::<u8>(), 0..60)) {
        let line = [format!("* LIST (\\X) \"/\" {{{}}}\r\n", name.len()).into_bytes(), name.clone(), b"\r\n".to_vec()].concat();
        prop_assert_eq!(only(&line), Response::List { name: name.into() });
    }

    #[test]
    fn no_argument_breaks_out_of_its_command(text in prop::collection::vec(1_u8.., 0..40)) {
        let out = sent(Command::new("X").string(&text));
        let body = out.strip_prefix(b"a7 X ").unwrap().strip_suffix(b"\r\n").unwrap();
        if body.starts_with(b"\"") {
            prop_assert!(!body.contains(&b'\r') && !body.contains(&b'\n'));
        } else {
            let head = format!("{{{}+}}\r\n", text.len());
            prop_assert_eq!(body, [head.as_bytes(), &text].concat());
        }
    }

    #[test]
    fn any_bytes_give_the_same_result_however_cut(pieces in cut(prop::collection::vec(
        prop::sample::select(b"* LISTQUOTA()\"\\/{1}\r\n0a@".to_vec()), 0..120))) {
        prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)),
            format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
    }
}

//! The codec against frames as Postfix sends them, and against any bytes.

use super::*;
use crate::wire::reply::Reply as SmtpReply;
use crate::wire::testing::{cut, decode_pieces, decode_whole};
use bytes::Bytes;
use proptest::prelude::*;

const WISH: Wish = Wish {
    actions: action::ADD_HEADERS | action::CHANGE_HEADERS,
    protocol: protocol::NO_REPLIES | protocol::NO_HELO | protocol::HEADER_LEADING_SPACE,
    macros: &[(MacroStage::Mail, "i {auth_authen}"), (MacroStage::EndOfMessage, "i")],
};

fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[kind], data].concat()
}

fn only(kind: u8, data: &[u8]) -> Command {
    let (mut items, failed) = decode_whole(&mut Codec, &frame(kind, data));
    assert!(!failed && items.len() == 1);
    items.remove(0)
}

fn encoded(reply: Reply) -> Result<BytesMut, Error> {
    let mut out = BytesMut::new();
    Codec.encode(reply, &mut out).map(|()| out)
}

#[test]
fn a_session_of_postfix_is_understood() {
    assert_eq!(
        only(b'O', b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"),
        Command::Negotiate(Offer { version: 6, actions: 0x1ff, protocol: 0x1f_ffff })
    );
    assert_eq!(
        only(b'C', b"client.test\x004\xc3\x50203.0.113.7\0"),
        Command::Connect {
            hostname: "client.test".into(),
            peer: Peer::Inet("203.0.113.7".parse().unwrap(), 50000)
        }
    );
    assert_eq!(
        only(b'C', b"localhost\0U"),
        Command::Connect { hostname: "localhost".into(), peer: Peer::Unknown }
    );
    let Command::Connect { peer, .. } = only(b'C', b"h\x006\0\x19IPv6:2001:db8::1\0") else { panic!() };
    assert_eq!(peer, Peer::Inet("2001:db8::1".parse().unwrap(), 25));
    let Command::Macros(macros) = only(b'D', b"Mi\x004F1\0{auth_authen}\0u@d\0") else { panic!() };
    assert_eq!(
        (macros.before, macros.get("i"), macros.get("{auth_authen}")),
        (b'M', Some(&"4F1".into()), Some(&"u@d".into()))
    );
    assert_eq!(only(b'M', b"<>\0"), Command::MailFrom { address: "<>".into(), args: vec![] });
    assert_eq!(
        only(b'R', b"<\"a b\"@d>\0NOTIFY=NEVER\0ORCPT=rfc822;x\0"),
        Command::RcptTo {
            address: "<\"a b\"@d>".into(),
            args: vec!["NOTIFY=NEVER".into(), "ORCPT=rfc822;x".into()]
        }
    );
    assert_eq!(only(b'N', b""), Command::EndOfHeaders);
    assert_eq!(only(b'E', b""), Command::EndOfMessage { body: Bytes::new() });
    assert_eq!(only(b'K', b""), Command::QuitNewConnection);
}

#[test]
fn a_header_keeps_its_space_its_folds_and_its_raw_bytes() {
    assert_eq!(
        only(b'L', b"Subject\0  caf\xe9\n\tb\0"),
        Command::Header { name: "Subject".into(), value: Bytes::from_static(b"  caf\xe9\n\tb") }
    );
}

#[test]
fn malformed_frames_are_errors() {
    for bytes in [
        frame(b'O', b"\0\0\0\x06"),
        frame(b'L', b"a\0b"),
        frame(b'L', b"a\0b\0c\0"),
        frame(b'D', b""),
        frame(b'D', b"Ma\0"),
        frame(b'C', b"h\0"),
        frame(b'C', b"h\x004\0"),
        frame(b'M', b"<>"),
        frame(b'z', b""),
        vec![0, 0, 0, 0],
        vec![0, 0x10, 0, 1],
    ] {
        assert!(decode_whole(&mut Codec, &bytes).1, "{}", bytes.escape_ascii());
    }
}

#[test]
fn only_what_is_offered_is_agreed_and_the_rest_is_answered() {
    let offer = Offer { version: 6, actions: 0x1ff, protocol: protocol::NR_HEADER | protocol::NO_HELO };
    let agreement = WISH.negotiate(offer).unwrap();
    assert_eq!((agreement.actions, agreement.protocol), (0x111, 0x82));
    assert!(!agreement.expects_reply(&Command::Header { name: "a".into(), value: "b".into() }));
    assert!(agreement.expects_reply(&Command::Body("x".into())));
    assert!(agreement.expects_reply(&Command::EndOfHeaders));
    assert!(!agreement.expects_reply(&Command::Abort));
    assert!(matches!(WISH.negotiate(Offer { version: 4, ..offer }), Err(Error::Version(4))));
    assert!(matches!(WISH.negotiate(Offer { actions: 1, ..offer }), Err(Error::Actions(0x10))));
}

#[test]
fn with_every_no_reply_flag_only_negotiation_and_end_of_message_are_answered() {
    let agreement = WISH.negotiate(Offer { version: 6, actions: 0x1ff, protocol: 0x1f_ffff }).unwrap();
    let answered: Vec<u8> = b"ODCHMRTLNBEAQKU"
        .iter()
        .copied()
        .filter(|kind| {
            let data: &[u8] = match kind {
                b'O' => &[0; 12],
                b'D' => b"M",
                b'C' => b"h\0U",
                b'L' => b"a\0b\0",
                b'H' | b'M' | b'R' | b'U' => b"x\0",
                _ => b"",
            };
            agreement.expects_reply(&only(*kind, data))
        })
        .collect();
    assert_eq!(answered, b"OE");
}

#[test]
fn replies_are_written_as_postfix_reads_them() {
    let agreement = WISH.negotiate(Offer { version: 6, actions: 0x1ff, protocol: 0x1f_ffff }).unwrap();
    let mut expected =
        b"\0\0\0\x06\0\0\x01\x11\0\x1f\xf0\x82\0\0\0\x02i {auth_authen}\0\0\0\0\x05i\0".to_vec();
    assert_eq!(encoded(Reply::Negotiate(agreement)).unwrap(), frame(b'O', &expected));
    expected = b"451-4.3.0 100%% full\r\n451 4.3.0 later\0".to_vec();
    assert_eq!(
        encoded(Reply::ReplyCode(SmtpReply::new(451, 3, 0, "100% full\nlater"))).unwrap(),
        frame(b'y', &expected)
    );
    assert_eq!(
        encoded(Reply::InsertHeader { index: 1, name: "Journal-Id".into(), value: " x\n y".into() }).unwrap(),
        frame(b'i', b"\0\0\0\x01Journal-Id\0 x\n y\0")
    );
    assert_eq!(
        encoded(Reply::ChangeHeader { index: 2, name: "A".into(), value: Bytes::new() }).unwrap(),
        frame(b'm', b"\0\0\0\x02A\0\0")
    );
    assert_eq!(encoded(Reply::Progress).unwrap(), frame(b'p', b""));
    assert_eq!(encoded(Reply::Quarantine("virus".into())).unwrap(), frame(b'q', b"virus\0"));
}

#[test]
fn a_reply_that_would_be_read_as_something_else_is_refused() {
    let add = |name: &'static str, value: &'static str| {
        encoded(Reply::AddHeader { name: name.into(), value: value.into() })
    };
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("A", "x\nBcc: y"),
        ("A", "x\r\n y"),
        ("A", "x\0y"),
        ("A", "x\n"),
    ] {
        assert!(matches!(add(name, value), Err(Error::Unsafe)), "{name:?} {value:?}");
    }
    assert!(matches!(encoded(Reply::ReplyCode(SmtpReply::new(250, 0, 0, "ok"))), Err(Error::ReplyCode)));
    assert!(matches!(encoded(Reply::ReplyCode(SmtpReply::plain(550, "no"))), Err(Error::ReplyCode)));
    assert!(matches!(encoded(Reply::Quarantine("a\nb".into())), Err(Error::Unsafe)));
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let data = prop::collection::vec(prop_oneof![2 => Just(0u8), 3 => any::<u8>()], 0..20);
    let kind = prop::sample::select(b"ODCHMRTLNBEAQKUz".to_vec());
    prop::collection::vec((kind, data).prop_map(|(kind, data)| frame(kind, &data)), 0..5)
        .prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_frames_give_the_same_result_however_cut(pieces in cut(frames())) {
        prop_assert_eq!(format!("{:?}", decode_pieces(&mut Codec, &pieces)), format!("{:?}", decode_whole(&mut Codec, &pieces.concat())));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        decode_whole(&mut Codec, &bytes);
    }

    #[test]
    fn any_header_comes_through_unchanged(name in "[!-9;-~]{1,20}", value in prop::collection::vec(1u8.., 0..100)) {
        let data = [name.as_bytes(), b"\0", &value[..], b"\0"].concat();
        prop_assert_eq!(only(b'L', &data), Command::Header { name: name.into(), value: value.into() });
    }
}

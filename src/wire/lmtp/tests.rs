//! Both codecs against sessions as Postfix and Cyrus hold them, and against any bytes.

use super::*;
use crate::wire::reply::Reply;
use crate::wire::testing::{cut, decode_pieces, decode_whole};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::Encoder;

fn parse(line: &'static [u8]) -> Result<Command, Syntax> {
    Command::parse(&Bytes::from_static(line))
}

fn params(list: &[(&'static str, Option<&'static str>)]) -> Vec<Param> {
    list.iter()
        .map(|(keyword, value)| Param { keyword: (*keyword).into(), value: value.map(Into::into) })
        .collect()
}

/// Reads pieces in data mode; data is joined, so that results do not depend on the cuts.
fn read_data(pieces: &[Vec<u8>]) -> (Vec<u8>, Vec<Input>, bool) {
    let mut codec = ServerCodec::default();
    codec.start_data();
    let (items, failed) = decode_pieces(&mut codec, pieces);
    assert!(!failed);
    let (mut data, mut others) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Input::Data(piece) => data.extend_from_slice(&piece),
            other => others.push(other),
        }
    }
    (data, others, codec.has_bare_newline())
}

fn sent(pieces: &[Vec<u8>]) -> BytesMut {
    let (mut codec, mut out) = (ClientCodec::default(), BytesMut::new());
    for piece in pieces {
        codec.encode(Output::Data(piece.clone().into()), &mut out).unwrap();
    }
    codec.encode(Output::EndOfData, &mut out).unwrap();
    out
}

#[test]
fn the_commands_of_postfix_are_understood() {
    assert_eq!(parse(b"LHLO mx.dom.test"), Ok(Command::Lhlo("mx.dom.test".into())));
    assert_eq!(
        parse(b"MAIL FROM:<a@b.test> SIZE=1203 BODY=8BITMIME SMTPUTF8"),
        Ok(Command::Mail {
            from: "a@b.test".into(),
            params: params(&[("SIZE", Some("1203")), ("BODY", Some("8BITMIME")), ("SMTPUTF8", None)])
        })
    );
    assert_eq!(parse(b"MAIL FROM:<>"), Ok(Command::Mail { from: Bytes::new(), params: vec![] }));
    assert_eq!(
        parse(b"rcpt to: <\"a > b\\\"\"@d> NOTIFY=NEVER ORCPT=rfc822;a+2Bb@d"),
        Ok(Command::Rcpt {
            to: "\"a > b\\\"\"@d".into(),
            params: params(&[("NOTIFY", Some("NEVER")), ("ORCPT", Some("rfc822;a+2Bb@d"))])
        })
    );
    assert_eq!(parse(b"data "), Ok(Command::Data));
    assert_eq!(parse(b"NOOP x"), Ok(Command::Noop));
    assert_eq!(parse(b"VRFY u"), Ok(Command::Vrfy("u".into())));
}

#[test]
fn bad_lines_are_told_apart() {
    for line in [&b"EHLO x"[..], b"HELO x", b"", b"XYZ", b" DATA"] {
        assert_eq!(parse(line), Err(Syntax::Unrecognized), "{}", line.escape_ascii());
    }
    for line in [
        &b"RCPT TO:<>"[..],
        b"MAIL FROM:a@b",
        b"MAIL FROM:<a",
        b"MAIL FROM:<a>x",
        b"MAIL TO:<a>",
        b"MAIL",
        b"LHLO",
        b"DATA x",
        b"RCPT TO:<a b@c>",
        b"RCPT TO:<\"a>",
        b"MAIL FROM:<a> =1",
        b"MAIL FROM:<a> S\xc3=1",
        b"MAIL FROM:<a\nRCPT TO:<b>",
        b"LHLO \0",
    ] {
        assert_eq!(parse(line), Err(Syntax::Arguments), "{}", line.escape_ascii());
    }
    let mut out = BytesMut::new();
    ServerCodec::default().encode(Syntax::Arguments.reply(), &mut out).unwrap();
    assert_eq!(out, "501 5.5.4 syntax error in parameters or arguments\r\n");
}

#[test]
fn keywords_are_found_in_any_case() {
    let Ok(Command::Mail { params, .. }) = parse(b"MAIL FROM:<a> size=7") else { panic!() };
    assert_eq!(param(&params, "SIZE").unwrap().value, Some("7".into()));
    assert_eq!(param(&params, "BODY"), None);
}

#[test]
fn a_line_that_is_too_long_is_dropped_and_the_session_goes_on() {
    let bytes = [&vec![b'a'; 3 * MAX_LINE][..], b"\r\nNOOP\r\n"].concat();
    let (items, _) = decode_whole(&mut ServerCodec::default(), &bytes);
    assert_eq!(items, [Input::Bad(Syntax::TooLong), Input::Command(Command::Noop)]);
    let longest = [b"VRFY ", &vec![b'a'; MAX_LINE - 7][..], b"\r\n"].concat();
    assert!(matches!(
        &decode_whole(&mut ServerCodec::default(), &longest).0[..],
        [Input::Command(Command::Vrfy(_))]
    ));
}

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    let body = b"a\n.\nb\n.\r\nc\r.\rd\r.\r\ne\r\n.\nf\r\n.\rg\r\n";
    let (data, others, bare) = read_data(&[[&body[..], b".\r\nQUIT\r\n"].concat()]);
    assert_eq!(
        data.escape_ascii().to_string(),
        b"a\n.\nb\n.\r\nc\r.\rd\r.\r\ne\r\n\nf\r\n\rg\r\n".escape_ascii().to_string()
    );
    assert_eq!(others, [Input::EndOfData, Input::Command(Command::Quit)]);
    assert!(bare);
}

#[test]
fn dots_are_taken_off_and_an_empty_message_is_empty() {
    let (data, others, bare) = read_data(&[b"..\r\n...\r\n.x\r\n.\r\n".to_vec()]);
    assert_eq!((&data[..], others, bare), (&b".\r\n..\r\nx\r\n"[..], vec![Input::EndOfData], false));
    assert_eq!(read_data(&[b".\r\n".to_vec()]), (vec![], vec![Input::EndOfData], false));
}

#[test]
fn dots_are_put_on_at_line_starts_only() {
    assert_eq!(
        sent(&[b".a\r\n".to_vec(), b".".to_vec(), b"\r".to_vec(), b"\n.b\n.c".to_vec()]),
        "..a\r\n..\r\n..b\n.c\r\n.\r\n"
    );
    assert_eq!(sent(&[]), ".\r\n");
}

#[test]
fn replies_of_cyrus_are_understood() {
    let bytes = b"220 store Cyrus LMTP ready\r\n250-store\r\n250-8BITMIME\r\n250 PIPELINING\r\n250 2.1.5 ok\r\n550-5.1.1 Mailbox unknown.  Either there is no\r\n550-5.1.1 mailbox\r\n550 5.1.1 User unknown\r\n354\r\n";
    let (replies, failed) = decode_whole(&mut ClientCodec::default(), bytes);
    assert!(!failed);
    assert_eq!(replies[1], Reply::plain(250, "store\n8BITMIME\nPIPELINING"));
    assert_eq!(replies[2], Reply::new(250, 1, 5, "ok"));
    assert_eq!(
        replies[3],
        Reply::new(550, 1, 1, "Mailbox unknown.  Either there is no\nmailbox\nUser unknown")
    );
    assert_eq!((replies[4].code(), replies.len()), (354, 5));
}

#[test]
fn what_is_not_a_reply_is_an_error() {
    for bytes in
        [&b"25 x\r\n"[..], b"250x\r\n", b"650 x\r\n", b"250-a\r\n251 b\r\n", b"\r\n", b"250 a\rb\r\n"]
    {
        assert!(decode_whole(&mut ClientCodec::default(), bytes).1, "{}", bytes.escape_ascii());
    }
    assert!(decode_whole(&mut ClientCodec::default(), &[b'2'; MAX_LINE]).1);
    assert!(decode_whole(&mut ClientCodec::default(), &b"250-a\r\n".repeat(MAX_REPLY_LINES + 1)).1);
}

#[test]
fn a_command_cannot_smuggle_another() {
    let mut out = BytesMut::new();
    let command = Command::Rcpt { to: "a>\r\nDATA".into(), params: vec![] };
    assert!(matches!(ClientCodec::default().encode(Output::Command(command), &mut out), Err(Error::Unsafe)));
    assert!(out.is_empty());
}

fn tricky() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"..\r\r\n\na".to_vec()), 0..60)
}

fn path() -> impl Strategy<Value = Bytes> {
    prop_oneof!["[!#-;=?-Z^-~]{1,20}", "\"([ -!#-\\[\\]-~]|\\\\[ -~]){0,9}\"@[a-z.]{1,9}"]
        .prop_map(Bytes::from)
}

proptest! {
    #[test]
    fn any_message_in_any_pieces_arrives_as_it_was(pieces in cut(tricky()), wire_cuts: Vec<prop::sample::Index>) {
        let (message, wire) = (pieces.concat(), sent(&pieces));
        let mut at: Vec<usize> = wire_cuts.iter().map(|cut| cut.index(wire.len())).chain([0, wire.len()]).collect();
        at.sort_unstable();
        let wire: Vec<_> = at.windows(2).map(|ends| wire[ends[0]..ends[1]].to_vec()).collect();
        let (data, others, bare) = read_data(&wire);
        let completed = message.is_empty() || message.ends_with(b"\r\n");
        prop_assert_eq!(data, [&message[..], if completed { b"" } else { b"\r\n" }].concat());
        prop_assert_eq!(others, vec![Input::EndOfData]);
        let lone = message.iter().enumerate().any(|(i, b)| *b == b'\n' && (i == 0 || message[i - 1] != b'\r'));
        prop_assert_eq!(bare, lone);
    }

    #[test]
    fn any_data_gives_the_same_result_however_cut(pieces in cut(tricky())) {
        prop_assert_eq!(read_data(&pieces), read_data(&[pieces.concat()]));
    }

    #[test]
    fn any_lines_give_the_same_result_however_cut(pieces in cut("(MAIL FROM:<a> X=1|RCPT TO:<|>|DATA|250-|250 |\r|\n|\r\n|[ -~]){0,12}".prop_map(String::into_bytes))) {
        let whole = pieces.concat();
        prop_assert_eq!(decode_pieces(&mut ServerCodec::default(), &pieces), decode_whole(&mut ServerCodec::default(), &whole));
        prop_assert_eq!(decode_pieces(&mut ClientCodec::default(), &pieces), decode_whole(&mut ClientCodec::default(), &whole));
    }

    #[test]
    fn any_command_is_read_as_it_was_written(path in path(), value: Option<u32>, verb in 0..3) {
        let params = vec![Param { keyword: "ORCPT".into(), value: value.map(|v| v.to_string().into()) }];
        let command = match verb {
            0 => Command::Mail { from: path, params },
            1 => Command::Rcpt { to: path, params },
            _ => Command::Vrfy(path),
        };
        let mut out = BytesMut::new();
        ClientCodec::default().encode(Output::Command(command.clone()), &mut out).unwrap();
        prop_assert_eq!(decode_whole(&mut ServerCodec::default(), &out).0, vec![Input::Command(command)]);
    }

    #[test]
    fn any_reply_is_read_as_it_was_written(code in 200u16..600, enhanced: Option<(u8, u8)>, text in "[a-z\n\u{e9} ]{0,30}") {
        let reply = match enhanced.filter(|_| code / 100 != 3) {
            Some((subject, detail)) => Reply::new(code, subject.into(), detail.into(), &text),
            None => Reply::plain(code, &text),
        };
        let mut out = BytesMut::new();
        ServerCodec::default().encode(reply.clone(), &mut out).unwrap();
        prop_assert_eq!(decode_whole(&mut ClientCodec::default(), &out), (vec![reply], false));
    }

    #[test]
    fn no_bytes_panic(pieces in cut(any::<Vec<u8>>())) {
        decode_pieces(&mut ServerCodec::default(), &pieces);
        decode_pieces(&mut ClientCodec::default(), &pieces);
        read_data(&pieces);
    }
}

use std::io::{BufReader, Read};

use proptest::prelude::*;

use super::*;

fn name() -> Name {
    Name::new("mail-gateway-0", 17).unwrap()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        any::<u8>().prop_filter("no line break", |b| !matches!(b, b'\r' | b'\n')),
        0..40,
    )
}

prop_compose! {
    fn an_entry()(
        millis in 0..1_u64 << 47,
        random in any::<[u8; 10]>(),
        login in proptest::option::of(value()),
        sender in value(),
        recipients in proptest::collection::vec(value(), 1..5),
        message in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
    ) -> Entry {
        let head = Head { id: JournalId::new(millis, random), received: millis, login, sender, recipients };
        Entry { head, message: message.into_iter().map(Bytes::from).collect() }
    }
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&name(), entries.to_vec(), &mut bytes).unwrap();
    bytes
}

fn read(input: impl Read, buffer: usize) -> Result<Vec<(Head, Vec<u8>)>, PlainError> {
    let mut decoder = Decoder::new(BufReader::with_capacity(buffer, input))?;
    assert_eq!(*decoder.name(), name());
    let mut entries = Vec::new();
    while let Some(head) = decoder.head()? {
        let mut message = Vec::new();
        decoder.message(&mut message)?;
        entries.push((head, message));
    }
    Ok(entries)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_and_has_the_announced_length(
        entries in proptest::collection::vec(an_entry(), 0..5),
        buffer in 1..200_usize,
    ) {
        let bytes = written(&entries);
        prop_assert_eq!(length(&name(), &entries).unwrap(), bytes.len() as u64);
        let expected: Vec<_> = entries.into_iter().map(|e| (e.head, e.message.concat())).collect();
        prop_assert_eq!(read(&bytes[..], buffer).unwrap(), expected);
    }

    #[test]
    fn a_segment_cut_off_anywhere_is_truncated(entries in proptest::collection::vec(an_entry(), 0..3), at in any::<prop::sample::Index>()) {
        let bytes = written(&entries);
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(matches!(read(cut, 64), Err(PlainError::Truncated)));
    }

    #[test]
    fn no_changed_byte_goes_unnoticed(
        entries in proptest::collection::vec(an_entry(), 0..3),
        at in any::<prop::sample::Index>(),
        other in 1..=u8::MAX,
    ) {
        let mut bytes = written(&entries);
        let at = at.index(bytes.len());
        bytes[at] ^= other;
        let title = bytes.iter().position(|b| *b == b'\n').unwrap();
        prop_assume!(at > title); // The name is compared with the one it is stored under.
        prop_assert!(read(&bytes[..], 64).is_err());
    }

    #[test]
    fn no_input_makes_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let title = b"mail-journal 1 mail-gateway-0 17\n";
        let _ = read(&bytes[..], 16);
        let _ = read(&[&title[..], &bytes].concat()[..], 16);
    }
}

#[test]
fn the_text_is_as_documented() {
    let head = Head {
        id: JournalId::new(1_764_036_000_000, [0xab; 10]),
        received: 1_764_036_000_123,
        login: Some(b"an@angiang.gov.vn".to_vec()),
        sender: Vec::new(),
        recipients: vec![b"binh@angiang.gov.vn".to_vec(), b"\xc3\xa2@x".to_vec()],
    };
    let bytes = written(&[Entry {
        head,
        message: vec![Bytes::from_static(b"A: b\r\n"), Bytes::from_static(b"\r\nhi\r\n")],
    }]);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.split('\n').collect();
    let expected = [
        "mail-journal 1 mail-gateway-0 17",
        "entry 019ab8bd3900abababababababababab",
        "received 1764036000123",
        "login an@angiang.gov.vn",
        "sender ",
        "recipient binh@angiang.gov.vn",
        "recipient \u{e2}@x",
    ];
    assert_eq!(lines[..7], expected);
    let sum = |bytes: &[u8]| hex(&<[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(bytes)));
    let message = b"A: b\r\n\r\nhi\r\n";
    assert_eq!(lines[7], format!("message {} {}", message.len(), sum(message)));
    assert_eq!(lines[8..11], ["A: b\r", "\r", "hi\r"]);
    let before_end = &text[..text.find("end 1").unwrap()];
    assert_eq!(lines[11..], ["", &format!("end 1 {}", sum(before_end.as_bytes())), ""]);
}

#[test]
fn other_formats_and_other_files_are_told_apart() {
    let fault = |text: &[u8]| Decoder::new(text).err().unwrap();
    assert!(matches!(fault(b"mail-journal 2 anything\n"), PlainError::Newer(2)));
    assert!(matches!(fault(b"From: somebody\n"), PlainError::NotASegment));
    assert!(matches!(fault(&vec![b'x'; 20_000]), PlainError::NotASegment));
    assert!(matches!(fault(b"mail-journal 1 Upper 1\n"), PlainError::Malformed(_)));
    assert!(matches!(fault(b"mail-journal 1 a 01\n"), PlainError::Malformed(_)));
    assert!(matches!(
        read(&[written(&[]), b"more".to_vec()].concat()[..], 64),
        Err(PlainError::Malformed(_))
    ));
}

#[test]
fn an_envelope_that_could_not_be_read_again_is_not_written() {
    let head = Head {
        id: JournalId::new(1, [0; 10]),
        received: 1,
        login: None,
        sender: Vec::new(),
        recipients: Vec::new(),
    };
    let fails = |head: &Head| {
        encode(&name(), vec![Entry { head: head.clone(), message: Vec::new() }], Vec::new()).unwrap_err()
    };
    assert!(matches!(fails(&head), EncodeError::Recipients));
    for bad in [&b"a\nb"[..], b"a\rb", &[b'x'; MAX_VALUE + 1]] {
        assert!(matches!(
            fails(&Head { recipients: vec![bad.to_vec()], ..head.clone() }),
            EncodeError::Value
        ));
        assert!(matches!(
            fails(&Head { sender: bad.to_vec(), recipients: vec![Vec::new()], ..head.clone() }),
            EncodeError::Value
        ));
    }
}

#[test]
fn names_and_ids_are_read_as_they_are_written_and_sort_as_they_were_made() {
    assert_eq!(Name::parse(&name().to_string()), Some(name()));
    assert_eq!(name().to_string(), "mail-gateway-0/00000000000000000017.age");
    for bad in [
        "",
        "a",
        "a/17.age",
        "a/0000000000000000017.age",
        "a/00000000000000000000.age",
        "A/00000000000000000017.age",
        "a/+0000000000000000017.age",
    ] {
        assert_eq!(Name::parse(bad), None, "{bad}");
    }
    let (early, late) = (JournalId::new(1, [255; 10]), JournalId::new(2, [0; 10]));
    assert!(early.to_string() < late.to_string() && early < late);
    assert_eq!(JournalId::parse(early.to_string().as_bytes()), Some(early));
    assert_eq!(JournalId::parse(early.to_string().to_uppercase().as_bytes()), None);
}

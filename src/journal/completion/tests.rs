use age::x25519::Identity;
use proptest::prelude::*;

use super::*;

fn name() -> Name {
    Name::new("mail-gateway-0.019ab8bd397b00000001", 3).unwrap()
}

fn recipient() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        any::<u8>().prop_filter("no line break", |b| !matches!(b, b'\r' | b'\n')),
        0..40,
    )
}

fn a_receipt() -> impl Strategy<Value = Receipt> {
    (
        any::<bool>(),
        "[a-z][a-z0-9-]{0,20}",
        proptest::option::of((any::<u64>(), proptest::option::of("[0-9a-f]{1,16}"))),
    )
        .prop_map(|(held, pod, epoch)| {
            let (epoch, term) = epoch.map_or((None, None), |(epoch, term)| (Some(epoch), term));
            Receipt { held, pod, epoch, term }
        })
}

prop_compose! {
    fn a_record()(millis in 0..1_u64 << 47, random in any::<[u8; 10]>(), at: u64, what in prop_oneof![
        "[0-9A-Za-z]{6,16}".prop_map(What::Accepted),
        (recipient(), proptest::option::of(a_receipt())).prop_map(|(recipient, receipt)| What::Delivered { recipient, receipt }),
        (recipient(), "[a-z.]{1,9}:25").prop_map(|(recipient, relay)| What::Relayed { recipient, relay }),
        (recipient(), "5[.]1[.][0-9]").prop_map(|(recipient, dsn)| What::Bounced { recipient, dsn }),
        recipient().prop_map(|recipient| What::Discarded { recipient }),
        Just(What::Expired), Just(What::Deleted), Just(What::Closed),
    ]) -> Record {
        Record { id: JournalId::new(millis, random), at, what }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(records in proptest::collection::vec(a_record(), 0..20)) {
        prop_assert_eq!(text::decode(&text::encode(&name(), &records)), Ok((name(), records)));
    }

    #[test]
    fn no_changed_or_missing_byte_goes_unnoticed(
        records in proptest::collection::vec(a_record(), 0..4),
        at in any::<prop::sample::Index>(),
        other in 1..=u8::MAX,
    ) {
        let bytes = text::encode(&name(), &records);
        let at = at.index(bytes.len());
        prop_assert!(text::decode(&bytes[..at]).is_err());
        let mut changed = bytes.clone();
        changed[at] ^= other;
        prop_assert!(text::decode(&changed).map_or(true, |(found, read)| found != name() || read != records));
    }

    #[test]
    fn no_input_makes_the_reader_panic(bytes: Vec<u8>) {
        let _ = text::decode(&bytes);
        let _ = text::decode(&[&b"mail-completions 1 g 1\n"[..], &bytes].concat());
        let _ = Receipt::parse(&bytes);
    }

    #[test]
    fn a_receipt_is_read_as_it_was_given(receipt in a_receipt(), more in "( [a-z0-9]{1,5}){0,2}") {
        let text = receipt.to_string();
        prop_assert_eq!(Receipt::parse(text.as_bytes()), Some(receipt.clone()));
        if receipt.term.is_some() {
            prop_assert_eq!(Receipt::parse(format!("{text}{more}").as_bytes()), Some(receipt));
        }
    }
}

#[test]
fn the_text_is_as_documented() {
    let id = JournalId::new(1_764_036_000_000, [0xab; 10]);
    let record = |what| Record { id, at: 1_764_036_000_200, what };
    let receipt = Receipt { epoch: Some(7), term: Some("91f3".into()), ..Receipt::of("mail-store-0-0") };
    let records = [
        record(What::Accepted("4jdjBv0HG0zmFd3".into())),
        record(What::Delivered { recipient: b"an@x.vn".to_vec(), receipt: Some(receipt) }),
        record(What::Delivered { recipient: b"chi@x.vn".to_vec(), receipt: None }),
        record(What::Relayed {
            recipient: b"\"d d\"@example.net".to_vec(),
            relay: "mx.example.net[192.0.2.1]:25".into(),
        }),
        record(What::Bounced { recipient: b"e@x.vn".to_vec(), dsn: "5.2.1".into() }),
        record(What::Closed),
    ];
    let text = String::from_utf8(text::encode(&name(), &records)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "mail-completions 1 mail-gateway-0.019ab8bd397b00000001 3");
    let rest = [
        "accepted ID 1764036000200 4jdjBv0HG0zmFd3",
        "delivered ID 1764036000200 stored mail-store-0-0 7 91f3 an@x.vn",
        "delivered ID 1764036000200 - - - - chi@x.vn",
        "relayed ID 1764036000200 mx.example.net[192.0.2.1]:25 \"d d\"@example.net",
        "bounced ID 1764036000200 5.2.1 e@x.vn",
        "closed ID 1764036000200",
    ];
    let rest = rest.map(|line| line.replace("ID", &id.to_string()));
    assert_eq!(lines[1..7], rest);
    assert!(lines[7].starts_with("end 6 ") && lines.len() == 8);
}

#[test]
fn a_file_opens_with_its_keys_under_its_name_and_not_otherwise() {
    let (key, other) = (Identity::generate(), Identity::generate());
    let records = [Record { id: JournalId::new(1, [1; 10]), at: 2, what: What::Closed }];
    let sealed = seal(&name(), &records, &[key.to_public()]).unwrap();
    let fault = |name: &Name, bytes: &[u8], key: &Identity| {
        open(name, bytes, std::slice::from_ref(key)).unwrap_err().fault
    };
    assert_eq!(open(&name(), &sealed, std::slice::from_ref(&key)).unwrap(), records);
    assert!(matches!(fault(&name(), &sealed, &other), Fault::WrongKey));
    assert!(matches!(fault(&Name::new("g", 1).unwrap(), &sealed, &key), Fault::Misplaced(_)));
    assert!(matches!(fault(&name(), &sealed[..sealed.len() - 1], &key), Fault::Altered));
    assert!(matches!(fault(&name(), b"something else", &key), Fault::NotASegment));
    assert!(seal(&name(), &records, &[]).is_err(), "nobody could read it");
}

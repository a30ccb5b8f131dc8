use age::x25519::Identity;
use bytes::Bytes;

use super::*;

fn name() -> Name {
    Name::new("mail-gateway-0", 17).unwrap()
}

fn entry(length: usize) -> Entry {
    let head = Head {
        id: JournalId::new(1, [7; 10]),
        received: 1,
        login: None,
        sender: b"a@example".to_vec(),
        recipients: vec![b"b@example".to_vec()],
    };
    let body: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
    Entry { head, message: body.chunks(50_000).map(Bytes::copy_from_slice).collect() }
}

fn sealed(key: &Identity, entries: Vec<Entry>) -> Vec<u8> {
    seal(&name(), entries, &[key.to_public()]).unwrap().concat()
}

fn read(name: &Name, bytes: &[u8], key: &Identity) -> Result<Vec<(Head, Vec<u8>)>, SegmentError> {
    let mut segment = Segment::open(name, bytes, std::slice::from_ref(key))?;
    let mut entries = Vec::new();
    while let Some(head) = segment.head()? {
        let mut message = Vec::new();
        segment.message(&mut message)?;
        entries.push((head, message));
    }
    Ok(entries)
}

fn fault(name: &Name, bytes: &[u8], key: &Identity) -> Fault {
    let error = read(name, bytes, key).err().unwrap_or_else(|| panic!("it is read"));
    assert!(error.to_string().contains(&name.to_string()), "{error}");
    error.fault
}

#[test]
fn what_is_sealed_opens_with_any_of_its_keys_and_no_other() {
    let keys = [Identity::generate(), Identity::generate()];
    let entries = vec![entry(0), entry(10), entry(300_000)];
    let public: Vec<_> = keys.iter().map(Identity::to_public).collect();
    let bytes = seal(&name(), entries.clone(), &public).unwrap().concat();
    let expected: Vec<_> = entries.into_iter().map(|e| (e.head, e.message.concat())).collect();
    for key in &keys {
        assert_eq!(read(&name(), &bytes, key).unwrap(), expected);
    }
    assert!(matches!(fault(&name(), &bytes, &Identity::generate()), Fault::WrongKey));
    assert!(seal(&name(), vec![entry(1)], &[]).is_err(), "nobody could read it");
}

#[test]
fn a_segment_cut_off_anywhere_is_truncated_and_nothing_else() {
    let key = Identity::generate();
    for length in [100, 65_536 - 400, 200_000] {
        let bytes = sealed(&key, vec![entry(length)]);
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 500).chain(bytes.len() - 20..bytes.len()) {
            let fault = fault(&name(), &bytes[..cut], &key);
            assert!(matches!(fault, Fault::Truncated), "{cut} of {}: {fault:?}", bytes.len());
        }
    }
}

#[test]
fn a_changed_or_added_byte_is_an_alteration() {
    let key = Identity::generate();
    let bytes = sealed(&key, vec![entry(100_000)]);
    let header = bytes.windows(4).position(|w| w == b"\n---").unwrap();
    for at in (header + 60..bytes.len()).step_by(1 + bytes.len() / 300).chain(bytes.len() - 20..bytes.len()) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let fault = fault(&name(), &bytes, &key);
        assert!(matches!(fault, Fault::Altered), "{at}: {fault:?}");
    }
    assert!(matches!(fault(&name(), &[bytes, b"x".to_vec()].concat(), &key), Fault::Altered));
}

#[test]
fn a_label_cannot_be_changed() {
    let key = Identity::generate();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let bytes = sealed(&key, vec![entry(10)]);
    let at = bytes.windows(7).position(|w| w == b"journal").unwrap() + 8;
    assert!(text(&bytes[at..]).starts_with("1 mail-gateway-0 17 "), "{}", text(&bytes));
    let mut newer = bytes.clone();
    newer[at] = b'2';
    assert!(matches!(fault(&name(), &newer, &key), Fault::Altered), "the MAC does not fit");
    assert!(
        matches!(fault(&name(), &newer, &Identity::generate()), Fault::Newer(2)),
        "without a key it is believed"
    );
}

#[test]
fn a_segment_in_anothers_place_and_what_is_no_segment_are_told_apart() {
    let key = Identity::generate();
    let bytes = sealed(&key, vec![entry(10)]);
    let other = Name::new("mail-gateway-0", 18).unwrap();
    assert!(matches!(fault(&other, &bytes, &key), Fault::Misplaced(n) if n == name()));
    assert!(matches!(fault(&name(), b"PK\x03\x04 something else", &key), Fault::NotASegment));
    let age = age::encrypt(&key.to_public(), b"not a segment").unwrap();
    assert!(matches!(fault(&name(), &age, &key), Fault::NotASegment));
    assert!(matches!(fault(&name(), b"age-encryption.org/v2\n-> X\n--- \n", &key), Fault::Newer(2)));
}

#[test]
fn a_later_format_is_refused_as_such() {
    let key = Identity::generate();
    let label = label::tests_label(2);
    let recipients: [&dyn age::Recipient; 2] = [&key.to_public(), &label];
    let mut bytes = Vec::new();
    let mut writer =
        age::Encryptor::with_recipients(recipients.into_iter()).unwrap().wrap_output(&mut bytes).unwrap();
    std::io::Write::write_all(&mut writer, b"whatever comes").unwrap();
    writer.finish().unwrap();
    let fault = fault(&name(), &bytes, &key);
    assert!(matches!(fault, Fault::Newer(2)), "{fault:?}");
    assert!(fault.to_string().contains("later release"));
}

#[test]
fn a_long_message_is_not_held_twice_while_it_is_sealed() {
    struct Watched(std::sync::Arc<std::sync::atomic::AtomicUsize>, Vec<u8>);
    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }
    impl Drop for Watched {
        fn drop(&mut self) {
            self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    struct Sink(std::sync::Arc<std::sync::atomic::AtomicUsize>, Vec<usize>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.push(self.0.load(std::sync::atomic::Ordering::SeqCst));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let held = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(20));
    let mut long = entry(0);
    long.message = (0..20).map(|_| Bytes::from_owner(Watched(held.clone(), vec![0; 1 << 16]))).collect();
    let mut sink = Sink(held.clone(), Vec::new());
    plain::encode(&name(), vec![long], &mut sink).unwrap();
    let at_each_piece: Vec<_> = sink.1.into_iter().filter(|held| *held > 0).collect();
    assert_eq!(held.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(
        (1..=20).all(|n| at_each_piece.contains(&n)),
        "each piece is dropped before the next: {at_each_piece:?}"
    );
}

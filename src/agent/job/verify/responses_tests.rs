//! The reading of answers against what Cyrus 3.10 says, and against any bytes.

use proptest::prelude::*;

use super::*;
use crate::agent::job::verify::testing::sha1;

/// The pieces one after another: what came out, and whether it ended in an error.
fn read(pieces: &[&[u8]]) -> (Vec<Answer>, bool) {
    let (mut reading, mut buffer, mut answers) = (Reading::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reading.decode(&mut buffer) {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => break,
                Err(_) => return (answers, true),
            }
        }
    }
    (answers, false)
}

fn only(bytes: &[u8]) -> Answer {
    let (mut answers, failed) = read(&[bytes]);
    assert!(!failed && answers.len() == 1, "{answers:?}");
    answers.remove(0)
}

#[test]
fn a_message_is_summed_and_not_kept() {
    let answer = only(b"* 2 FETCH (FLAGS (\\Seen $Label1) UID 17 BODY[] {12}\r\nab)\r\n* {9}\r\n)\r\n");
    let flags = vec!["\\Seen".to_owned(), "$Label1".to_owned()];
    assert_eq!(answer.fetched(), Some(Fetched { uid: 17, flags, guid: Some(sha1("ab)\r\n* {9}\r\n")) }));
    assert!(answer.raw.len() < 70);
    let empty = only(b"* 1 FETCH (BODY[] {0}\r\n UID 1 FLAGS ())\r\n");
    assert_eq!(empty.fetched(), Some(Fetched { uid: 1, flags: vec![], guid: Some(sha1("")) }));
    let none = only(b"* 1 FETCH (UID 1 FLAGS (\\Recent) BODY[] NIL)\r\n");
    assert_eq!(none.fetched().unwrap().guid, None);
    // The sum of one message is not the next one's.
    let (answers, _) = read(&[b"* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 2)\r\n"]);
    assert_eq!(answers[1].fetched().unwrap().guid, None);
}

#[test]
fn folders_are_told_from_places_of_folders() {
    let list = only(b"* LIST (\\HasChildren) \"/\" \"INBOX/C&AaE- quan\"\r\n");
    assert!(list.is_folder());
    assert_eq!(list.response().unwrap(), Response::List { name: "INBOX/C&AaE- quan".into() });
    let literal = only(b"* LIST (\\HasChildren) \"/\" {9}\r\nINBOX/a%b\r\n");
    assert_eq!(literal.response().unwrap(), Response::List { name: "INBOX/a%b".into() });
    assert!(literal.is_folder());
    assert!(!only(b"* LIST (\\Noselect \\HasChildren) \"/\" INBOX/x\r\n").is_folder());
    assert!(!only(b"* LIST (\\nonexistent) \"/\" INBOX/x\r\n").is_folder());
    assert!(!only(b"* OK (x) {3}\r\n").is_folder());
}

#[test]
fn what_a_folder_says_of_itself_is_read() {
    assert_eq!(only(b"* 7 EXISTS\r\n").exists(), Some(7));
    for other in [&b"* EXISTS\r\n"[..], b"* -7 EXISTS\r\n", b"* 7 RECENT\r\n", b"* 99999999999 EXISTS\r\n"] {
        assert_eq!(only(other).exists(), None, "{}", other.escape_ascii());
    }
    let text = |bytes: &[u8]| match only(bytes).response().unwrap() {
        Response::Notice { text, .. } => text,
        other => panic!("{other:?}"),
    };
    let validity = text(b"* OK [UIDVALIDITY 1796127589] Ok\r\n");
    assert_eq!((coded(&validity, "UIDVALIDITY"), coded(&validity, "UID")), (Some("1796127589"), None));
    let id = text(b"* OK [MAILBOXID (v9j4lnjuisf4y4x1fg066l4b)] Ok\r\n");
    assert_eq!(coded(&id, "MAILBOXID"), Some("v9j4lnjuisf4y4x1fg066l4b"));
    assert_eq!(coded(b"Message 1 no longer exists", "MAILBOXID"), None);
}

#[test]
fn what_is_too_long_is_an_error_and_a_large_message_is_not() {
    let mut endless = b"* 1 FETCH (FLAGS (".to_vec();
    endless.resize(MAX_RESPONSE + 20, b'x');
    assert!(read(&[&endless]).1);
    assert!(read(&[b"* LIST () \"/\" {70000}\r\n"]).1);
    let mut large = b"* 1 FETCH (UID 3 BODY[] {200000}\r\n".to_vec();
    large.resize(large.len() + 200_000, b'y');
    large.extend_from_slice(b")\r\n");
    assert_eq!(only(&large).fetched().unwrap().guid, Some(sha1(&"y".repeat(200_000))));
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_however_cut_and_nothing_panics(
        bytes in prop::collection::vec(prop::sample::select(b"* 1FETCHLISTBODY[]UID()\"\\/{}\r\n0a".to_vec()), 0..160),
        body in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let message = format!("* 3 FETCH (UID 9 BODY[] {{{}}}\r\n", body.len()).into_bytes();
        let all = [&message, &body, &b" FLAGS (\\Seen))\r\n"[..], &bytes].concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
        at.extend([0, all.len()]);
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|ends| &all[ends[0]..ends[1]]).collect();
        let whole = read(&[&all]);
        let digest = Guid(aws_lc_rs::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &body).as_ref().try_into().unwrap());
        prop_assert_eq!(whole.0[0].fetched().unwrap().guid, Some(digest));
        prop_assert_eq!(read(&pieces), whole.clone());
        for answer in whole.0 {
            let _ = (answer.fetched(), answer.exists(), answer.is_folder(), answer.response());
        }
    }
}

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::backup::manifest::Owner;

fn folder(name: &str) -> Folder {
    let name = format!("x.vn!{name}");
    let owner = Owner::of(&name);
    let (folder, deleted) = (owner.folder, owner.deleted);
    Folder { folder, id: name.clone(), name, kind: "e".into(), uid_validity: 1, deleted }
}

fn message(uid: u32, guid: u8) -> Message {
    Message { uid, guid: Guid([guid; 20]), date: 100 * uid, size: 10, flags: vec![], expunged: false }
}

fn expunged(uid: u32, guid: u8) -> Message {
    Message { expunged: true, ..message(uid, guid) }
}

fn contents() -> Contents {
    let sieve = Folder { kind: "s".into(), ..folder("user.an.#sieve") };
    let folders = vec![
        (
            folder("user.an"),
            vec![message(1, 1), expunged(2, 2), message(3, 3), message(4, 3), expunged(5, 4)],
        ),
        (folder("user.an.C&AaE- quan.2026^1"), vec![message(7, 4)]),
        (folder("user.an.C&AaE- quan-cu"), vec![message(8, 5)]),
        (folder("DELETED.user.an.Cu.6B04D33E"), vec![message(9, 6)]),
        (sieve, vec![message(1, 9)]),
    ];
    Contents { mailbox: Some("an@x.vn".into()), folders }
}

fn chosen(filter: &Filter, target: Option<&Target>) -> Vec<(String, Vec<u32>)> {
    let uids = |items: &[Item]| items.iter().map(|item| item.uid).collect();
    select(&contents(), filter, target).iter().map(|it| (it.path.clone(), uids(&it.items))).collect()
}

fn owned(list: &[(&str, &[u32])]) -> Vec<(String, Vec<u32>)> {
    list.iter().map(|(path, uids)| ((*path).to_owned(), uids.to_vec())).collect()
}

fn time(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap())
}

#[test]
fn without_a_filter_all_comes_that_lives_and_the_same_content_once() {
    let (old, new) = ("C&AaE- quan-cu", "C&AaE- quan/2026.1");
    let all = owned(&[("INBOX", &[1, 3]), (new, &[7]), (old, &[8])]);
    assert_eq!(chosen(&Filter::default(), None), all);
    let below = Target { mailbox: None, folder: Some("Của An".into()) };
    let all = owned(&[
        ("C&Huc-a An", &[1, 3]),
        ("C&Huc-a An/C&AaE- quan/2026.1", &[7]),
        ("C&Huc-a An/C&AaE- quan-cu", &[8]),
    ]);
    assert_eq!(chosen(&Filter::default(), Some(&below)), all);
}

#[test]
fn a_folder_is_itself_and_what_is_below_it() {
    let of = |folder: &str| chosen(&Filter { folder: Some(folder.into()), ..Filter::default() }, None);
    assert_eq!(of("Cơ quan"), owned(&[("C&AaE- quan/2026.1", &[7])]));
    assert_eq!(of("Cơ quan/2026.1"), owned(&[("C&AaE- quan/2026.1", &[7])]));
    assert_eq!(of("inbox"), owned(&[("INBOX", &[1, 3])]));
    assert_eq!(of("Cơ quan/2026"), []);
    assert_eq!(of("Cu"), []);
}

#[test]
fn what_was_deleted_comes_only_if_it_is_asked_for_and_what_was_moved_does_not() {
    let filter = Filter { expunged: true, ..Filter::default() };
    let all = chosen(&filter, None);
    assert_eq!(all[0], ("INBOX".to_owned(), vec![1, 2, 3]), "5 was moved");
    assert_eq!(all[3], ("Cu".to_owned(), vec![9]));
}

#[test]
fn times_are_from_and_before() {
    let of = |after, before| {
        let filter = Filter { after, before, folder: Some("INBOX".into()), ..Filter::default() };
        chosen(&filter, None).first().map(|(_, uids)| uids.clone()).unwrap_or_default()
    };
    assert_eq!(of(Some(time(100)), None), [1, 3]);
    assert_eq!(of(Some(time(101)), None), [3]);
    assert_eq!(of(None, Some(time(300))), [1]);
    assert_eq!(of(Some(time(301)), Some(time(400))), [] as [u32; 0]);
    assert_eq!(of(Some(time(301)), Some(time(401))), [4], "the same content, of which the other is too old");
}

proptest! {
    #[test]
    fn a_filter_only_takes_away(after in 0_i64..900, before in 0_i64..900, expunged: bool, folder in "(INBOX|Cơ quan|x)") {
        let all = select(&contents(), &Filter { expunged: true, ..Filter::default() }, None);
        let filter = Filter { after: Some(time(after)), before: Some(time(before)), expunged, folder: Some(folder), ..Filter::default() };
        for source in select(&contents(), &filter, None) {
            let whole = all.iter().find(|it| it.id == source.id).unwrap();
            for item in &source.items {
                prop_assert!((after..before).contains(&i64::from(item.date)));
                prop_assert!(whole.items.iter().any(|it| it.guid == item.guid));
            }
        }
    }
}

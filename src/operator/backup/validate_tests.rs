use super::*;
use crate::operator::backup::testing::{checked, fetched};

fn reason(more: &str, change: impl FnOnce(&mut Fetched)) -> (Option<&'static str>, bool) {
    let mut fetched = fetched(more, 2);
    change(&mut fetched);
    let checked = checked(&fetched);
    if let Some(problem) = &checked.problem {
        assert!(problem.message.len() > 20, "{problem:?}");
        assert_eq!(problem.lists, checked.validated.is_some(), "{problem:?}");
    }
    (checked.problem.map(|problem| problem.reason), checked.validated.is_some())
}

#[test]
fn schedules_and_zones_that_cannot_be_are_refused_by_name() {
    assert_eq!(reason("schedule: '30 1 * * *'", |_| {}), (None, true));
    for (more, wanted) in [
        ("schedule: '0 0 30 2 *'", "ScheduleNeverFires"),
        ("schedule: '61 1 * * *'", "InvalidSchedule"),
        ("schedule: '@midnight'", "InvalidSchedule"),
        ("{schedule: '30 1 * * *', timeZone: Asia/Saigon2}", "UnknownTimeZone"),
        ("timeZone: Mars/Olympus", "UnknownTimeZone"),
        ("verify: {schedule: '0 0 31 4 *'}", "ScheduleNeverFires"),
        ("startingDeadline: 5x", "InvalidSpec"),
        ("verify: {scratch: {size: much}}", "InvalidSpec"),
    ] {
        assert_eq!(reason(more, |_| {}), (Some(wanted), false), "{more}");
    }
}

#[test]
fn without_its_secrets_nothing_begins() {
    let secret = |data: serde_json::Value| serde_json::from_value(serde_json::json!({"data": data})).unwrap();
    assert_eq!(reason("{}", |it| it.encryption = None), (Some("EncryptionSecretMissing"), false));
    let empty = |it: &mut Fetched| it.encryption = Some(secret(serde_json::json!({"password": "Cg=="})));
    assert_eq!(reason("{}", empty), (Some("EncryptionSecretMissing"), false), "a line end is no password");
    assert_eq!(reason("{}", |it| it.storage = None), (Some("CredentialsMissing"), false));
    let half = |it: &mut Fetched| it.storage = Some(secret(serde_json::json!({"accessKeyId": "aQ=="})));
    assert_eq!(reason("{}", half), (Some("CredentialsMissing"), false));
    let volume = "repository: {volume: {claim: nfs}}";
    assert_eq!(reason(volume, |it| it.storage = None), (None, true));
    assert_eq!(reason(volume, |it| it.claim = false), (Some("ClaimMissing"), false));
    assert_eq!(reason("{}", |it| it.rival = Some("mail/older".into())), (Some("RepositoryInUse"), false));
}

#[test]
fn what_is_not_there_yet_lets_the_repository_be_listed() {
    assert_eq!(reason("{}", |it| it.system = None), (Some("SystemMissing"), true));
    assert_eq!(reason("{}", |it| it.selected = false), (Some("SelectorMatchesNothing"), true));
    assert_eq!(reason("{}", |it| drop(it.volumes.pop())), (Some("StoreNotReady"), true));
    let many: Vec<_> = (0..1000).map(|n| format!("{}{n}@x.vn", "a".repeat(60))).collect();
    let selector = serde_json::json!({"mailboxes": {"addresses": many}}).to_string();
    assert_eq!(reason(&selector, |_| {}), (Some("SelectorTooLarge"), false));
}

#[test]
fn what_is_not_said_is_that_of_the_store() {
    let v = checked(&fetched("{}", 2)).validated.unwrap();
    assert_eq!((v.verify.scratch.size.0.as_str(), v.verify.scratch.class.as_deref()), ("20Gi", Some("fast")));
    assert_eq!((v.shards(), v.verify.sample), (2, 5));
    let own = "{verify: {scratch: {size: 5Gi, storageClassName: slow}}, startingDeadline: 90m, retention: {keepDaily: 7}}";
    let v = checked(&fetched(own, 1)).validated.unwrap();
    assert_eq!((v.verify.scratch.size.0.as_str(), v.verify.scratch.class.as_deref()), ("5Gi", Some("slow")));
    assert_eq!(v.policy.deadline, Some(std::time::Duration::from_mins(90)));
    assert_eq!((v.keep.daily, v.keep.last), (7, 0));
    let source = v.store.unwrap().shards.remove(0).unwrap();
    assert_eq!(
        (source.pod.as_str(), source.data.node.as_deref(), source.lag),
        ("demo-store-0-0", Some("node-0"), None)
    );
}

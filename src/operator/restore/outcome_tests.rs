use serde_json::json;

use super::*;
use crate::operator::backup::testing::job;

fn restore(addresses: &[&str]) -> MailRestore {
    let mailboxes = if addresses.is_empty() { json!({"all": true}) } else { json!({"addresses": addresses}) };
    let spec = json!({"system": {"name": "demo"}, "from": {"snapshot": "s"}, "mailboxes": mailboxes});
    MailRestore::new("r", serde_json::from_value(spec).unwrap())
}

fn done(shard: u32, found: u64, restored: u64, mailboxes: &[&str]) -> ShardJob {
    with(shard, found, restored, mailboxes, None)
}

fn with(shard: u32, found: u64, restored: u64, mailboxes: &[&str], reason: Option<&str>) -> ShardJob {
    let failure = reason.map(|reason| Failed { reason: reason.into(), message: format!("{reason} it was") });
    let of = RestoreDone {
        failure,
        found,
        restored,
        skipped: 0,
        failed: found - restored,
        examples: vec![format!("example of {shard}")],
        mailboxes: mailboxes.iter().map(|it| (*it).to_owned()).collect(),
    };
    job(shard, State::Ended(Ok(Answer::Restore(of))))
}

fn reason(restore: &MailRestore, jobs: &[ShardJob]) -> String {
    outcome(restore, jobs).done.failure.map(|failed| failed.reason).unwrap_or_default()
}

#[test]
fn a_shard_that_has_nothing_of_it_does_no_harm_if_another_has() {
    let an = restore(&["An@x.vn"]);
    let nothing = || with(0, 0, 0, &[], Some("NothingMatches"));
    let jobs = [nothing(), done(1, 3, 3, &["an@x.vn"])];
    let together = outcome(&an, &jobs);
    assert_eq!((together.done.failure, together.done.restored), (None, 3));
    assert_eq!(together.done.examples, ["example of 1"]);
    let together = outcome(&an, &[nothing(), with(1, 0, 0, &[], Some("NothingMatches"))]);
    assert_eq!(together.done.examples, ["example of 0", "example of 1"]);
    let failure = together.done.failure.unwrap();
    assert!(
        failure.reason == "NothingMatches" && failure.message.contains("no mailbox an@x.vn"),
        "{failure:?}"
    );
}

#[test]
fn an_address_that_no_shard_has_is_named() {
    let both = restore(&["an@x.vn", "binh@x.vn"]);
    let together = outcome(&both, &[done(0, 1, 1, &["an@x.vn"])]);
    let failure = together.done.failure.unwrap();
    assert_eq!(failure.reason, "PartiallyRestored");
    assert!(failure.message.contains("binh@x.vn"), "{failure:?}");
    assert_eq!(reason(&both, &[done(0, 1, 1, &["an@x.vn", "binh@x.vn"])]), "");
}

#[test]
fn one_failure_keeps_its_reason_and_several_are_a_part() {
    let all = restore(&[]);
    let full = || with(0, 2, 1, &[], Some("QuotaExceeded"));
    assert_eq!(reason(&all, &[full()]), "QuotaExceeded");
    assert_eq!(reason(&all, &[full(), done(1, 5, 5, &[])]), "QuotaExceeded");
    let lost = Failed { reason: "JobFailed".into(), message: "x".into() };
    let lost = job(1, State::Ended(Err(lost)));
    assert_eq!(reason(&all, &[full(), lost.clone()]), "PartiallyRestored");
    assert_eq!(reason(&all, &[lost]), "JobFailed");
}

#[test]
fn what_succeeded_is_told_in_words() {
    let mut of = restore(&[]);
    let done = RestoreDone { restored: 2, skipped: 1, ..RestoreDone::default() };
    assert_eq!(success(&of, &done, "t"), "2 messages came back, and 1 were there");
    of.spec.dry_run = true;
    assert!(success(&of, &done, "t").starts_with("2 messages would come back"));
    let at = json!({"backup": "b", "time": "2026-11-01T00:00:00Z"});
    of.spec.from.point_in_time = Some(serde_json::from_value(at).unwrap());
    assert!(success(&of, &done, "2026-10-31").contains("mail as of 2026-10-31"));
}

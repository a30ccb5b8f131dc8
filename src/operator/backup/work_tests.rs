use super::*;
use crate::operator::backup::{
    snapshots::{Listing, view},
    testing::{id, of_run, validated},
};

fn snapshots(v: &Validated, numbers: &[u32]) -> Vec<MailSnapshot> {
    let stored = numbers.iter().map(|n| of_run(*n, &format!("run-{n}"), i64::from(*n) * 1000)).collect();
    let listing = Listing { shard: 0, stored, whole: true, forgotten: BTreeSet::new() };
    let now = serde_json::from_value("2026-12-05T12:00:00Z".into()).unwrap();
    view(v, &[], &[listing], None, &now).apply
}

fn told(v: &Validated, activity: Activity, existing: &[MailSnapshot]) -> (Work, Extra) {
    work(v, (activity, "r", 0), (&MailBackupStatus::default(), existing), None, &["o-0".into()]).unwrap()
}

#[test]
fn a_backup_expects_what_there_is_and_makes_a_repository_only_where_nothing_was() {
    let v = validated("mailboxes: {domains: [X.vn]}", 1);
    let (Work::Backup(first), extra) = told(&v, Activity::Backup, &[]) else { panic!() };
    assert!(first.create && first.expected.is_empty() && first.objects);
    assert_eq!(first.mailboxes.unwrap().domains, ["x.vn".to_owned()].into());
    assert_eq!((extra.data.unwrap().claim.as_str(), extra.objects.len()), ("data-demo-store-0-0", 1));
    assert_eq!(extra.memory.unwrap().1, "6Gi");
    let (Work::Backup(next), extra) = told(&v, Activity::Backup, &snapshots(&v, &[1, 2])) else { panic!() };
    assert!(!next.create);
    assert_eq!(next.expected, [id(1), id(2)].into());
    assert_eq!(extra.memory.unwrap().1, "2048Mi");
    let missing = work(&v, (Activity::Backup, "r", 1), (&MailBackupStatus::default(), &[]), None, &[]);
    assert_eq!(missing.unwrap_err(), "the shard is gone");
}

#[test]
fn a_proof_is_of_the_latest_and_a_check_reads_all() {
    let v = validated("{}", 1);
    let existing = snapshots(&v, &[1, 2]);
    let (Work::Verify(proof), extra) = told(&v, Activity::Verify, &existing) else { panic!() };
    assert_eq!((proof.snapshot, proof.sample_percent), (id(2), 5));
    assert_eq!(extra.scratch.unwrap().size.0, "20Gi");
    let (Work::Verify(on), _) =
        work(&v, (Activity::Verify, "r", 0), (&MailBackupStatus::default(), &existing), Some("run-1"), &[])
            .unwrap()
    else {
        panic!()
    };
    assert_eq!(on.snapshot, id(1), "what was begun goes on");
    let check = validated("verify: {mode: Check}", 1);
    let (Work::Maintain(check), _) = told(&check, Activity::Verify, &existing) else { panic!() };
    assert!(check.read && check.forget.is_empty());
    let keep = validated("retention: {keepLast: 1}", 1);
    let (Work::Maintain(keep), _) = told(&keep, Activity::Maintain, &existing) else { panic!() };
    assert_eq!((keep.read, keep.forget), (false, [id(1)].into()));
}

#[test]
fn an_estimate_needs_some_percent() {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    assert_eq!(estimate(at(0), at(60), 2), None);
    assert_eq!(estimate(at(0), at(60), 25), Some(at(240)));
    assert_eq!(estimate(at(0), at(60), 100), None);
}

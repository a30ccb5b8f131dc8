use super::*;
use crate::operator::backup::{
    snapshot_object::proven,
    testing::{id, of_run, validated},
};
use crate::{api::MailBackupStatus, conditions};

const RUN: &str = "nightly-20261205-013000";

fn now() -> Time {
    serde_json::from_value("2026-12-05T12:00:00Z".into()).unwrap()
}

fn listing(shard: u32, stored: Vec<Stored>) -> Listing {
    Listing { shard, stored, whole: true, forgotten: BTreeSet::new() }
}

/// A night's snapshot of a shard.
fn night(night: i64, shard: u32) -> Stored {
    let frozen = 1_796_000_000_000 + night * 86_400_000;
    let number = u32::try_from(night).unwrap() * 10 + shard;
    of_run(number, &format!("nightly-2026120{night}-013000"), frozen)
}

fn seen(more: &str, existing: &[MailSnapshot], listings: &[Listing]) -> View {
    view(&validated(more, 2), existing, listings, None, &now())
}

/// The objects that there are after a listing.
fn after(more: &str, listings: &[Listing]) -> Vec<MailSnapshot> {
    let mut made = seen(more, &[], listings).apply;
    for object in &mut made {
        object.metadata.generation = Some(1);
    }
    // As they are once the API server has them.
    seen(more, &made, &[]).apply.into_iter().chain(Vec::new()).for_each(|new| {
        let old = made.iter_mut().find(|old| old.name_any() == new.name_any()).unwrap();
        old.status = new.status;
    });
    made
}

fn complete(object: &MailSnapshot) -> (&str, &str) {
    let condition = conditions::get(&object.status.as_ref().unwrap().conditions, COMPLETE).unwrap();
    (&condition.status, &condition.reason)
}

#[test]
fn a_run_is_one_object_with_a_part_for_each_shard() {
    let view = seen("{}", &[], &[listing(0, vec![night(1, 0)]), listing(1, vec![night(1, 1)])]);
    assert_eq!((view.apply.len(), view.count), (1, 1));
    let object = &view.apply[0];
    assert_eq!(object.name_any(), "nightly-20261201-013000");
    assert_eq!((object.spec.backup.as_str(), object.spec.parts.len()), ("nightly", 2));
    let status = object.status.as_ref().unwrap();
    assert_eq!(
        (status.mailboxes, status.messages, status.added.as_deref()),
        (Some(4), Some(20), Some("2Ki"))
    );
    assert_eq!(complete(object), ("True", "Complete"));
    assert!(object.metadata.finalizers.is_none() && object.metadata.owner_references.is_some());
}

#[test]
fn what_is_there_is_not_written_again_and_what_went_is_told() {
    let both = |nights: &[i64]| {
        [0, 1].map(|shard| listing(shard, nights.iter().map(|n| night(*n, shard)).collect()))
    };
    let existing = after("{}", &both(&[1, 2]));
    let same = seen("{}", &existing, &both(&[1, 2]));
    assert_eq!((same.apply.len(), same.delete.len(), same.vanished.len(), same.count), (0, 0, 0, 2));
    let gone = seen("{}", &existing, &both(&[2]));
    assert_eq!(gone.delete, ["nightly-20261201-013000"]);
    assert_eq!(gone.vanished.len(), 2);
    assert_eq!(gone.vanished[0], (0, "nightly-20261201-013000".to_owned(), id(10)));
    let one = seen("{}", &existing, &[listing(1, vec![night(2, 1)])]);
    assert_eq!((one.delete.len(), one.vanished.len()), (0, 1));
    assert_eq!(complete(&one.apply[0]), ("False", "ShardMissing"));
    let torn = Listing { whole: false, ..listing(0, Vec::new()) };
    assert_eq!(
        seen("{}", &existing, &[torn]),
        seen("{}", &existing, &[]),
        "a listing that failed says nothing"
    );
}

#[test]
fn what_we_forgot_has_not_vanished() {
    let both = |nights: &[i64]| {
        [0, 1].map(|shard| listing(shard, nights.iter().map(|n| night(*n, shard)).collect()))
    };
    let existing = after("{}", &both(&[1, 2]));
    let mut listings = both(&[2]);
    for listing in &mut listings {
        listing.forgotten = [id(10), id(11)].into();
    }
    let view = seen("{}", &existing, &listings);
    assert_eq!((view.delete.len(), view.vanished.len(), view.count), (1, 0, 1));
}

#[test]
fn a_shard_is_expected_from_its_first_snapshot_on() {
    let grown = [listing(0, vec![night(1, 0), night(2, 0), night(3, 0)]), listing(1, vec![night(2, 1)])];
    let view = seen("{}", &[], &grown);
    let words: Vec<_> = view.apply.iter().map(complete).collect();
    assert_eq!(words, [("True", "Complete"), ("True", "Complete"), ("False", "ShardMissing")]);
    let selected = seen("mailboxes: {domains: [x.vn]}", &[], &grown);
    assert!(selected.apply.iter().all(is_complete), "a shard may have none of them");
    let failed = (RUN, &[1].into());
    let stored = vec![of_run(50, RUN, 1_796_000_000_000)];
    let run = Listing { shard: 0, stored: stored.clone(), whole: false, forgotten: BTreeSet::new() };
    let v = validated("{}", 2);
    let first = view_of(&v, &[], &[run], Some(failed)).apply;
    assert_eq!(complete(&first[0]), ("False", "ShardMissing"));
    let later = view_of(&v, &first, &[listing(0, stored)], None);
    assert!(later.apply.iter().all(|object| !is_complete(object)), "it stays so");
}

fn view_of(
    v: &Validated,
    existing: &[MailSnapshot],
    listings: &[Listing],
    lacking: Option<(&str, &BTreeSet<u32>)>,
) -> View {
    view(v, existing, listings, lacking, &now())
}

#[test]
fn a_repository_without_a_system_is_shown_and_nothing_is_forgotten() {
    let mut v = validated("retention: {keepLast: 1}", 1);
    v.store = None;
    let shown = view_of(&v, &[], &[listing(0, vec![night(1, 0), night(2, 0)])], None).apply;
    assert_eq!((complete(&shown[0]), shown.len()), (("Unknown", "SystemMissing"), 2));
    assert!(
        shown.iter().all(is_doubtful)
            && to_forget(&v, &MailBackupStatus::default(), &shown).is_empty()
            && provable(&shown).is_none()
    );
    let odd = vec![of_run(1, "Latest of all", 5), of_run(2, "", 5)];
    assert_eq!(view_of(&v, &[], &[listing(0, odd)], None).count, 0, "no name of ours");
}

#[test]
fn retention_lets_go_of_whole_runs_and_never_of_the_last_proven() {
    let nights: Vec<_> = (1..=4).map(|n| night(n, 0)).collect();
    let mut v = validated("retention: {keepLast: 1}", 1);
    let mut all = after("{}", &[listing(0, nights)]);
    let names = |all: &BTreeSet<String>| all.iter().map(|name| name[14..16].to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&to_forget(&v, &MailBackupStatus::default(), &all)), ["01", "02", "03"]);
    all[1].status = Some(proven(&all[1], None, &now()));
    assert_eq!(names(&to_forget(&v, &MailBackupStatus::default(), &all)), ["01", "03"]);
    assert_eq!(provable(&all).unwrap().name_any(), "nightly-20261204-013000");
    // An object that was lost and made again does not know that it was proven; the MailBackup does.
    let said = MailBackupStatus { verified_snapshot: Some(all[2].name_any()), ..Default::default() };
    assert_eq!(names(&to_forget(&v, &said, &all)), ["01"]);
    let damaged: MailBackupStatus = serde_json::from_value(serde_json::json!({"history": [
        {"run": "r", "activity": "Verify", "reason": "RepositoryDamaged"},
        {"run": "q", "activity": "Backup", "reason": "Succeeded"},
    ]}))
    .unwrap();
    assert!(to_forget(&v, &damaged, &all).is_empty(), "nothing is pruned in a damaged repository");
    v.policy.suspended = true;
    assert!(to_forget(&v, &MailBackupStatus::default(), &all).is_empty());
}

#[test]
fn a_deleted_object_takes_its_snapshots_along_only_where_that_was_said() {
    let v = validated("reclaimPolicy: Delete", 1);
    let stored = vec![night(1, 0), night(2, 0)];
    let mut all = view_of(&v, &[], &[listing(0, stored)], None).apply;
    assert!(all.iter().all(has_finalizer));
    all[0].metadata.deletion_timestamp = Some(now());
    all[1].metadata.deletion_timestamp = Some(now());
    all[1].status = Some(proven(&all[1], None, &now()));
    assert_eq!(
        to_forget(&v, &MailBackupStatus::default(), &all),
        ["nightly-20261201-013000".to_owned()].into(),
        "the proven one stays"
    );
    assert!(to_forget(&validated("{}", 1), &MailBackupStatus::default(), &all).is_empty());
    assert_eq!(ids(all.iter(), 0), [id(10), id(20)].into());
    all[0].metadata.owner_references = None;
    let gone = to_forget(&v, &MailBackupStatus::default(), &all);
    assert!(gone.is_empty(), "it went with a former MailBackup of this name");
}

#[test]
fn what_was_proven_once_is_no_more_when_a_proof_fails() {
    let all = after("{}", &[listing(0, vec![night(1, 0)])]);
    let with = |object: &MailSnapshot, failed: Option<&'static str>| {
        let why = crate::job::Failed { reason: String::new(), message: "m".into() };
        let status = proven(object, failed.map(|reason| (reason, &why)), &now());
        MailSnapshot { status: Some(status), ..object.clone() }
    };
    let good = with(&all[0], None);
    let verified = |object: &MailSnapshot| object.status.as_ref().unwrap().verified.is_some();
    assert!(verified(&good) && is_complete(&good));
    assert!(verified(&with(&good, Some("JobFailed"))), "it only could not be tried");
    let bad = with(&good, Some("FilesDiffer"));
    assert!(!verified(&bad));
    let order = |object: &MailSnapshot| {
        let conditions = &object.status.as_ref().unwrap().conditions;
        conditions.iter().map(|it| it.type_.clone()).collect::<Vec<_>>()
    };
    assert_eq!(order(&bad), order(&good));
    assert!(seen("{}", &[bad], &[]).apply.is_empty(), "it is not written again");
}

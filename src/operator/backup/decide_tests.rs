use super::*;
use crate::operator::backup::jobs::Answer;
use crate::operator::backup::testing::{job, stored, validated};

const SCHEDULE: &str = "schedule: '30 1 * * *'";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(json: serde_json::Value) -> MailBackupStatus {
    serde_json::from_value(json).unwrap()
}

fn run(activity: &str, reason: &str, finished: &str) -> serde_json::Value {
    serde_json::json!({"run": "r", "activity": activity, "reason": reason, "finished": finished})
}

/// What is begun on 5 December 2026, 12:00 UTC.
fn begun(more: &str, of: serde_json::Value, change: impl FnOnce(&mut Now<'_>)) -> Begin {
    let (validated, status) = (validated(more, 1), status(of));
    let mut now = Now {
        at: at("2026-12-05T12:00:00Z"),
        created: at("2026-12-05T02:00:00Z"),
        validated: &validated,
        status: &status,
        run_now: None,
        ready: true,
        doubtful: false,
        forget: false,
        provable: false,
    };
    change(&mut now);
    begin(&now)
}

fn listed(at: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut status = serde_json::json!({"lastListed": at});
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    status
}

#[test]
fn the_repository_is_listed_before_all_else_and_a_failure_to_do_so_stops_no_backup() {
    let none = serde_json::json!({});
    assert_eq!(begun(SCHEDULE, none.clone(), |_| {}), Begin::Maintain);
    assert_eq!(begun("{}", none.clone(), |_| {}), Begin::Maintain);
    assert_eq!(begun("suspend: true", none, |_| {}), Begin::Maintain);
    let failed = serde_json::json!({"history": [run("Maintain", "Unreachable", "2026-12-05T11:50:00Z")]});
    assert_eq!(begun("{}", failed.clone(), |_| {}), Begin::Backup(Some(at("2026-12-05T12:00:00Z")), None));
    let suspended = begun("suspend: true", failed, |_| {});
    assert_eq!(suspended, Begin::Wait(Some(at("2026-12-05T12:05:00Z"))));
}

#[test]
fn a_backup_is_begun_when_it_is_due_and_once_for_any_number_missed() {
    let listed = |more: serde_json::Value| listed("2026-12-05T11:00:00Z", &more);
    let next = Begin::Wait(Some(at("2026-12-06T01:30:00Z")));
    assert_eq!(begun(SCHEDULE, listed(serde_json::json!({})), |_| {}), next, "made after the last time");
    let missed = listed(serde_json::json!({"lastScheduled": "2026-12-01T01:30:00Z"}));
    assert_eq!(
        begun(SCHEDULE, missed.clone(), |_| {}),
        Begin::Backup(Some(at("2026-12-05T01:30:00Z")), None)
    );
    let late = format!("{{{SCHEDULE}, startingDeadline: 2h}}");
    assert_eq!(begun(&late, missed.clone(), |_| {}), Begin::LeaveOut(at("2026-12-05T01:30:00Z")));
    let wait = begun(&format!("{{{SCHEDULE}, suspend: true}}"), missed.clone(), |_| {});
    assert!(matches!(wait, Begin::Wait(_)), "{wait:?}");
    let wait = begun(SCHEDULE, missed, |now| now.ready = false);
    assert!(matches!(wait, Begin::Wait(_)), "no system: {wait:?}");
    let local =
        begun("{schedule: '30 1 * * *', timeZone: Asia/Ho_Chi_Minh}", listed(serde_json::json!({})), |_| {});
    assert_eq!(local, Begin::Wait(Some(at("2026-12-05T18:30:00Z"))));
}

#[test]
fn somebody_who_asks_gets_one_run_and_without_a_schedule_there_is_one() {
    let listed = |more: serde_json::Value| listed("2026-12-05T11:00:00Z", &more);
    let now = at("2026-12-05T12:00:00Z");
    let asked = |more: &str, status| begun(more, status, |now| now.run_now = Some("x"));
    assert_eq!(asked(SCHEDULE, listed(serde_json::json!({}))), Begin::Backup(None, Some("x".into())));
    let done = listed(serde_json::json!({"lastRunNow": "x"}));
    assert!(matches!(asked(SCHEDULE, done), Begin::Wait(Some(_))));
    assert_eq!(asked("{}", listed(serde_json::json!({}))), Begin::Backup(Some(now), Some("x".into())));
    assert_eq!(begun("{}", listed(serde_json::json!({})), |_| {}), Begin::Backup(Some(now), None));
    let once = listed(serde_json::json!({"lastScheduled": "2026-12-05T10:00:00Z"}));
    assert_eq!(
        begun("{}", once, |_| {}),
        Begin::Wait(Some(at("2026-12-06T11:00:00Z"))),
        "only the daily listing"
    );
}

#[test]
fn a_failure_that_may_pass_is_tried_again_three_times_in_all() {
    let with = |runs: &[(&str, &str)]| {
        let history: Vec<_> = runs.iter().map(|(reason, at)| run("Backup", reason, at)).collect();
        listed(
            "2026-12-05T11:59:30Z",
            &serde_json::json!({"lastScheduled": "2026-12-05T01:30:00Z", "history": history}),
        )
    };
    let begun = |runs: &[(&str, &str)]| begun(SCHEDULE, with(runs), |_| {});
    assert_eq!(begun(&[("Unreachable", "2026-12-05T11:45:00Z")]), Begin::Backup(None, None));
    assert_eq!(
        begun(&[("JobFailed", "2026-12-05T11:50:00Z")]),
        Begin::Wait(Some(at("2026-12-05T12:05:00Z")))
    );
    let next = Begin::Wait(Some(at("2026-12-06T01:30:00Z")));
    assert_eq!(begun(&[("WrongPassword", "2026-12-05T11:00:00Z")]), next, "a person has to act");
    let three =
        ["2026-12-05T11:00:00Z", "2026-12-05T10:00:00Z", "2026-12-05T09:00:00Z"].map(|at| ("Stalled", at));
    assert_eq!(begun(&three), next, "the schedule goes on");
}

#[test]
fn a_listing_follows_a_backup_and_a_proof_the_listing() {
    let good = run("Backup", "Succeeded", "2026-12-05T11:00:00Z");
    let after = |at: &str, more: serde_json::Value| {
        let mut status = listed(at, &more);
        status["history"] = serde_json::json!([good]);
        status["lastScheduled"] = "2026-12-05T01:30:00Z".into();
        status
    };
    let none = || serde_json::json!({});
    assert_eq!(begun(SCHEDULE, after("2026-12-05T10:00:00Z", none()), |_| {}), Begin::Maintain);
    let provable = |now: &mut Now<'_>| now.provable = true;
    let now = at("2026-12-05T12:00:00Z");
    assert_eq!(begun(SCHEDULE, after("2026-12-05T11:01:00Z", none()), provable), Begin::Verify(now));
    let proven = || serde_json::json!({"lastVerifyScheduled": "2026-12-05T11:02:00Z"});
    let rests = begun(SCHEDULE, after("2026-12-05T11:01:00Z", proven()), provable);
    assert_eq!(rests, Begin::Wait(Some(at("2026-12-06T01:30:00Z"))));
    for off in ["verify: {mode: None}", "verify: {schedule: '0 3 * * 0'}"] {
        let rests = begun(&format!("{{{SCHEDULE}, {off}}}"), after("2026-12-05T11:01:00Z", none()), provable);
        assert_eq!(rests, Begin::Wait(Some(at("2026-12-06T01:30:00Z"))), "{off}");
    }
    let weekly = format!("{{{SCHEDULE}, verify: {{schedule: '0 3 * * *'}}}}");
    let due = begun(&weekly, after("2026-12-05T11:01:00Z", none()), provable);
    assert_eq!(due, Begin::Verify(at("2026-12-05T03:00:00Z")));
}

#[test]
fn snapshots_are_listed_anew_when_in_doubt_and_forgotten_when_they_may_be() {
    let done = |at: &str| listed(at, &serde_json::json!({"lastScheduled": "2026-12-05T01:30:00Z"}));
    let begun = |more: &str, at: &str, doubtful, forget| {
        begun(&format!("{{{SCHEDULE}{more}}}"), done(at), |now| {
            (now.doubtful, now.forget) = (doubtful, forget);
        })
    };
    assert_eq!(begun("", "2026-12-05T11:00:00Z", true, false), Begin::Maintain);
    assert_eq!(begun(", suspend: true", "2026-12-05T11:00:00Z", true, false), Begin::Maintain);
    assert_eq!(begun("", "2026-12-05T11:00:00Z", false, true), Begin::Maintain);
    assert_eq!(begun("", "2026-12-05T11:59:30Z", false, true), Begin::Wait(Some(at("2026-12-05T12:00:30Z"))));
    assert_eq!(begun("", "2026-12-04T12:00:00Z", false, false), Begin::Maintain, "daily");
    assert_eq!(begun(", suspend: true", "2026-12-04T12:00:00Z", false, true), Begin::Wait(None));
}

#[test]
fn runs_have_names_of_their_own() {
    let at = at("2026-12-05T01:30:00Z");
    let name = |activity, taken: &[&str]| name("nightly", activity, at, |name| taken.contains(&name));
    assert_eq!(name(Activity::Backup, &[]), "nightly-20261205-013000");
    assert_eq!(name(Activity::Backup, &["nightly-20261205-013000"]), "nightly-20261205-013001");
    assert_eq!(name(Activity::Verify, &[]), "nightly-v-20261205-013000");
    let longest = super::name(&"a".repeat(40), Activity::Maintain, at, |_| false);
    assert!(format!("{longest}-63").len() <= 63, "{longest}");
}

#[test]
fn shards_are_worked_on_in_turn() {
    let ended = |shard| job(shard, State::Ended(Ok(Answer::Backup(stored(shard, "r")))));
    let busy = |shard| job(shard, State::Pending(None));
    let next = |activity, jobs: &[ShardJob]| advance(activity, &[0, 1, 2], jobs);
    assert_eq!(next(Activity::Backup, &[]), Advance::Create(0));
    assert_eq!(next(Activity::Backup, &[busy(0)]), Advance::Create(1));
    assert_eq!(next(Activity::Backup, &[busy(0), busy(1)]), Advance::Wait);
    assert_eq!(next(Activity::Backup, &[busy(1), ended(0)]), Advance::Create(2));
    assert_eq!(next(Activity::Verify, &[busy(0)]), Advance::Wait);
    assert_eq!(next(Activity::Verify, &[ended(0)]), Advance::Create(1));
    assert_eq!(next(Activity::Maintain, &[ended(0), ended(2), busy(1)]), Advance::Wait);
    assert_eq!(next(Activity::Maintain, &[ended(0), ended(2), ended(1)]), Advance::End);
    assert_eq!(
        advance(Activity::Verify, &[1], &[]),
        Advance::Create(1),
        "the snapshot has no part of the first"
    );
}

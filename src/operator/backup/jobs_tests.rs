use serde_json::json;

use super::*;
use crate::operator::{
    backup::testing::{stored, validated},
    desired::backup::{Extra, job as made},
};

const NOW: &str = "2026-12-05T12:00:00Z";

fn backup_job(conditions: &serde_json::Value) -> Job {
    let v = validated("{}", 1);
    let work = Work::Backup(crate::job::BackupWork {
        repository: v.place.repository(&v.system, 0),
        run: "r".into(),
        shard: 0,
        pod: "demo-store-0-0".into(),
        lag: None,
        create: true,
        expected: [].into(),
        mailboxes: None,
        objects: false,
    });
    let mut job = made(&v.of(), "r-0".into(), &work, &Extra { run: "r".into(), ..Extra::default() });
    job.metadata.creation_timestamp = serde_json::from_value("2026-12-05T11:00:00Z".into()).unwrap();
    job.status = serde_json::from_value(json!({"conditions": conditions})).unwrap();
    job
}

fn pod(status: &serde_json::Value, created: &str) -> Pod {
    let pod = json!({"metadata": {"name": "r-0-x", "creationTimestamp": created}, "status": status});
    serde_json::from_value(pod).unwrap()
}

fn stands(job: &Job, pods: &[Pod], log: &str) -> State {
    let work = work(job).unwrap();
    let pods: Vec<_> = pods.iter().collect();
    seen(job, &pods, said(&work, log), NOW.parse().unwrap()).unwrap().state
}

fn over(type_: &str) -> serde_json::Value {
    json!([{"type": type_, "status": "True", "message": "it says why"}])
}

#[test]
fn what_a_pod_says_counts_and_a_failure_when_no_other_pod_follows() {
    let good = Said::Done(stored(1, "r")).line();
    let failed = BackupDone {
        snapshot: None,
        failed: Some(Failed { reason: "Unreachable".into(), message: "m".into() }),
        ..stored(1, "r")
    };
    let bad = Said::Done(failed.clone()).line();
    let working = Said::<BackupDone>::Progress(Progress { percent: 7, ..Progress::default() }).line();
    let running = [pod(&json!({"phase": "Running"}), NOW)];
    assert_eq!(
        stands(&backup_job(&json!([])), &running, &good),
        State::Ended(Ok(Answer::Backup(stored(1, "r"))))
    );
    assert!(matches!(
        stands(&backup_job(&json!([])), &running, &working),
        State::Running(Progress { percent: 7, .. })
    ));
    assert!(
        matches!(stands(&backup_job(&json!([])), &running, &bad), State::Running(_)),
        "it is tried again"
    );
    assert_eq!(
        stands(&backup_job(&over("Failed")), &running, &bad),
        State::Ended(Ok(Answer::Backup(failed)))
    );
}

#[test]
fn a_pod_that_ended_without_a_word_did_not_do_its_work() {
    let lost = |job: &Job, pods: &[Pod]| match stands(job, pods, "nothing") {
        State::Ended(Err(failed)) => (failed.reason, failed.message),
        other => panic!("{other:?}"),
    };
    let killed = json!({"phase": "Failed", "containerStatuses": [{"name": "job", "image": "", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]});
    let (reason, message) = lost(&backup_job(&over("Failed")), &[pod(&killed, NOW)]);
    assert!(reason == "JobFailed" && message.contains("OOMKilled: it needed more memory"), "{message}");
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"});
    assert!(lost(&backup_job(&over("Failed")), &[pod(&evicted, NOW)]).1.contains("Evicted the node was low"));
    assert!(lost(&backup_job(&over("Complete")), &[]).1.contains("it says why"), "exit 0 is not enough");
}

#[test]
fn a_pod_that_cannot_start_is_told_of_and_given_up() {
    let unscheduled = |created| {
        let status = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available"}]});
        pod(&status, created)
    };
    let job = backup_job(&json!([]));
    assert_eq!(stands(&job, &[unscheduled("2026-12-05T11:59:00Z")], ""), State::Pending(None));
    let State::Pending(Some(why)) = stands(&job, &[unscheduled("2026-12-05T11:30:00Z")], "") else {
        panic!()
    };
    assert!(why.contains("0/2 nodes are available"), "{why}");
    assert!(matches!(stands(&job, &[unscheduled("2026-12-05T11:00:00Z")], ""), State::Ended(Err(_))));
}

#[test]
fn what_was_said_is_known_when_the_pod_is_gone() {
    let mut job = backup_job(&over("Complete"));
    assert!(is_unread(&job));
    let mut done = stored(1, "r");
    done.lacking = (0..50).map(|n| format!("a{n}@x.vn")).collect();
    let line = kept(&Answer::Backup(done)).unwrap();
    job.metadata.annotations = Some([(RESULT.to_owned(), line)].into());
    let State::Ended(Ok(Answer::Backup(done))) = stands(&job, &[], "") else { panic!() };
    assert_eq!((done.snapshot, done.lacking.len()), (stored(1, "r").snapshot, 20));
}

#[test]
fn between_two_tries_it_is_not_over_however_long_the_first_took() {
    let failed = BackupDone {
        snapshot: None,
        failed: Some(Failed { reason: "Unreachable".into(), message: "m".into() }),
        ..stored(1, "r")
    };
    let ended = [pod(&json!({"phase": "Failed"}), "2026-12-04T12:00:00Z")];
    let job = backup_job(&json!([]));
    let tried = State::Pending(Some("it is tried again".into()));
    assert_eq!(stands(&job, &ended, &Said::Done(failed).line()), tried);
    assert_eq!(stands(&job, &ended, ""), tried);
    assert!(matches!(stands(&job, &[], ""), State::Pending(Some(_))), "a pod that left its node");
}

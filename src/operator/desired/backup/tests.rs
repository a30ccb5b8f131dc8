use insta::assert_yaml_snapshot;

use super::*;
use crate::{
    api::{MailBackupStatus, backup::Activity},
    operator::backup::{
        snapshots::{Listing, view},
        testing::{of_run, validated},
        validated::Validated,
        work::work,
    },
};

fn made(v: &Validated, activity: Activity, objects: &[String]) -> Job {
    let stored = vec![of_run(1, "nightly-20261205-013000", 1_796_000_000_000)];
    let listing = Listing { shard: 0, stored, whole: true, forgotten: [].into() };
    let now = serde_json::from_value("2026-12-05T12:00:00Z".into()).unwrap();
    let existing = view(v, &[], &[listing], None, &now).apply;
    let (work, extra) =
        work(v, (activity, "run", 0), (&MailBackupStatus::default(), &existing), None, objects).unwrap();
    job(&v.of(), "run-0".into(), &work, &extra)
}

#[test]
fn a_backup_is_this_job() {
    let v = validated("{}", 1);
    assert_yaml_snapshot!("backup_job", made(&v, Activity::Backup, &["o-0".into(), "o-1".into()]));
    assert_yaml_snapshot!("backup_policy", policy(&v.of()));
}

#[test]
fn a_proof_has_a_volume_of_its_own_and_no_store() {
    let v = validated("repository: {volume: {claim: nfs, path: mail}}", 1);
    let job = made(&v, Activity::Verify, &[]);
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    assert_yaml_snapshot!("verify_volumes", pod.volumes);
    assert_yaml_snapshot!("verify_mounts", pod.containers[0].volume_mounts);
    assert!(pod.affinity.is_none());
    let rules = policy(&v.of()).spec.unwrap().egress.unwrap();
    assert_eq!(rules.len(), 2, "DNS and stores: a volume needs no way out");
}

#[test]
fn a_restore_may_have_the_stores_key() {
    let v = validated("{}", 1);
    let (work, mut extra) =
        work(&v, (Activity::Maintain, "run", 0), (&MailBackupStatus::default(), &[]), None, &[]).unwrap();
    extra.login = true;
    let job = job(&v.of(), "run-0".into(), &work, &extra);
    let pod = job.spec.unwrap().template.spec.unwrap();
    let login = pod.volumes.unwrap().into_iter().find(|volume| volume.name == "gateway-login").unwrap();
    assert_eq!(login.secret.unwrap().secret_name.as_deref(), Some("demo-gateway-login"));
}

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::{
    fetch::{Classes, Fetched},
    status::{Observation, Outcome, status},
    testing::{NOW, fetched, running, validate},
    validate::ValidateError,
    workloads::Workloads,
};
use crate::{
    api::MailSystemStatus,
    conditions::get,
    names::Component,
    operator::{
        desired::desired,
        mailbox::Counts,
        switchover::{
            Shard,
            observe::tests::{report, shard},
        },
    },
    role::{Phase, StaleTakeover},
};

fn wrong(spec: &str) -> Vec<String> {
    match validate(&fetched(spec)) {
        Err(ValidateError::InvalidSpec(wrong)) => wrong,
        other => panic!("{other:?}"),
    }
}

/// The status of this system when `ready` pods of each workload are ready.
fn seen(fetched: &Fetched, ready: &[(&'static str, i32)]) -> MailSystemStatus {
    let checked = validate(fetched).unwrap();
    let workloads = running(desired(&checked.validated), &ready.iter().copied().collect::<BTreeMap<_, _>>());
    observe(fetched, &workloads)
}

fn observe(fetched: &Fetched, workloads: &Workloads) -> MailSystemStatus {
    observe_stores(fetched, workloads, None)
}

fn observe_stores(fetched: &Fetched, workloads: &Workloads, stores: Option<&[Shard]>) -> MailSystemStatus {
    let checked = validate(fetched).unwrap();
    let trouble =
        |component| (component == Component::Cache).then(|| "container valkey is starting".to_owned());
    status(&Observation {
        system: &fetched.system,
        workloads,
        outcome: Outcome::Built {
            certificate: &checked.certificate,
            expires: checked.validated.pair.expires,
            problems: &checked.problems,
            refused: &[],
            taken: &[],
        },
        trouble: &trouble,
        journal: super::journal::finding(fetched, &[]),
        delivery: super::audit::delivery(fetched, &[], NOW * 1000),
        ldap: super::ldap::finding(fetched, &[]),
        backups: super::backups::finding(&fetched.backups, Timestamp::UNIX_EPOCH),
        stores,
        counts: Some(Counts { mailboxes: 3, domains: 1, vanished: 0, ..Counts::default() }),
        now: Time(Timestamp::from_second(NOW).unwrap()),
    })
}

fn told<'a>(status: &'a MailSystemStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let Condition { status, reason, message, .. } = get(&status.conditions, type_).unwrap();
    (status, reason, message)
}

#[test]
fn what_is_wrong_in_a_spec_is_told_by_field_all_at_once() {
    let wrong = wrong(
        "{hostname: MAIL, gateway: {messageSize: huge, relayHost: 'a b', queueStorage: {size: x}}, store: {storage: {size: y}}, antispam: {thresholds: {addHeader: 9, reject: 9}}, antivirus: {mirrors: ['a b']}}",
    );
    for field in [
        "spec.hostname",
        "spec.gateway.messageSize",
        "spec.gateway.relayHost",
        "spec.gateway.queueStorage.size",
        "spec.store.storage.size",
        "spec.antispam.thresholds",
        "spec.antivirus.mirrors",
    ] {
        assert_eq!(wrong.iter().filter(|text| text.starts_with(field)).count(), 1, "{field}: {wrong:?}");
    }
}

#[test]
fn the_token_is_made_once_and_a_spoilt_one_is_not_replaced_silently() {
    let mut fetched = fetched("{hostname: mail.x.vn}");
    let first = validate(&fetched).unwrap().validated;
    assert!(!first.token_exists && first.token.as_str() == "07".repeat(32));
    let token = |text: &str| -> Secret {
        serde_json::from_value(serde_json::json!({"data": {"token": base64(text)}})).unwrap()
    };
    fetched.internal = Some(token(&"ab".repeat(32)));
    let second = validate(&fetched).unwrap().validated;
    assert!(second.token_exists && second.token.as_str() == "ab".repeat(32));
    fetched.internal = Some(token("short"));
    assert!(
        matches!(validate(&fetched), Err(ValidateError::InvalidSpec(wrong)) if wrong[0].contains("demo-internal"))
    );
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_system_whose_pods_are_ready_is_ready_though_its_certificate_is_self_signed() {
    let status = seen(&fetched("{hostname: mail.x.vn}"), &[]);
    assert_eq!(told(&status, "Ready"), ("True", "Serving", "every part serves"));
    assert_eq!(told(&status, "CertificateValid").1, "SelfSigned");
    assert_eq!(told(&status, "StoreAvailable"), ("True", "Available", "all 2 pods are ready"));
    assert!(get(&status.conditions, "Reconciling").is_none() && get(&status.conditions, "Stalled").is_none());
    assert_eq!((status.mailboxes, status.domains, status.observed_generation), (3, 1, Some(1)));
    assert_eq!(status.components.len(), 5);
    assert_eq!(status.components[0].image, "example/postfix:1");
}

#[test]
fn one_gateway_of_two_is_degraded_and_a_shard_without_a_pod_is_down() {
    let fetched = fetched("{hostname: mail.x.vn, store: {shards: 2}}");
    let status = seen(&fetched, &[("demo-gateway", 1), ("demo-store-1", 0)]);
    assert_eq!(
        told(&status, "GatewayAvailable"),
        ("True", "Degraded", "1 of 2 pods of demo-gateway are ready")
    );
    assert_eq!(told(&status, "StoreAvailable"), ("False", "Unavailable", "no pod of demo-store-1 is ready"));
    assert_eq!(told(&status, "Ready").0, "False");
    assert_eq!(told(&status, "Reconciling").0, "True");
}

#[test]
fn nothing_is_said_of_pods_that_nobody_has_looked_at() {
    let fetched = fetched("{hostname: mail.x.vn}");
    let status = observe(&fetched, &fetched.workloads);
    for type_ in ["Ready", "GatewayAvailable", "StoreAvailable", "AntispamAvailable", "AntivirusAvailable"] {
        assert_eq!(told(&status, type_).0, "Unknown", "{type_}");
    }
}

#[test]
fn without_scanners_status_says_what_becomes_of_mail() {
    let status = seen(&fetched("{hostname: mail.x.vn}"), &[("demo-antivirus", 0)]);
    let (state, _, message) = told(&status, "AntivirusAvailable");
    assert!(state == "False" && message.contains("mail waits"), "{message}");
    let accepting = fetched("{hostname: mail.x.vn, antivirus: {onFailure: Accept}}");
    for ready in [0, 2] {
        let status = seen(&accepting, &[("demo-antivirus", ready)]);
        let message = told(&status, "AntivirusAvailable").2;
        assert!(message.contains("passes unscanned"), "{message}");
    }
}

#[test]
fn missing_signatures_and_classes_are_named_with_what_to_do() {
    let mut fetched = fetched(
        "{hostname: mail.x.vn, antivirus: {signatureSecret: sigs}, store: {storage: {size: 1Gi, storageClassName: fast}}}",
    );
    fetched.signatures = None;
    fetched.classes = Classes { missing: vec!["fast".to_owned()], no_default: false };
    let status = seen(&fetched, &[]);
    let (state, reason, message) = told(&status, "AntivirusAvailable");
    assert_eq!((state, reason), ("False", "SignatureSecretMissing"));
    assert!(message.contains("Secret sigs does not exist"), "{message}");
    let (state, reason, message) = told(&status, "StoreAvailable");
    assert_eq!((state, reason), ("False", "StorageClassNotFound"));
    assert!(message.contains("no storage class fast"), "{message}");
    assert_eq!(told(&status, "GatewayAvailable").0, "True");
}

#[test]
fn volumes_that_exist_stay_as_they_are_and_status_says_so() {
    let mut fetched = fetched("{hostname: mail.x.vn, store: {storage: {size: 1Gi}}}");
    let first = validate(&fetched).unwrap().validated;
    fetched.workloads = running(desired(&first), &BTreeMap::new());
    fetched.system.spec.store.storage.size = "2Gi".to_owned();
    let second = validate(&fetched).unwrap().validated;
    assert_eq!(first.store.shards, second.store.shards);
    let status = observe(&fetched, &fetched.workloads);
    let (state, reason, message) = told(&status, "StoreAvailable");
    assert_eq!((state, reason), ("True", "Available"));
    assert!(message.contains("does not change volumes that exist (1Gi"), "{message}");
}

#[test]
fn a_cache_that_is_down_degrades_the_spam_filter() {
    let status = seen(&fetched("{hostname: mail.x.vn}"), &[("demo-cache", 0)]);
    let (state, reason, message) = told(&status, "AntispamAvailable");
    assert_eq!((state, reason), ("True", "Degraded"));
    assert!(message.contains("container valkey is starting"), "{message}");
    assert!(told(&status, "Ready").2.contains("AntispamAvailable"));
}

#[test]
fn a_paused_system_says_so_and_an_orphaned_volume_fails_the_store() {
    let mut fetched = fetched("{hostname: mail.x.vn, paused: true}");
    assert_eq!(told(&seen(&fetched, &[]), "Ready").1, "Paused");
    fetched.orphan = Some("data-demo-store-1-0".to_owned());
    assert_eq!(told(&seen(&fetched, &[]), "StoreAvailable").1, "ShardMissing");
}

#[test]
fn the_operators_own_secret_is_no_certificate_to_name() {
    let wrong = wrong("hostname: mail.x.vn\ntls: {secretName: demo-tls}");
    assert!(wrong[0].contains("demo-tls"), "{wrong:?}");
}

/// The status when `ready` pods are, and the stores of its only shard say this.
fn paired(fetched: &Fetched, ready: &[(&'static str, i32)], stores: &Shard) -> MailSystemStatus {
    let desired = desired(&validate(fetched).unwrap().validated);
    let workloads = running(desired, &ready.iter().copied().collect());
    observe_stores(fetched, &workloads, Some(std::slice::from_ref(stores)))
}

fn in_sync() -> Shard {
    shard([Some(report(0, 4, Phase::Primary)), Some(report(1, 4, Phase::InSync))])
}

fn alone() -> Shard {
    let mut alone = shard([Some(report(0, 4, Phase::Primary)), Some(report(1, 4, Phase::CatchingUp))]);
    alone.stores[0].said.as_mut().unwrap().in_sync = false;
    alone
}

#[test]
fn two_stores_of_which_one_serves_and_the_other_has_everything() {
    let status = paired(&fetched("{hostname: mail.x.vn}"), &[], &in_sync());
    assert_eq!(told(&status, "Ready"), ("True", "Serving", "every part serves"));
    assert_eq!(told(&status, "StoreAvailable"), ("True", "Available", "all 2 pods are ready"));
    assert_eq!(
        (told(&status, "ReplicationHealthy").0, told(&status, "ReplicationHealthy").1),
        ("True", "InSync")
    );
    assert_eq!(status.shards[0].primary.as_deref(), Some("demo-store-0-0"));
    assert!(get(&status.conditions, "StaleTakeover").is_none());
}

#[test]
fn a_replica_that_lacks_something_is_told_and_keeps_nothing_from_serving() {
    let status = paired(&fetched("{hostname: mail.x.vn}"), &[("demo-store-0", 1)], &alone());
    let (state, reason, message) = told(&status, "Ready");
    assert_eq!((state, reason), ("True", "Serving"));
    assert_eq!(message, "every part serves; ReplicationHealthy: demo-store-0-1 is CatchingUp");
    let expected = "1 of 2 pods of demo-store-0 are ready: demo-store-0-1 is CatchingUp";
    assert_eq!(told(&status, "StoreAvailable"), ("True", "Degraded", expected));
}

#[test]
fn stores_are_available_by_what_they_say_and_not_by_pods_that_are_ready() {
    let system = fetched("{hostname: mail.x.vn}");
    let waiting = shard([Some(report(0, 4, Phase::Waiting)), None]);
    let status = paired(&system, &[], &waiting);
    let (state, reason, message) = told(&status, "StoreAvailable");
    assert_eq!((state, reason), ("False", "Unavailable"));
    let words = "no store of shard 0 serves: demo-store-0-0 is Waiting, demo-store-0-1 does not answer";
    assert_eq!(message, words);
    assert_eq!((told(&status, "Ready").0, told(&status, "ReplicationHealthy").0), ("False", "Unknown"));
    let status = paired(&system, &[("demo-store-0", 0)], &in_sync());
    let (state, reason, message) = told(&status, "StoreAvailable");
    assert_eq!((state, reason), ("True", "Degraded"));
    assert!(message.starts_with("every shard is served; no pod of demo-store-0 is ready"), "{message}");
    // A new system: there are no pods that anybody could have asked.
    let status = observe_stores(&system, &system.workloads, Some(&[Shard::unknown(0)]));
    assert_eq!((told(&status, "StoreAvailable").1, told(&status, "Ready").0), ("NotObserved", "Unknown"));
    let status = observe_stores(&system, &system.workloads, Some(&[in_sync()]));
    assert_eq!(told(&status, "StoreAvailable"), ("True", "Available", "every shard is served"));
}

#[test]
fn a_stale_takeover_stands_until_somebody_says_that_it_is_over() {
    let mut system = fetched("{hostname: mail.x.vn}");
    let mut stale = alone();
    stale.stores[0].said.as_mut().unwrap().stale_takeover = Some(StaleTakeover { from: 1, until: 2 });
    let first = paired(&system, &[], &stale);
    assert_eq!((told(&first, "StaleTakeover").0, told(&first, "Ready").0), ("True", "True"));
    let words = told(&first, "StaleTakeover").2.to_owned();
    system.system.status = Some(first);
    let silent = paired(&system, &[], &shard([None, None]));
    assert_eq!(told(&silent, "StaleTakeover").2, words);
    system.system.status = Some(silent);
    assert!(get(&paired(&system, &[], &alone()).conditions, "StaleTakeover").is_none());
}

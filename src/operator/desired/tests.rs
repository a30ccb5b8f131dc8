use insta::assert_yaml_snapshot;
use k8s_openapi::ByteString;

use super::*;
use crate::{
    api::system::Durability,
    journal::storage::Location,
    operator::system::{
        fetch::Classes,
        journal::Journal,
        testing::{fetched, images, validate},
        values::Token,
    },
};

const SMALL: &str = "{hostname: mail.angiang.gov.vn}";
const LARGE: &str = "
hostname: mail.angiang.gov.vn
gateway:
  replicas: 3
  service: {type: NodePort, annotations: {x.vn/lb: internal}}
  messageSize: 25Mi
  queueStorage: {size: 1Gi, storageClassName: fast}
  relayHost: '[relay.x.vn]:587'
  resources: {limits: {memory: 100Mi}}
store:
  shards: 2
  storage: {size: 20Gi}
  resources: {requests: {cpu: '1', memory: 4Gi}}
antispam: {replicas: 1, thresholds: {addHeader: 5, reject: 12.5}}
antivirus: {replicas: 1, signatureSecret: signatures, onFailure: Accept, onDetection: Quarantine}
";

fn of(spec: &str) -> (Validated, Desired) {
    let mut v = validate(&fetched(spec)).unwrap().validated;
    v.token = Token::from_bytes([1; 32]);
    let mut desired = desired(&v);
    hide_hashes(&mut desired);
    (v, desired)
}

/// A change of a daemon's configuration is no change of the objects here.
fn hide_hashes(desired: &mut Desired) {
    let sets =
        desired.gateway.iter_mut().chain(&mut desired.cache).chain(desired.stores.iter_mut().flatten());
    let sets = sets.map(|set| &mut set.spec.as_mut().unwrap().template);
    let deployments = [&mut desired.antispam, &mut desired.antivirus];
    let deployments =
        deployments.into_iter().map(|deployment| &mut deployment.spec.as_mut().unwrap().template);
    for template in sets.chain(deployments) {
        let annotations = template.metadata.as_mut().unwrap().annotations.as_mut().unwrap();
        annotations.insert(crate::names::CONFIG_HASH.to_owned(), "HASH".to_owned());
    }
}

#[test]
fn a_small_system_is_these_objects() {
    let (_, mut small) = of(SMALL);
    for secret in small.tls.data.as_mut().unwrap().values_mut() {
        *secret = ByteString(b"PEM".to_vec());
    }
    assert_yaml_snapshot!("gateway", small.gateway);
    assert_yaml_snapshot!("store", small.stores);
    assert_yaml_snapshot!("antispam", small.antispam);
    assert_yaml_snapshot!("antivirus", small.antivirus);
    assert_yaml_snapshot!("cache", small.cache);
    assert_yaml_snapshot!("services", small.services);
    assert_yaml_snapshot!("policies", small.policies);
    assert_yaml_snapshot!("budgets", small.budgets);
    assert_yaml_snapshot!("accounts", small.accounts);
    assert_yaml_snapshot!("rights", (small.roles, small.bindings));
    assert_yaml_snapshot!("leases", small.leases);
    assert_yaml_snapshot!("secrets", (small.internal, small.gateway_login, small.tls));
}

#[test]
fn every_wish_of_a_large_system_reaches_its_object() {
    let (_, large) = of(LARGE);
    assert_yaml_snapshot!("large_antivirus", large.antivirus);
    assert_yaml_snapshot!("large_front", large.services[0]);
    assert_yaml_snapshot!("large_policies", [&large.policies[0], &large.policies[3]]);
    assert_eq!(large.stores.len(), 2);

    let gateway = large.gateway.unwrap().spec.unwrap();
    assert_eq!(gateway.replicas, Some(3));
    assert_yaml_snapshot!("large_queue", gateway.volume_claim_templates);
    let postfix = &gateway.template.spec.unwrap().containers[0];
    assert_yaml_snapshot!("large_postfix_resources", postfix.resources);
    let main_cf = &large.configuration.postfix.data.unwrap()["main.cf"];
    assert!(main_cf.contains("message_size_limit = 26214400") && main_cf.contains("[relay.x.vn]:587"));
    let actions = &large.configuration.rspamd.data.unwrap()["actions.conf"];
    assert!(actions.contains("12.5"), "{actions}");
}

#[test]
fn a_journal_reaches_the_gateways_agent_and_its_way_out() {
    let (mut v, without) = of(SMALL);
    v.journal = Some(Journal {
        retention: Some(30),
        location: Location {
            endpoint: Some("https://s3.x.vn:9000".into()),
            region: "us-east-1".into(),
            bucket: "mail".into(),
            prefix: "mail/demo".into(),
        },
        port: 9000,
        credentials: "s3".into(),
        durability: Durability::Preferred,
        backlog: 1 << 30,
        keys: vec!["age1one".into(), "age1two".into()],
    });
    let with = super::desired(&v);
    let spec = with.gateway.unwrap().spec.unwrap().template.spec.unwrap();
    assert_yaml_snapshot!("journal_agent", spec.init_containers.unwrap()[1]);
    assert_yaml_snapshot!("journal_volume", spec.volumes.unwrap().last());
    let rules = |policy: &NetworkPolicy| policy.spec.clone().unwrap().egress.unwrap();
    assert_yaml_snapshot!("journal_way_out", rules(&with.policies[0]).last());
    assert_eq!(rules(&with.policies[0]).len(), rules(&without.policies[0]).len() + 1);
}

#[test]
fn every_object_belongs_to_the_system_and_can_be_selected() {
    let (_, desired) = of(LARGE);
    let all = serde_json::to_value([
        serde_json::to_value(&desired.gateway).unwrap(),
        serde_json::to_value(&desired.antispam).unwrap(),
        serde_json::to_value(&desired.tls).unwrap(),
        serde_json::to_value(&desired.internal).unwrap(),
        serde_json::to_value(&desired.configuration.cyrus).unwrap(),
        serde_json::to_value(&desired.services[0]).unwrap(),
        serde_json::to_value(&desired.policies[0]).unwrap(),
        serde_json::to_value(&desired.budgets[0]).unwrap(),
        serde_json::to_value(&desired.accounts[0]).unwrap(),
    ]);
    for object in all.unwrap().as_array().unwrap() {
        let meta = &object["metadata"];
        assert_eq!(meta["namespace"], "mail", "{meta}");
        assert_eq!(meta["labels"]["app.kubernetes.io/managed-by"], "mail-operator", "{meta}");
        assert_eq!(meta["ownerReferences"][0]["controller"], true, "{meta}");
        assert_eq!(meta["ownerReferences"][0]["name"], "demo", "{meta}");
    }
}

#[test]
fn pods_follow_their_own_configuration_and_the_token_but_not_the_certificate() {
    let hashes = |v: &Validated| configuration::all(v).hashes(v);
    let (v, _) = of(SMALL);
    let first = hashes(&v);
    assert_eq!(first, hashes(&of(SMALL).0), "another pair, the same hashes");
    let resized = hashes(&of("{hostname: mail.angiang.gov.vn, gateway: {messageSize: 10Mi}}").0);
    assert_ne!(first.gateway, resized.gateway);
    assert_eq!(first.store, resized.store);
    let mut other = v.clone();
    other.token = Token::from_bytes([2; 32]);
    let other = hashes(&other);
    assert_ne!(first.gateway, other.gateway);
    assert_ne!(first.antispam, other.antispam);
    assert_ne!(first.store, other.store);
    assert_eq!(first.cache, other.cache);
}

#[test]
fn what_has_no_storage_class_yet_is_left_out_and_the_rest_is_made() {
    let mut fetched = fetched(SMALL);
    fetched.classes = Classes { missing: Vec::new(), no_default: true };
    let v = validate(&fetched).unwrap().validated;
    let desired = desired(&v);
    assert_eq!((desired.gateway, desired.cache, desired.stores), (None, None, vec![None]));
    assert_eq!(desired.antispam.spec.unwrap().replicas, Some(2));
    assert_eq!(images(), v.images);
}

#[test]
fn gateways_may_reach_the_ports_of_directory_services_where_there_are_any() {
    let (mut v, without) = of(SMALL);
    v.ldap_ports = vec![636, 1389];
    let reach = |desired: &Desired| {
        let policy = serde_json::to_value(&desired.policies[0]).unwrap();
        let rules = policy["spec"]["egress"].as_array().unwrap().clone();
        rules.into_iter().filter(|rule| rule["ports"][0]["port"] == 636).collect::<Vec<_>>()
    };
    assert_eq!(reach(&without).len(), 0);
    let rules = reach(&desired(&v));
    assert_eq!((rules.len(), &rules[0]["ports"][1]["port"]), (1, &serde_json::json!(1389)));
}

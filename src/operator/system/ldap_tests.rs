use k8s_openapi::ByteString;

use super::*;
use crate::{
    agent::sockets::passwords::ldap::{People, ServerReport},
    operator::system::{
        testing::{self, fetched},
        validate::ValidateError,
    },
};

const SPEC: &str = "
hostname: mail.x.vn
authentication:
  ldap:
    - name: province
      urls: ['ldaps://dc1.x.vn', 'ldap://dc2.x.vn:1389/']
      caSecret: dc-ca
      bind: {dn: 'cn=mail,dc=vn', passwordSecret: {name: dc-mail}}
      search: {baseDN: 'dc=vn'}
";

fn complete() -> Fetched {
    let mut fetched = fetched(SPEC);
    for (name, keys) in secrets(&fetched.system.spec) {
        let data = keys.into_iter().map(|key| (key, ByteString(b"x".to_vec()))).collect();
        fetched.ldap.insert(name, Secret { data: Some(data), ..Secret::default() });
    }
    fetched
}

fn report(troubles: [Option<Reason>; 2], people: People) -> (String, Option<BTreeMap<String, Report>>) {
    let server = |trouble: Option<Reason>| ServerReport {
        url: "ldaps://dc1.x.vn".into(),
        trouble: trouble.map(|reason| Trouble { reason, message: "what it said".into() }),
    };
    let report = Report { servers: troubles.map(server).into(), people };
    ("mail-gateway-0".into(), Some([("province".to_owned(), report)].into()))
}

fn told(fetched: &Fetched, reports: &Reports) -> (Option<bool>, &'static str, String) {
    let finding = finding(fetched, reports).unwrap();
    (finding.status, finding.reason, finding.message)
}

#[test]
fn gateways_may_reach_the_ports_of_the_servers() {
    let checked = testing::validate(&complete()).unwrap();
    assert_eq!(checked.validated.ldap_ports, [636, 1389]);
    assert_eq!(finding(&fetched("{hostname: mail.x.vn}"), &[]), None);
}

#[test]
fn a_filter_that_is_none_and_a_port_that_there_is_not_are_told() {
    let spec = SPEC.replace("{baseDN: 'dc=vn'}", "{baseDN: 'dc=vn', filter: '(&(mail={address})'}");
    let Err(ValidateError::InvalidSpec(wrong)) = testing::validate(&fetched(&spec)) else { panic!("taken") };
    assert!(wrong[0].contains("spec.authentication.ldap[province].search.filter"), "{wrong:?}");
    let spec = SPEC.replace(":1389", ":99999");
    assert!(testing::validate(&fetched(&spec)).is_err());
}

#[test]
fn a_secret_that_is_missing_is_named_with_its_key() {
    for (gone, reason, key) in
        [("dc-ca", "CaSecretMissing", "ca.crt"), ("dc-mail", "BindSecretMissing", "password")]
    {
        let mut fetched = complete();
        fetched.ldap.remove(gone);
        let (status, said, message) = told(&fetched, &[report([None, None], People::default())]);
        assert_eq!((status, said), (Some(false), reason));
        assert!(message.contains(&format!("province: Secret {gone} has no key {key}")), "{message}");
    }
}

#[test]
fn one_server_is_enough_and_none_is_told_with_what_to_do() {
    let fetched = complete();
    let none = People::default();
    assert_eq!(told(&fetched, &[report([None, None], none)]).1, "Reachable");
    let (status, reason, message) = told(&fetched, &[report([Some(Reason::Unreachable), None], none)]);
    assert_eq!((status, reason), (Some(true), "Degraded"));
    assert!(message.contains("another server answers in place of ldaps://dc1.x.vn"), "{message}");
    for (trouble, reason, remedy) in [
        (Reason::BindRefused, "BindRefused", "correct bind.dn"),
        (Reason::CertificateNotTrusted, "CertificateNotTrusted", "caSecret"),
        (Reason::BaseNotFound, "BaseNotFound", "search.baseDN"),
    ] {
        let (status, said, message) = told(&fetched, &[report([Some(trouble), Some(Reason::Silent)], none)]);
        assert_eq!((status, said), (Some(false), reason));
        assert!(message.contains(remedy) && message.contains("only app passwords are taken"), "{message}");
    }
}

#[test]
fn far_fewer_people_are_told_by_numbers_and_nothing_is_true_before_it_was_seen() {
    let fetched = complete();
    let people = People { asked: 40, missing: 12, implausible: true };
    let (status, reason, message) = told(&fetched, &[report([None, None], people)]);
    assert_eq!((status, reason), (Some(false), "FarFewerPeople"));
    assert!(message.contains("of 40 people") && message.contains("does not know 12"), "{message}");
    assert_eq!(told(&fetched, &[]).1, "NotObserved");
    assert_eq!(told(&fetched, &[("mail-gateway-0".into(), None)]).0, None);
    assert_eq!(told(&fetched, &[("mail-gateway-0".into(), Some(BTreeMap::new()))]).0, None);
}

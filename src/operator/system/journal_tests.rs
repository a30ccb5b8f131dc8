use super::*;
use crate::operator::system::{
    testing::{self, fetched},
    validate::ValidateError,
};

const SPEC: &str = "
hostname: mail.x.vn
journal:
  objectStorage: {endpoint: 'http://s3.x.vn:9000/', bucket: mail, credentialsSecret: s3}
";

fn secret(data: &[(&str, &str)]) -> Secret {
    let data = data.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    Secret { data: Some(data.collect()), ..Secret::default() }
}

fn complete(spec: &str) -> Fetched {
    let mut fetched = fetched(spec);
    fetched.journal_key = Some(new_key(&fetched.name));
    fetched.journal_credentials = Some(secret(&[(keys::ID, "a"), (keys::SECRET, "b")]));
    fetched
}

fn wrong(spec: &str) -> String {
    match testing::validate(&complete(spec)) {
        Err(ValidateError::InvalidSpec(wrong)) => wrong.join("; "),
        other => panic!("{other:?}"),
    }
}

fn told(fetched: &Fetched, reports: &Reports) -> (Option<bool>, &'static str, String) {
    let finding = finding(fetched, reports).unwrap();
    (finding.status, finding.reason, finding.message)
}

fn report(reason: Option<&str>, backlog_segments: u64) -> (String, Option<Report>) {
    let reason = reason.map(str::to_owned);
    let report = Report {
        written: reason.is_none(),
        message: reason.clone(),
        reason,
        backlog_segments,
        backlog_bytes: 0,
    };
    ("mail-gateway-0".to_owned(), Some(report))
}

#[test]
fn defaults_are_the_systems_own() {
    let checked = testing::validate(&complete(SPEC)).unwrap();
    let journal = checked.validated.journal.unwrap();
    assert_eq!(journal.location.prefix, "mail/demo");
    assert_eq!(journal.location.endpoint.as_deref(), Some("http://s3.x.vn:9000"));
    assert_eq!((journal.port, journal.backlog, journal.keys.len()), (9000, 1 << 30, 1));
}

#[test]
fn nothing_is_encrypted_with_a_key_that_is_not_stored() {
    let mut fetched = complete(SPEC);
    fetched.journal_key = None;
    assert_eq!(testing::validate(&fetched).unwrap().validated.journal, None);
}

#[test]
fn a_key_that_is_damaged_is_never_replaced() {
    let mut fetched = complete(SPEC);
    fetched.journal_key = Some(secret(&[("identity", "AGE-SECRET-KEY-1X")]));
    let Err(ValidateError::InvalidSpec(wrong)) = testing::validate(&fetched) else { panic!() };
    assert!(wrong[0].contains("demo-journal-key") && wrong[0].contains("bring back"), "{wrong:?}");
}

#[test]
fn what_is_wrong_is_told_by_field() {
    assert!(wrong(&SPEC.replace("http://", "")).contains("spec.journal.objectStorage.endpoint"));
    let spec = SPEC.replace("journal:\n", "journal:\n  backlog: much\n");
    assert!(wrong(&spec).contains("spec.journal.backlog"));
    let spec = SPEC.replace("journal:\n", "journal:\n  additionalKeys: [age1x]\n");
    assert!(wrong(&spec).contains("spec.journal.additionalKeys"));
}

#[test]
fn healthy_is_only_what_every_gateway_has_written() {
    let fetched = complete(SPEC);
    assert_eq!(told(&fetched, &[]).0, None);
    assert_eq!(told(&fetched, &[report(None, 0), ("g1".into(), None)]).0, None);
    assert_eq!(told(&fetched, &[report(None, 0)]).0, Some(true));
    let (status, reason, message) = told(&fetched, &[report(None, 3)]);
    assert_eq!((status, reason), (Some(false), "Backlog"));
    assert!(message.starts_with("3 segments"), "{message}");
    assert!(finding(&testing::fetched("{hostname: mail.x.vn}"), &[]).is_none());
}

#[test]
fn each_trouble_has_its_reason_and_says_what_becomes_of_mail() {
    let fetched = complete(SPEC);
    for (code, expected) in [
        ("NoSuchBucket", "BucketNotFound"),
        ("SignatureDoesNotMatch", "CredentialsRefused"),
        ("AccessDenied", "AccessDenied"),
        ("RequestTimeTooSkewed", "ClockSkew"),
        ("AuthorizationHeaderMalformed", "WrongRegion"),
        ("Unreachable", "StorageUnreachable"),
        ("Whatever", "StorageFailing"),
    ] {
        let (status, reason, message) = told(&fetched, &[report(Some(code), 0)]);
        assert_eq!((status, reason), (Some(false), expected));
        assert!(message.contains("no mail is accepted"), "{message}");
    }
}

#[test]
fn missing_credentials_are_named() {
    let mut fetched = complete(SPEC);
    fetched.journal_credentials = Some(secret(&[(keys::ID, "a"), (keys::SECRET, " ")]));
    let (status, reason, message) = told(&fetched, &[report(None, 0)]);
    assert_eq!((status, reason), (Some(false), "CredentialsMissing"));
    assert!(message.contains("Secret s3 has no key secretAccessKey"), "{message}");
}

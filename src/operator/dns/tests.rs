use super::*;
use crate::api::domain::{DnsRecord, KeyUse, RecordState};

fn needs() -> Needs<'static> {
    let key = Key { selector: "mail".into(), public: "KEY".into(), use_: KeyUse::Signing, until: None };
    Needs { domain: "x.vn", hostname: "mail.x.vn", relayed: false, keys: vec![key] }
}

/// The judged records when these were found; what is not named is not there.
fn judged(needs: &Needs<'_>, found: &[(&str, Type, &[&str])]) -> Vec<DnsRecord> {
    let mut answers: Answers =
        questions(&expected(needs, None)).into_iter().map(|question| (question, Answer::Nothing)).collect();
    for (name, type_, values) in found {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        answers.insert(((*name).to_owned(), *type_), Answer::Records(values));
    }
    expected(needs, Some(&answers)).iter().map(|expected| judge(expected, Some(&answers), &[])).collect()
}

fn state(records: &[DnsRecord], purpose: &str) -> RecordState {
    records.iter().find(|record| record.purpose == purpose).unwrap().state.unwrap()
}

const GOOD: &[(&str, Type, &[&str])] = &[
    ("x.vn", Type::Mx, &["10 MAIL.x.vn.", "20 other.vn."]),
    ("x.vn", Type::Txt, &["google-site-verification=1", "v=spf1 ip4:192.0.2.1 mx -all"]),
    ("mail._domainkey.x.vn", Type::Txt, &["v=DKIM1;k=rsa; p=K EY"]),
    ("_dmarc.x.vn", Type::Txt, &["v=DMARC1; p=none"]),
    ("mail.x.vn", Type::A, &["192.0.2.7"]),
];

#[test]
fn a_domain_whose_needed_records_are_there_is_ready_without_the_optional_ones() {
    let records = judged(&needs(), GOOD);
    for purpose in ["MX", "SPF", "DKIM", "DMARC", "A"] {
        assert_eq!(state(&records, purpose), RecordState::Ok, "{purpose}");
    }
    for purpose in ["TLS-RPT", "MTA-STS"] {
        assert_eq!(state(&records, purpose), RecordState::Missing, "{purpose}");
    }
    let pointer = records.iter().find(|record| record.purpose == "PTR").unwrap();
    assert_eq!((&*pointer.name, pointer.state), ("7.2.0.192.in-addr.arpa", None), "not asked yet");
    let verdict = verdict(&records);
    assert_eq!((verdict.status, verdict.reason), (Some(true), "RecordsPublished"));
}

#[test]
fn each_wrong_record_is_told_apart() {
    let table: &[(&str, &str, Type, &[&str], RecordState)] = &[
        ("MX", "x.vn", Type::Mx, &["10 other.vn."], RecordState::Different),
        ("SPF", "x.vn", Type::Txt, &["v=spf1 -all"], RecordState::Different),
        ("SPF", "x.vn", Type::Txt, &["v=spf1 mx -all", "v=spf1 mx ~all"], RecordState::Different),
        ("SPF", "x.vn", Type::Txt, &["v=spf10 mx"], RecordState::Missing),
        ("DKIM", "mail._domainkey.x.vn", Type::Txt, &["v=DKIM1; p=OTHER"], RecordState::Different),
        ("DMARC", "_dmarc.x.vn", Type::Txt, &["v=DMARC1"], RecordState::Different),
        (
            "DMARC",
            "_dmarc.x.vn",
            Type::Txt,
            &["v=DMARC1; p=none", "v=DMARC1; p=reject"],
            RecordState::Different,
        ),
        ("TLS-RPT", "_smtp._tls.x.vn", Type::Txt, &["v=TLSRPTv1; rua=mailto:a@x.vn"], RecordState::Ok),
        ("MTA-STS", "_mta-sts.x.vn", Type::Txt, &["v=STSv1"], RecordState::Different),
        ("PTR", "7.2.0.192.in-addr.arpa", Type::Ptr, &["host7.isp.vn."], RecordState::Different),
        ("PTR", "7.2.0.192.in-addr.arpa", Type::Ptr, &["mail.x.vn."], RecordState::Ok),
    ];
    for (purpose, name, type_, values, expected) in table {
        let found: Vec<_> = GOOD
            .iter()
            .filter(|(other, of, _)| (other, of) != (name, type_))
            .copied()
            .chain([(*name, *type_, *values)])
            .collect();
        let records = judged(&needs(), &found);
        assert_eq!(state(&records, purpose), *expected, "{purpose} {values:?}");
    }
}

#[test]
fn with_a_relay_host_any_one_spf_record_will_do() {
    let relayed = Needs { relayed: true, ..needs() };
    let found = [("x.vn", Type::Txt, ["v=spf1 include:relay.vn -all"].as_slice())];
    assert_eq!(state(&judged(&relayed, &found), "SPF"), RecordState::Ok);
    assert_eq!(state(&judged(&needs(), &found), "SPF"), RecordState::Different);
}

#[test]
fn what_could_not_be_looked_up_is_unknown_and_what_was_not_keeps_its_state() {
    let all = expected(&needs(), None);
    let failed: Answers = questions(&all)
        .into_iter()
        .map(|question| (question, Answer::Failed("no answer in time".into())))
        .collect();
    let records: Vec<_> = all.iter().map(|expected| judge(expected, Some(&failed), &[])).collect();
    assert_eq!(state(&records, "MX"), RecordState::Unknown);
    assert_eq!(verdict(&records).reason, "LookupFailed");
    let before = judged(&needs(), GOOD);
    let kept: Vec<_> = all.iter().map(|expected| judge(expected, None, &before)).collect();
    assert_eq!(verdict(&kept).reason, "RecordsPublished");
    let fresh: Vec<_> = all.iter().map(|expected| judge(expected, None, &[])).collect();
    assert_eq!(verdict(&fresh).reason, "Pending");
}

#[test]
fn what_is_missing_is_named() {
    let finding = verdict(&judged(&needs(), &GOOD[1..]));
    assert_eq!((finding.status, finding.reason), (Some(false), "RecordMissing"));
    assert!(finding.message.contains("missing: MX at x.vn."), "{}", finding.message);
}

#[test]
fn the_record_of_the_key_that_comes_next_is_asked_for() {
    let next = Key { selector: "next".into(), public: "KEY".into(), use_: KeyUse::Next, until: None };
    let rotating = Needs { keys: needs().keys.into_iter().chain([next]).collect(), ..needs() };
    let finding = verdict(&judged(&rotating, GOOD));
    assert_eq!(finding.reason, "RecordMissing");
    assert!(finding.message.contains("DKIM at next._domainkey.x.vn"), "{}", finding.message);
}

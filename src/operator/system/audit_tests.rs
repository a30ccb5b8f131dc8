use super::*;
use crate::operator::system::testing::fetched;

const NOW: i64 = 1_764_036_000_000;
const SPEC: &str = "
hostname: mail.x.vn
journal:
  objectStorage: {endpoint: 'http://s3.x.vn:9000/', bucket: mail, credentialsSecret: s3}
";

#[allow(clippy::unnecessary_wraps, reason = "beside them stand gateways that do not answer")]
fn report(change: impl FnOnce(&mut Report)) -> Option<Report> {
    let checked = u64::try_from(NOW - 1000).ok();
    let mut report = Report { checked, forgotten: Some(false), ..Report::default() };
    change(&mut report);
    Some(report)
}

fn told(reports: &[Option<Report>]) -> Delivery {
    let named = (0..).zip(reports).map(|(i, report)| (format!("mail-gateway-{i}"), report.clone()));
    delivery(&fetched(SPEC), &named.collect::<Vec<_>>(), NOW).unwrap()
}

fn word(reports: &[Option<Report>]) -> (Option<bool>, &'static str) {
    let told = told(reports);
    (told.finding.status, told.finding.reason)
}

#[test]
fn accounted_is_only_what_every_gateway_has_compared_a_while_ago() {
    let good = report(|_| {});
    assert_eq!(word(&[good.clone(), good.clone()]), (Some(true), "Accounted"));
    assert_eq!(told(std::slice::from_ref(&good)).unaccounted, Some(0));
    assert_eq!(word(&[]), (None, "NotObserved"));
    assert_eq!(word(&[good.clone(), None]), (None, "NotObserved"));
    assert_eq!(word(&[good.clone(), report(|it| it.checked = None)]), (None, "NotObserved"));
    assert_eq!(word(&[report(|it| it.forgotten = None)]), (None, "NotObserved"));
    assert_eq!(word(&[report(|it| it.overflow = true)]), (None, "QueueTooLarge"));
    let stale = report(|it| {
        it.checked = u64::try_from(NOW - FRESH).ok();
        it.message = Some("Postfix did not list its queue in time".into());
    });
    let stale = told(&[good, stale]);
    assert_eq!((stale.finding.status, stale.unaccounted), (None, None));
    assert!(
        stale.finding.message.starts_with("mail-gateway-1: Postfix did not"),
        "{}",
        stale.finding.message
    );
    assert!(delivery(&fetched("{hostname: mail.x.vn}"), &[], NOW).is_none());
}

#[test]
fn what_is_missing_is_counted_over_all_gateways_even_if_one_does_not_answer() {
    let missing = |count, at| report(|it| (it.unaccounted, it.oldest_unaccounted) = (count, Some(at)));
    let told = told(&[missing(1, 1_764_000_002_000), missing(2, 1_764_000_001_500), None]);
    assert_eq!((told.finding.status, told.finding.reason), (Some(false), "Unaccounted"));
    assert_eq!(told.unaccounted, Some(3));
    assert_eq!(told.oldest.unwrap().0.as_second(), 1_764_000_001);
    let message = told.finding.message;
    assert!(message.starts_with("3 accepted messages are in no queue"), "{message}");
    assert!(
        message.contains("(mail-gateway-0, mail-gateway-1, the oldest since 2025-11-24T16:00:01Z)"),
        "{message}"
    );
    assert!(message.contains("kubectl mail replay"), "{message}");
}

#[test]
fn a_gateway_that_begins_anew_over_an_old_journal_is_not_accounted_for() {
    let new = told(&[report(|it| (it.forgotten, it.since) = (Some(true), 1_764_000_000_000))]);
    assert_eq!((new.finding.status, new.finding.reason), (Some(false), "GatewayVolumeNew"));
    assert!(new.finding.message.contains("--lost-volume mail-gateway-0"), "{}", new.finding.message);
    let progress = Some(Progress { done: 12, total: 30 });
    let on = told(&[report(|it| (it.forgotten, it.brought_back) = (Some(true), progress))]);
    assert!(on.finding.message.contains("12 of 30 messages"), "{}", on.finding.message);
}

#[test]
fn what_is_open_near_the_end_of_the_retention_is_an_alarm() {
    let spec = format!("{SPEC}  retention: 10d\n");
    let open = |days: i64| report(|it| it.oldest_open = u64::try_from(NOW - days * 86_400_000).ok());
    let told = |spec: &str, days| delivery(&fetched(spec), &[("g".into(), open(days))], NOW).unwrap().finding;
    assert_eq!((told(&spec, 9).status, told(&spec, 9).reason), (Some(false), "NearRetention"));
    assert_eq!(told(&spec, 7).reason, "Accounted");
    assert_eq!(told(SPEC, 9).reason, "Accounted", "nothing is deleted");
}

//! `DeliveryAccounted`: what the gateways know of the mail that they accepted comes in, a condition and figures go out. Pure.
//! It says True only when every gateway has compared with its queue a short while ago.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{fetch::Fetched, journal::days};
use crate::{
    api::system::Durability,
    conditions::Finding,
    journal::{
        ledger::{Progress, Report},
        retention::Known,
    },
};

/// The condition.
pub const ACCOUNTED: &str = "DeliveryAccounted";

/// A comparison with the queue counts for so long, in milliseconds. A long list of a large queue may take minutes.
const FRESH: i64 = 10 * 60 * 1000;

/// What is said of delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The condition.
    pub finding: Finding,
    /// Messages that are unaccounted for; `None` while that is not known.
    pub unaccounted: Option<u32>,
    /// When the oldest of them was accepted.
    pub oldest: Option<Time>,
}

/// What the gateways' pods say, by pod; `None` where one did not answer.
pub type Reports = [(String, Option<Report>)];

/// What is to be said at `now` (Unix time in milliseconds); nothing without a journal.
#[must_use]
pub fn delivery(fetched: &Fetched, reports: &Reports, now: i64) -> Option<Delivery> {
    let spec = fetched.system.spec.journal.as_ref()?;
    let told: Vec<_> = reports.iter().filter_map(|(_, report)| report.as_ref()).collect();
    let lost: u64 = told.iter().map(|report| report.unaccounted).sum();
    let oldest = told.iter().filter_map(|report| report.oldest_unaccounted).min().and_then(time);
    let finding = if lost > 0 {
        missing(reports, lost, oldest.as_ref())
    } else if let Some((pod, report)) = forgotten(reports) {
        Finding::no(ACCOUNTED, "GatewayVolumeNew", volume_new(fetched, pod, report))
    } else if let Some(unknown) = unchecked(reports, now) {
        unknown
    } else if let Some(near) = near_retention(spec.retention.as_deref().and_then(days), reports, now) {
        near
    } else if spec.durability == Durability::Disabled {
        Finding::yes(
            ACCOUNTED,
            "Disabled",
            "what was journalled is accounted for; nothing is journalled any more (spec.journal.durability: Disabled)",
        )
    } else {
        Finding::yes(
            ACCOUNTED,
            "Accounted",
            "every accepted message was delivered, relayed or returned, or is in a queue",
        )
    };
    let known = finding.status.is_some();
    let unaccounted = known.then(|| u32::try_from(lost).unwrap_or(u32::MAX));
    Some(Delivery { finding, unaccounted, oldest })
}

fn missing(reports: &Reports, lost: u64, oldest: Option<&Time>) -> Finding {
    let pods: Vec<_> = reports
        .iter()
        .filter(|(_, report)| report.as_ref().is_some_and(|report| report.unaccounted > 0))
        .map(|(pod, _)| pod.as_str())
        .collect();
    let since = oldest.map(|at| format!(", the oldest since {}", at.0)).unwrap_or_default();
    let messages =
        if lost == 1 { "1 accepted message is".to_owned() } else { format!("{lost} accepted messages are") };
    let message = format!(
        "{messages} in no queue and came to no end ({}{since}): `kubectl mail audit` names them, `kubectl mail replay` brings them back from the journal",
        pods.join(", ")
    );
    Finding::no(ACCOUNTED, "Unaccounted", message)
}

fn forgotten(reports: &Reports) -> Option<(&str, &Report)> {
    let mut told = reports.iter().filter_map(|(pod, report)| Some((pod.as_str(), report.as_ref()?)));
    told.find(|(_, report)| report.forgotten == Some(true))
}

fn volume_new(fetched: &Fetched, pod: &str, report: &Report) -> String {
    if let Some(Progress { done, total }) = report.brought_back {
        return format!(
            "{pod} began with an empty volume: {done} of {total} messages from before were brought back so far"
        );
    }
    let since = time(report.since).map(|at| format!(" at {}", at.0)).unwrap_or_default();
    let name = &fetched.name.name;
    format!(
        "{pod} began with an empty volume{since}, and the journal has mail that it accepted before: what waited in its queue then is not accounted for. If the old volume is lost for good, `kubectl mail -s {name} replay --lost-volume {pod}` brings that mail back from the journal"
    )
}

/// An open message that is almost as old as what the journal still has.
fn near_retention(retention: Option<u32>, reports: &Reports, now: i64) -> Option<Finding> {
    let (days, now) = (retention?, u64::try_from(now).ok()?);
    reports.iter().find_map(|(pod, report)| {
        let report = report.as_ref()?;
        let (retention, oldest_open) = (u64::from(days) * 86_400_000, report.oldest_open);
        let near = Known { now, retention, since: report.since, oldest_open }.alarms();
        let since = oldest_open.and_then(time).filter(|_| near)?.0;
        let message = format!(
            "{pod} has a message since {since} that has not come to its end, and what is older than {days} days is kept only because of it: see `kubectl mail audit` and the queue, mail on hold too, and end what is left of it"
        );
        Some(Finding::no(ACCOUNTED, "NearRetention", message))
    })
}

/// Why it is not known, if it is not.
fn unchecked(reports: &Reports, now: i64) -> Option<Finding> {
    if reports.is_empty() {
        return Some(Finding::unknown(ACCOUNTED, "NotObserved", "no gateway is there yet"));
    }
    reports.iter().find_map(|(pod, report)| {
        let unknown = |reason, message| Some(Finding::unknown(ACCOUNTED, reason, message));
        let Some(report) = report else {
            return unknown("NotObserved", format!("{pod} does not answer"));
        };
        if report.overflow {
            let message =
                format!("{pod} has more mail in its queue than can be watched: see why it is not delivered");
            return unknown("QueueTooLarge", message);
        }
        let fresh = report.checked.and_then(|at| i64::try_from(at).ok()).is_some_and(|at| now - at < FRESH);
        match (&report.message, fresh, report.forgotten) {
            (_, true, Some(_)) => None,
            (Some(message), false, _) => unknown("NotChecked", format!("{pod}: {message}")),
            (None, false, _) => unknown("NotObserved", format!("{pod} has not compared its queue yet")),
            (_, true, None) => unknown(
                "NotObserved",
                format!("{pod} has a new volume, and object storage has not told yet what was before"),
            ),
        }
    })
}

/// Whole seconds, as the API server keeps them.
fn time(millis: u64) -> Option<Time> {
    Timestamp::from_second(i64::try_from(millis / 1000).ok()?).ok().map(Time)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;

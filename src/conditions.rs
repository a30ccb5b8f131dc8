//! Conditions of `meta/v1`: made, merged and read. A transition time changes only with the status of its condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a check says: a condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Condition type, `Ready` for example.
    pub type_: &'static str,
    /// True only if it was checked; unknown is `None`.
    pub status: Option<bool>,
    /// One word in CamelCase.
    pub reason: &'static str,
    /// A sentence that says what to do when something is wrong.
    pub message: String,
}

impl Finding {
    /// The check succeeded.
    #[must_use]
    pub fn yes(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: Some(true), reason, message: message.into() }
    }

    /// The check failed.
    #[must_use]
    pub fn no(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: Some(false), reason, message: message.into() }
    }

    /// Nothing could be checked.
    #[must_use]
    pub fn unknown(type_: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, status: None, reason, message: message.into() }
    }
}

/// The conditions that `findings` amount to: types that are not in `findings` are dropped, and a condition whose status
/// did not change keeps its transition time.
#[must_use]
pub fn merge(old: &[Condition], findings: &[Finding], generation: Option<i64>, now: &Time) -> Vec<Condition> {
    findings
        .iter()
        .map(|finding| {
            let status = status_word(finding.status);
            let since = get(old, finding.type_)
                .filter(|condition| condition.status == status)
                .map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone());
            Condition {
                type_: finding.type_.to_owned(),
                status: status.to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message.clone(),
                observed_generation: generation,
                last_transition_time: since,
            }
        })
        .collect()
}

/// The condition of this type.
#[must_use]
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of this type is there and True.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// The word that stands for a status in the API.
#[must_use]
pub const fn status_word(status: Option<bool>) -> &'static str {
    match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn the_transition_time_stays_while_the_status_stays() {
        let first = merge(&[], &[Finding::no("Ready", "Waiting", "a")], Some(1), &time(1));
        let second = merge(&first, &[Finding::no("Ready", "Failed", "b")], Some(2), &time(2));
        assert_eq!(second[0].last_transition_time, time(1));
        assert_eq!((second[0].reason.as_str(), second[0].observed_generation), ("Failed", Some(2)));
        let third = merge(&second, &[Finding::yes("Ready", "Served", "c")], Some(2), &time(3));
        assert_eq!(third[0].last_transition_time, time(3));
        assert!(is_true(&third, "Ready"));
    }

    #[test]
    fn a_type_without_a_finding_is_dropped() {
        let old = merge(&[], &[Finding::unknown("Old", "X", "")], None, &time(1));
        assert!(merge(&old, &[], None, &time(2)).is_empty());
    }
}

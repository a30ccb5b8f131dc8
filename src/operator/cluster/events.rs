//! Events: one for each condition whose status or reason changed, none otherwise.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{conditions, names};

/// Characters of a note: the API takes 1024 bytes, and a character has 4 at most.
const NOTE: usize = 250;

/// Tells changes as events in the name of the operator's pod.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// Events from the pod `pod`.
    #[must_use]
    pub fn new(client: Client, pod: &str) -> Self {
        let reporter = Reporter { controller: names::MANAGER.to_owned(), instance: Some(pod.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Tells what changed between `old` and `new` of `object`. An event that cannot be written is logged: the condition
    /// itself is what counts.
    pub async fn tell(&self, object: &ObjectReference, old: &[Condition], new: &[Condition]) {
        for event in changes(old, new) {
            self.publish(object, event).await;
        }
    }

    /// Tells one event of `object`.
    pub async fn publish(&self, object: &ObjectReference, event: Event) {
        if let Err(error) = self.0.publish(&event, object).await
            && !super::is_terminating(&error)
        {
            tracing::warn!(reason = event.reason, %error, "an event cannot be written");
        }
    }
}

fn changes(old: &[Condition], new: &[Condition]) -> Vec<Event> {
    let changed = |condition: &&Condition| match conditions::get(old, &condition.type_) {
        Some(before) => before.status != condition.status || before.reason != condition.reason,
        // That nothing is known of a new object is no news.
        None => condition.status != "Unknown",
    };
    new.iter().filter(changed).map(event).collect()
}

fn event(condition: &Condition) -> Event {
    // Those that tell of trouble by being there.
    let bad = condition.status == "False"
        || ["Stalled", "MassDeletion", "StaleTakeover", "SnapshotsVanished"]
            .contains(&condition.type_.as_str());
    let note: String = format!("{}: {}", condition.type_, condition.message).chars().take(NOTE).collect();
    Event {
        type_: if bad { EventType::Warning } else { EventType::Normal },
        reason: condition.reason.clone(),
        note: Some(note),
        // The recorder takes events of the same reason and action for one: conditions are told apart here.
        action: format!("{}Is{}", condition.type_, condition.status),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Finding, merge};
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

    #[test]
    fn only_a_change_of_status_or_reason_is_an_event() {
        let of = |findings: &[Finding]| merge(&[], findings, Some(1), &Time(Timestamp::UNIX_EPOCH));
        let old = of(&[
            Finding::no("Ready", "Unavailable", "1 of 2"),
            Finding::yes("StoreAvailable", "Available", ""),
        ]);
        let new = of(&[
            Finding::no("Ready", "Unavailable", "0 of 2"),
            Finding::no("StoreAvailable", "Unavailable", "gone"),
            Finding::unknown("Other", "NotObserved", ""),
        ]);
        let told: Vec<_> = changes(&old, &new).into_iter().map(|event| (event.action, event.note)).collect();
        assert_eq!(told, [("StoreAvailableIsFalse".to_owned(), Some("StoreAvailable: gone".to_owned()))]);
        assert!(changes(&new, &new).is_empty());
    }
}

//! Events of runs. Changes of conditions are told besides.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::decide::SUCCEEDED;
use crate::{
    api::backup::{Activity, PastRun},
    operator::cluster::events::Events,
};

/// Characters of a note: the API takes 1024 bytes, and a character has 4 at most.
const NOTE: usize = 250;

/// Tells how a run ended. Listings are told of when they fail.
pub async fn ended(events: &Events, object: &ObjectReference, past: &PastRun) {
    let good = past.reason == SUCCEEDED;
    if good && past.activity == Activity::Maintain {
        return;
    }
    let (what, reason) = match past.activity {
        Activity::Backup => ("Backup", if good { "BackupSucceeded" } else { &past.reason }),
        Activity::Verify => ("Verify", if good { "VerifySucceeded" } else { &past.reason }),
        Activity::Maintain => ("Maintain", past.reason.as_str()),
    };
    let note: String = format!("{}: {}", past.run, past.message).chars().take(NOTE).collect();
    let event = Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: reason.to_owned(),
        note: Some(note),
        action: what.to_owned(),
        secondary: None,
    };
    events.publish(object, event).await;
}

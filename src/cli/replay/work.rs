//! Which messages are to be brought back, and by which gateway.

use std::collections::BTreeMap;

use age::x25519::Identity;
use jiff::Timestamp;

use super::is_over;
use crate::{
    agent::gateway::audit::routes::{Place, Told},
    cli::{
        Error,
        cluster::System,
        history::{Entry, Records, entries, records},
        journal::{self, made},
    },
    journal::{JournalId, Name, writer::began},
};

/// What is to be done.
#[derive(Default)]
pub(super) struct Work {
    /// By id: the gateway that takes it.
    pub(super) pods: BTreeMap<JournalId, String>,
    pub(super) entries: Vec<Entry>,
    pub(super) records: Records,
    /// Tell this pod that its past is settled, once all was done.
    pub(super) past: Option<String>,
}

/// What is unaccounted for, with the gateway that says so.
pub(super) async fn unaccounted(system: &System) -> Result<BTreeMap<JournalId, String>, Error> {
    let mut pods = BTreeMap::new();
    for (pod, _) in system.gateways().await? {
        let told: Told = system.ask_pod_json(&pod, "/audit").await?;
        pods.extend(told.unaccounted.into_iter().map(|one| (one.id, pod.clone())));
    }
    Ok(pods)
}

/// The gateway that has each of these open, else `other`. Every gateway has to answer: one of them may have it in its queue.
pub(super) async fn open_at(
    system: &System,
    ids: Vec<JournalId>,
    other: &str,
) -> Result<BTreeMap<JournalId, String>, Error> {
    let (gateways, mut pods) = (system.gateways().await?, BTreeMap::new());
    for id in ids {
        let mut at = other.to_owned();
        for (pod, _) in &gateways {
            let place: Place = system.ask_pod_json(pod, &format!("/audit/{id}")).await?;
            if !place.queue_ids.is_empty() {
                at.clone_from(pod);
            }
        }
        pods.insert(id, at);
    }
    Ok(pods)
}

pub(super) async fn named(
    system: &System,
    key: &Identity,
    pods: BTreeMap<JournalId, String>,
) -> Result<Work, Error> {
    let Some(since) = pods.keys().next().copied().map(made) else { return Ok(Work::default()) };
    let entries = entries(system, key, (since, |_| true), |head, _| pods.contains_key(&head.id)).await?;
    let missing = pods.keys().find(|id| !entries.iter().any(|entry| entry.head.id == **id));
    if let Some(id) = missing {
        return Err(journal::Error::NotFound(id.to_string()).into());
    }
    let records = records(system, key, since, |id| pods.contains_key(&id)).await?;
    Ok(Work { pods, entries, records, past: None })
}

/// What a gateway accepted before its present volume began.
pub(super) async fn lost(system: &System, key: &Identity, pod: &str) -> Result<Work, Error> {
    let told: Told = system.ask_pod_json(pod, "/audit").await?;
    if told.report.forgotten != Some(true) {
        return Err(Error::Incomplete(format!(
            "the volume of {pod} is not new: what it accepted is in its queue or its ledger"
        )));
    }
    let before = told.report.since;
    let earlier = |name: &Name| began(name.gateway(), pod).is_some_and(|at| at < before);
    let records = records(system, key, Timestamp::UNIX_EPOCH, |_| true).await?;
    let open = |id| !is_over(records.get(&id).map_or(&[][..], Vec::as_slice));
    let entries = entries(system, key, (Timestamp::UNIX_EPOCH, earlier), |head, _| open(head.id)).await?;
    let pods = entries.iter().map(|entry| (entry.head.id, pod.to_owned())).collect();
    Ok(Work { pods, entries, records, past: Some(pod.to_owned()) })
}

pub(super) async fn ready(system: &System) -> Result<String, Error> {
    let pod = system.gateways().await?.into_iter().find(|(_, ready)| *ready);
    pod.map(|(pod, _)| pod).ok_or_else(|| Error::Agent("no gateway is ready".to_owned()))
}

//! `kubectl mail replay`: brings accepted messages back from the journal. They are read here, with the key, and handed to a
//! gateway one by one; recipients that have an answer are left out, and stores take no message twice.

use std::{collections::BTreeMap, io::Write};

use age::x25519::Identity;
use clap::{ArgGroup, Args};
use jiff::Timestamp;

use super::{
    Error,
    cluster::System,
    history::{Entry, Records, entries, records},
    journal::{Key, key_of, made},
};
use crate::{
    agent::gateway::audit::{
        envelope::{Envelope, body},
        replay::{Outcome, secret},
        routes::{Place, Told},
    },
    journal::{
        JournalId,
        completion::{Record, What},
        writer::began,
    },
    operator::desired::secrets::TOKEN,
};

/// Which messages.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(false))]
pub struct Arguments {
    /// These: ids in the journal.
    #[arg(group = "which")]
    ids: Vec<String>,
    /// Everything that `kubectl mail audit` names.
    #[arg(long, group = "which")]
    unaccounted: bool,
    /// Everything that this gateway's pod accepted before its present volume began, and that came to no end. It declares the
    /// old volume lost for good: what was still in a queue on it is sent again, and mail that was relayed in the last
    /// seconds before the loss may go out twice.
    #[arg(long, value_name = "POD", group = "which")]
    lost_volume: Option<String>,
    /// Only tell what would be brought back.
    #[arg(long)]
    dry_run: bool,
    /// Which key opens the journal.
    #[command(flatten)]
    key: Key,
}

/// What is to be done.
#[derive(Default)]
struct Work {
    /// By id: the gateway that takes it.
    pods: BTreeMap<JournalId, String>,
    entries: Vec<Entry>,
    records: Records,
    /// Tell this pod that its past is settled, once all was done.
    past: Option<String>,
}

/// Brings them back; an error if one was not.
pub(super) async fn run(system: &System, arguments: Arguments, out: &mut impl Write) -> Result<(), Error> {
    let key = key_of(system, &arguments.key).await?;
    let work = match (&arguments.lost_volume, arguments.unaccounted) {
        (Some(pod), _) => lost(system, &key, pod).await?,
        (None, true) => named(system, &key, unaccounted(system).await?).await?,
        (None, false) => {
            let pod = ready(system).await?;
            let parse = |id: &String| JournalId::parse(id.to_ascii_lowercase().as_bytes());
            let ids: Option<Vec<_>> = arguments.ids.iter().map(parse).collect();
            let ids = ids.ok_or_else(|| super::journal::Error::Id(arguments.ids.join(" ")))?;
            let pods = open_at(system, ids, &pod).await?;
            named(system, &key, pods).await?
        }
    };
    let token = system.secret(&system.name.internal()).await?.data.unwrap_or_default();
    let token = token.get(TOKEN).map(|bytes| String::from_utf8_lossy(&bytes.0).trim().to_owned());
    let secret = secret(&token.unwrap_or_default());
    let mut failed = 0;
    for entry in &work.entries {
        let id = entry.head.id;
        let known = work.records.get(&id).map(Vec::as_slice).unwrap_or_default();
        let Some(pod) = work.pods.get(&id).filter(|_| !is_over(known)) else { continue };
        let envelope = envelope(entry, known);
        let done = if arguments.dry_run {
            Ok(format!("would go to {pod}"))
        } else {
            hand_over(system, pod, (&secret, id), &envelope, &entry.message).await
        };
        failed += usize::from(done.is_err());
        let told = done.unwrap_or_else(|error| format!("not brought back: {error}"));
        writeln!(out, "{id}  {told}")?;
    }
    if failed > 0 {
        return Err(Error::Incomplete(format!("{failed} not brought back; try again")));
    }
    if let Some(pod) = work.past.filter(|_| !arguments.dry_run) {
        system.post_pod(&pod, "/past", &secret, Vec::new()).await?;
        writeln!(out, "{pod}: everything from before its volume is accounted for or on its way")?;
    }
    Ok(())
}

/// What is unaccounted for, with the gateway that says so.
async fn unaccounted(system: &System) -> Result<BTreeMap<JournalId, String>, Error> {
    let mut pods = BTreeMap::new();
    for (pod, _) in system.gateways().await? {
        let told: Told = system.ask_pod_json(&pod, "/audit").await?;
        pods.extend(told.unaccounted.into_iter().map(|one| (one.id, pod.clone())));
    }
    Ok(pods)
}

/// The gateway that has each of these open, else `other`. Every gateway has to answer: one of them may have it in its queue.
async fn open_at(
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

async fn named(system: &System, key: &Identity, pods: BTreeMap<JournalId, String>) -> Result<Work, Error> {
    let Some(since) = pods.keys().next().copied().map(made) else { return Ok(Work::default()) };
    let entries = entries(system, key, (since, |_| true), |head, _| pods.contains_key(&head.id)).await?;
    let missing = pods.keys().find(|id| !entries.iter().any(|entry| entry.head.id == **id));
    if let Some(id) = missing {
        return Err(super::journal::Error::NotFound(id.to_string()).into());
    }
    let records = records(system, key, since, |id| pods.contains_key(&id)).await?;
    Ok(Work { pods, entries, records, past: None })
}

/// What a gateway accepted before its present volume began.
async fn lost(system: &System, key: &Identity, pod: &str) -> Result<Work, Error> {
    let told: Told = system.ask_pod_json(pod, "/audit").await?;
    if told.report.forgotten != Some(true) {
        return Err(Error::Incomplete(format!(
            "the volume of {pod} is not new: what it accepted is in its queue or its ledger"
        )));
    }
    let before = told.report.since;
    let earlier = |name: &crate::journal::Name| began(name.gateway(), pod).is_some_and(|at| at < before);
    let records = records(system, key, Timestamp::UNIX_EPOCH, |_| true).await?;
    let open = |id| !is_over(records.get(&id).map_or(&[][..], Vec::as_slice));
    let entries = entries(system, key, (Timestamp::UNIX_EPOCH, earlier), |head, _| open(head.id)).await?;
    let pods = entries.iter().map(|entry| (entry.head.id, pod.to_owned())).collect();
    Ok(Work { pods, entries, records, past: Some(pod.to_owned()) })
}

async fn ready(system: &System) -> Result<String, Error> {
    let pod = system.gateways().await?.into_iter().find(|(_, ready)| *ready);
    pod.map(|(pod, _)| pod).ok_or_else(|| Error::Agent("no gateway is ready".to_owned()))
}

/// Whether a message has come to its end.
fn is_over(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record.what, What::Closed | What::Deleted | What::Expired))
}

fn envelope(entry: &Entry, records: &[Record]) -> Envelope {
    Envelope {
        sender: entry.head.sender.clone(),
        recipients: entry.head.recipients.clone(),
        done: records.iter().filter_map(|record| record.what.recipient()).map(<[u8]>::to_vec).collect(),
    }
}

async fn hand_over(
    system: &System,
    pod: &str,
    (secret, id): (&str, JournalId),
    envelope: &Envelope,
    message: &[u8],
) -> Result<String, Error> {
    let body = body(envelope, message).map_err(|error| Error::Agent(error.to_string()))?;
    let answer = system.post_pod(pod, &format!("/replay/{id}"), secret, body).await?;
    let outcome = serde_json::from_slice(&answer);
    let outcome = outcome.map_err(|error| Error::Agent(format!("{pod}: of another release: {error}")))?;
    Ok(match outcome {
        Outcome::Queued { queue_id, recipients } => {
            format!("brought back by {pod} as {queue_id} for <{}>", recipients.join(">,<").escape_debug())
        }
        Outcome::Complete => "every recipient has an answer already".to_owned(),
        Outcome::InQueue => format!("in the queue of {pod}"),
        Outcome::Malware(found) => format!("not brought back: malware found: {found}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Head, Name};

    fn record(what: What) -> Record {
        Record { id: JournalId::new(1, [1; 10]), at: 1, what }
    }

    #[test]
    fn who_has_an_answer_is_left_out_and_what_is_over_is_not_brought_back() {
        let head = Head {
            id: JournalId::new(1, [1; 10]),
            received: 1,
            login: None,
            sender: Vec::new(),
            recipients: vec![b"a@x".to_vec(), b"o@y".to_vec()],
        };
        let entry = Entry { head, message: Vec::new(), segment: Name::new("g", 1).unwrap() };
        let relayed = record(What::Relayed { recipient: b"o@y".to_vec(), relay: "mx".into() });
        let known = [record(What::Accepted("A".into())), relayed];
        assert_eq!(envelope(&entry, &known).done, [b"o@y".to_vec()]);
        assert!(!is_over(&known));
        for what in [What::Closed, What::Deleted, What::Expired] {
            assert!(is_over(&[record(what)]));
        }
    }
}

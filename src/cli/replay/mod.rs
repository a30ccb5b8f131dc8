//! `kubectl mail replay`: brings accepted messages back from the journal. They are read here, with the key, and handed to a
//! gateway one by one; recipients that have an answer are left out, and stores take no message twice.

mod stores;
mod work;

use std::io::Write;

use age::x25519::Identity;
use clap::{ArgGroup, Args};

use self::{
    stores::taken,
    work::{Work, lost, named, open_at, ready, unaccounted},
};
use super::{
    Error,
    cluster::System,
    history::Entry,
    journal::{Key, Since, key_of},
};
use crate::{
    agent::gateway::audit::{
        envelope::{Envelope, body},
        replay::{Outcome, secret},
    },
    journal::{
        JournalId,
        completion::{Record, What},
        ledger::Progress,
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
    /// Everything that the stores of this shard took since a time, and lost with their disks. Mailboxes that hold a message
    /// all the same are not given it again.
    #[arg(long, value_name = "SHARD", group = "which", requires = "since")]
    lost_stores: Option<u32>,
    /// The time from which on: `24h`, `7 days`, or a time like 2026-11-25T08:00:00Z. That of the restored snapshot, or earlier.
    #[arg(long, requires = "lost_stores", conflicts_with_all = ["ids", "unaccounted", "lost_volume"])]
    since: Option<Since>,
    /// Only tell what would be brought back.
    #[arg(long)]
    dry_run: bool,
    /// Which key opens the journal.
    #[command(flatten)]
    key: Key,
}

/// A gateway is told how far it is after so many messages.
const TELL: usize = 20;

/// Brings them back; an error if one was not.
pub(super) async fn run(system: &System, arguments: Arguments, out: &mut impl Write) -> Result<(), Error> {
    let key = key_of(system, &arguments.key).await?;
    let work = work(system, &key, &arguments).await?;
    let token = system.secret(&system.name.internal()).await?.data.unwrap_or_default();
    let token = token.get(TOKEN).map(|bytes| String::from_utf8_lossy(&bytes.0).trim().to_owned());
    let secret = secret(&token.unwrap_or_default());
    let past = work.past.as_deref().filter(|_| !arguments.dry_run);
    let failed = bring_back(system, &work, (&secret, past), arguments.dry_run, out).await?;
    if failed > 0 {
        return Err(Error::Incomplete(format!("{failed} not brought back; try again")));
    }
    tell(system, past, &secret, (work.entries.len(), work.entries.len())).await?;
    if let Some(pod) = past {
        writeln!(out, "{pod}: everything from before its volume is accounted for or on its way")?;
    }
    Ok(())
}

async fn work(system: &System, key: &Identity, arguments: &Arguments) -> Result<Work, Error> {
    if let Some(pod) = &arguments.lost_volume {
        return lost(system, key, pod).await;
    }
    if let (Some(shard), Some(Since(since))) = (arguments.lost_stores, &arguments.since) {
        return taken(system, key, shard, *since).await;
    }
    if arguments.unaccounted {
        return named(system, key, unaccounted(system).await?).await;
    }
    let pod = ready(system).await?;
    let parse = |id: &String| JournalId::parse(id.to_ascii_lowercase().as_bytes());
    let ids: Option<Vec<_>> = arguments.ids.iter().map(parse).collect();
    let ids = ids.ok_or_else(|| super::journal::Error::Id(arguments.ids.join(" ")))?;
    let pods = open_at(system, ids, &pod).await?;
    named(system, key, pods).await
}

/// Hands everything over; how many were not taken.
async fn bring_back(
    system: &System,
    work: &Work,
    (secret, past): (&str, Option<&str>),
    dry_run: bool,
    out: &mut impl Write,
) -> Result<usize, Error> {
    let mut failed = 0;
    for (number, entry) in work.entries.iter().enumerate() {
        if number % TELL == 0 {
            tell(system, past, secret, (number - failed, work.entries.len())).await?;
        }
        let id = entry.head.id;
        let Some(pod) = work.pods.get(&id) else { continue };
        let envelope = envelope(entry, work.records.get(&id).map(Vec::as_slice).unwrap_or_default());
        let outcome = if dry_run {
            Ok(format!("would go to {pod} for those of <{}> without an answer", recipients(&envelope)))
        } else {
            hand_over(system, pod, (secret, id), &envelope, &entry.message).await
        };
        failed += usize::from(outcome.is_err());
        let told = outcome.unwrap_or_else(|error| format!("not brought back: {error}"));
        writeln!(out, "{id}  {told}")?;
    }
    Ok(failed)
}

fn recipients(envelope: &Envelope) -> String {
    let all: Vec<_> = envelope.recipients.iter().map(|it| it.escape_ascii().to_string()).collect();
    all.join(">,<")
}

/// Tells a gateway how much of its past was brought back, for its status.
async fn tell(
    system: &System,
    pod: Option<&str>,
    secret: &str,
    (done, total): (usize, usize),
) -> Result<(), Error> {
    let Some(pod) = pod else { return Ok(()) };
    let progress = Progress { done: done as u64, total: total as u64 };
    let body = serde_json::to_vec(&progress).map_err(|error| Error::Agent(error.to_string()))?;
    system.post_pod(pod, "/past", secret, body).await.map(drop)
}

/// Whether a message has come to its end.
fn is_over(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record.what, What::Closed | What::Deleted | What::Expired))
}

/// Of a message that has come to its end, nobody is left: the gateway notes it then.
fn envelope(entry: &Entry, records: &[Record]) -> Envelope {
    let recipients = if is_over(records) { Vec::new() } else { entry.head.recipients.clone() };
    Envelope {
        sender: entry.head.sender.clone(),
        recipients,
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
            assert!(is_over(&[record(what.clone())]));
            assert!(envelope(&entry, &[record(what)]).recipients.is_empty());
        }
    }
}

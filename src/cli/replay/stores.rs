//! What stores took and have lost with their disks: deliveries to them are answers no more.

use std::collections::{BTreeMap, BTreeSet};

use age::x25519::Identity;
use jiff::Timestamp;

use super::work::{Work, ready};
use crate::{
    cli::{
        Error,
        cluster::System,
        history::{Records, entries, records},
        journal::made,
    },
    journal::{
        JournalId,
        completion::{Record, What},
    },
};

/// By message: the mailboxes whose deliveries are lost.
type Lost = BTreeMap<JournalId, BTreeSet<Vec<u8>>>;

/// What stores of the shard took since then.
pub(super) async fn taken(
    system: &System,
    key: &Identity,
    shard: u32,
    since: Timestamp,
) -> Result<Work, Error> {
    let pod = ready(system).await?;
    let store = system.name.store(shard);
    // Completions are written after the fact, so none is older than what it tells.
    let lost = deliveries(&records(system, key, since, |_| true).await?, &store, since);
    let Some(first) = lost.keys().next().copied().map(made) else { return Ok(Work::default()) };
    let mut records = records(system, key, first, |id| lost.contains_key(&id)).await?;
    for (id, records) in &mut records {
        records.retain(|record| is_answer(record, &lost[id]));
    }
    let mut entries = entries(system, key, (first, |_| true), |head, _| lost.contains_key(&head.id)).await?;
    for entry in &mut entries {
        entry.head.recipients = lost[&entry.head.id].iter().cloned().collect();
    }
    let missing = lost.keys().filter(|id| !entries.iter().any(|entry| entry.head.id == **id));
    let missing: Vec<_> = missing.map(ToString::to_string).collect();
    if !missing.is_empty() {
        // What is there is brought back all the same.
        eprintln!("no longer in the journal: {}", missing.join(" "));
    }
    let pods = lost.into_keys().map(|id| (id, pod.clone())).collect();
    Ok(Work { pods, entries, records, past: None })
}

/// Deliveries to the stores called `store` since then.
fn deliveries(records: &Records, store: &str, since: Timestamp) -> Lost {
    let since = u64::try_from(since.as_millisecond()).unwrap_or_default();
    let mut lost = Lost::new();
    for record in records.values().flatten().filter(|record| record.at >= since) {
        if let What::Delivered { recipient, receipt } = &record.what
            // Who does not say where it is may have lost it.
            && receipt.as_ref().is_none_or(|receipt| is_of(&receipt.pod, store))
        {
            lost.entry(record.id).or_default().insert(recipient.clone());
        }
    }
    lost
}

fn is_of(pod: &str, store: &str) -> bool {
    let ordinal = pod.strip_prefix(store).and_then(|rest| rest.strip_prefix('-'));
    ordinal.is_some_and(|ordinal| ordinal.parse::<u32>().is_ok())
}

/// Whether it is still an answer for somebody. That the whole has come to its end is none: it has not.
fn is_answer(record: &Record, lost: &BTreeSet<Vec<u8>>) -> bool {
    record.what.recipient().is_some_and(|recipient| !lost.contains(recipient))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::completion::Receipt;

    fn record(at: u64, what: What) -> Record {
        Record { id: JournalId::new(1, [1; 10]), at, what }
    }

    fn delivered(recipient: &str, pod: &str) -> What {
        What::Delivered { recipient: recipient.into(), receipt: Some(Receipt::of(pod)) }
    }

    #[test]
    fn what_the_shards_stores_took_since_then_is_lost_and_nothing_else() {
        let relayed = What::Relayed { recipient: b"o@y".to_vec(), relay: "mx".into() };
        let all = vec![
            record(900, delivered("early@x", "mail-store-1-0")),
            record(1000, delivered("an@x", "mail-store-1-0")),
            record(1001, delivered("binh@x", "mail-store-1-1")),
            record(1002, delivered("chi@x", "mail-store-10-0")),
            record(1003, delivered("dan@x", "mail-store-0-0")),
            record(1004, What::Delivered { recipient: b"em@x".to_vec(), receipt: None }),
            record(1005, relayed),
            record(1006, What::Closed),
        ];
        let records = Records::from([(JournalId::new(1, [1; 10]), all.clone())]);
        let lost = deliveries(&records, "mail-store-1", Timestamp::from_second(1).unwrap());
        let lost = lost.into_values().next().unwrap();
        assert_eq!(lost, ["an@x", "binh@x", "em@x"].map(|it| it.as_bytes().to_vec()).into());
        let answers = all.iter().filter(|record| is_answer(record, &lost));
        let answered: Vec<_> = answers.filter_map(|record| record.what.recipient()).collect();
        assert_eq!(answered, [&b"early@x"[..], b"chi@x", b"dan@x", b"o@y"]);
    }
}

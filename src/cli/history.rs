//! What the journal tells of messages: their entries, and what became of them. Read once, file by file, with the key.

use std::collections::HashMap;

use age::x25519::Identity;
use jiff::Timestamp;

use super::{
    Error,
    cluster::System,
    journal::{self, files, segments},
};
use crate::journal::{Head, JournalId, Name, Segment, completion, completion::Record};

/// What became of messages, by id.
pub(super) type Records = HashMap<JournalId, Vec<Record>>;

/// An accepted message, as the journal has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) head: Head,
    pub(super) message: Vec<u8>,
    pub(super) segment: Name,
}

/// Goes through the entries in segments written since then, and gives those that are wanted, oldest first. A damaged segment
/// ends it: what it holds might be what is looked for.
pub(super) async fn entries(
    system: &System,
    key: &Identity,
    (since, in_segment): (Timestamp, impl Fn(&Name) -> bool),
    wanted: impl Fn(&Head, &[u8]) -> bool,
) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    for segment in segments(system, since).await?.into_iter().filter(|name| in_segment(name)) {
        let content = system.ask(&format!("/journal/{segment}")).await?;
        each(&segment, &content, key, |head, message| {
            if wanted(&head, &message) {
                found.push(Entry { head, message, segment: segment.clone() });
            }
        })?;
    }
    found.sort_by_key(|entry| entry.head.id);
    Ok(found)
}

fn each(
    name: &Name,
    content: &[u8],
    key: &Identity,
    mut see: impl FnMut(Head, Vec<u8>),
) -> Result<(), journal::Error> {
    let mut segment = Segment::open(name, content, std::slice::from_ref(key))?;
    while let Some(head) = segment.head()? {
        let mut message = Vec::new();
        segment.message(&mut message)?;
        see(head, message);
    }
    Ok(())
}

/// What became of messages, from completions written since then.
pub(super) async fn records(
    system: &System,
    key: &Identity,
    since: Timestamp,
    wanted: impl Fn(JournalId) -> bool,
) -> Result<Records, Error> {
    let mut all = Records::new();
    for name in files(system, "/completions", since).await? {
        let content = system.ask(&format!("/completions/{name}")).await?;
        let records =
            completion::open(&name, &content, std::slice::from_ref(key)).map_err(journal::Error::Segment)?;
        for record in records.into_iter().filter(|record| wanted(record.id)) {
            let records = all.entry(record.id).or_default();
            // A batch whose saving was cut off is written again.
            if !records.iter().any(|known| known.what == record.what) {
                records.push(record);
            }
        }
    }
    for records in all.values_mut() {
        records.sort_by_key(|record| record.at);
    }
    Ok(all)
}

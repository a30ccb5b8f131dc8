//! `kubectl mail trace`: the whole story of a message, by its Message-ID or by its id in the journal.

use std::io::Write;

use clap::Args;

use super::{
    Error,
    audit::at,
    cluster::System,
    history::{Entry, entries, records},
    journal::{Key, Since, key_of, made},
};
use crate::{
    agent::gateway::audit::routes::Place,
    journal::{
        JournalId,
        completion::{Record, What},
        plain::hex,
    },
};

/// Which message.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The header Message-ID, with or without its angle brackets, or the id in the journal (32 hexadecimal digits).
    message: String,
    /// How far back a Message-ID is looked for: `24h`, `30m`, `7 days`, or a time like 2026-11-25T08:00:00Z.
    #[arg(long, default_value = "7 days")]
    since: Since,
    /// Which key opens the journal.
    #[command(flatten)]
    key: Key,
}

/// Tells the story; an error if there is none.
pub(super) async fn run(system: &System, arguments: Arguments, out: &mut impl Write) -> Result<(), Error> {
    let Arguments { message, since: Since(since), key } = arguments;
    let key = key_of(system, &key).await?;
    let id = JournalId::parse(message.to_ascii_lowercase().as_bytes());
    let wanted = message.trim_matches(['<', '>']).as_bytes();
    let since = id.map_or(since, made);
    let found = entries(system, &key, (since, |_| true), |head, text| match id {
        Some(id) => head.id == id,
        None => message_id(text).is_some_and(|found| found == wanted),
    });
    let found = found.await?;
    let Some(first) = found.first().map(|entry| made(entry.head.id)) else {
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        return Err(Error::Incomplete(format!("the journal has no message {message} since {since}")));
    };
    let all = records(system, &key, first, |id| found.iter().any(|entry| entry.head.id == id)).await?;
    for entry in found {
        let records = all.get(&entry.head.id).map(Vec::as_slice).unwrap_or_default();
        let (places, silent) = places(system, entry.head.id).await?;
        let stores = stores(system, entry.head.id, records).await;
        write!(out, "{}", story(&entry, records, (&places, &silent), &stores))?;
    }
    Ok(())
}

/// The value of the header Message-ID without its brackets.
fn message_id(message: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"message-id:";
    let mut lines = message.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    let named = |line: &&[u8]| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    let value = lines.find(named)?[NAME.len()..].trim_ascii();
    // Long ones stand on a line of their own.
    let value = if value.is_empty() { lines.next()?.trim_ascii() } else { value };
    Some(value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">")).unwrap_or(value))
}

/// Where it is in the gateways' queues, and which gateways did not say.
async fn places(system: &System, id: JournalId) -> Result<(Vec<(String, Place)>, Vec<String>), Error> {
    let (mut places, mut silent) = (Vec::new(), Vec::new());
    for (pod, _) in system.gateways().await? {
        match system.ask_pod_json(&pod, &format!("/audit/{id}")).await {
            Ok(place) => places.push((pod, place)),
            Err(_) => silent.push(pod),
        }
    }
    Ok((places, silent))
}

/// What the stores say that took it, by recipient: whether the mailbox holds it still.
async fn stores(system: &System, id: JournalId, records: &[Record]) -> Vec<(String, String)> {
    let mut said = Vec::new();
    for record in records {
        let What::Delivered { recipient, receipt: Some(receipt) } = &record.what else { continue };
        let recipient = String::from_utf8_lossy(recipient).into_owned();
        let path = format!("/holds/{id}/{}", hex(recipient.as_bytes()));
        let held: Result<bool, _> = system.ask_pod_json(&receipt.pod, &path).await;
        let text = match held {
            Ok(true) => format!("held by {}, in a folder or expunged", receipt.pod),
            Ok(false) => format!("not held by {} any more, or disposed of by a Sieve script", receipt.pod),
            Err(error) => format!("not known: {error}"),
        };
        said.push((recipient, text));
    }
    said
}

fn story(
    entry: &Entry,
    records: &[Record],
    (places, silent): (&[(String, Place)], &[String]),
    stores: &[(String, String)],
) -> String {
    let head = &entry.head;
    let recipients: Vec<_> = head.recipients.iter().map(|it| it.escape_ascii().to_string()).collect();
    let login = head.login.as_ref().map(|login| format!(", logged in as {}", login.escape_ascii()));
    let mut lines = vec![
        format!("{}", head.id),
        format!(
            "  received   {}, {} bytes, in segment {}",
            at(head.received),
            entry.message.len(),
            entry.segment
        ),
        format!("  sender     <{}>{}", head.sender.escape_ascii(), login.unwrap_or_default()),
        format!("  recipients <{}>", recipients.join(">,<")),
    ];
    lines.extend(message_id(&entry.message).map(|id| format!("  message-id <{}>", id.escape_ascii())));
    lines.extend(records.iter().map(event));
    lines.push(format!("  now: {}", now(records, places, silent)));
    for (pod, message) in places.iter().flat_map(|(pod, place)| place.queued.iter().map(move |it| (pod, it)))
    {
        for waiting in &message.recipients {
            let reason = waiting.delay_reason.as_deref().unwrap_or("not tried yet");
            let (queue, to) = (&message.queue_name, &waiting.address);
            lines.push(format!(
                "    {pod}, queue {queue}: <{}>: {}",
                to.escape_debug(),
                reason.escape_debug()
            ));
        }
    }
    lines.extend(stores.iter().map(|(to, text)| format!("    <{}>: {text}", to.escape_debug())));
    lines.join("\n") + "\n"
}

fn event(record: &Record) -> String {
    let to = record.what.recipient().map(|it| format!(" <{}>", it.escape_ascii())).unwrap_or_default();
    let more = match &record.what {
        What::Accepted(queue_id) => format!(" by Postfix as {queue_id}"),
        What::Delivered { receipt: None, .. } | What::Discarded { .. } => String::new(),
        What::Delivered { receipt: Some(receipt), .. } => {
            let epoch = receipt.epoch.map(|epoch| format!(", epoch {epoch}")).unwrap_or_default();
            let how = if receipt.held { "held already by" } else { "to" };
            format!(" {how} {}{epoch}", receipt.pod)
        }
        What::Relayed { relay, .. } => format!(" to {}", relay.escape_debug()),
        What::Bounced { dsn, .. } => format!(" ({})", dsn.escape_debug()),
        What::Expired => ": waited too long, the sender was told".to_owned(),
        What::Deleted => " by an administrator from the queue".to_owned(),
        What::Closed => ": every recipient has an answer".to_owned(),
    };
    format!("  {} {}{to}{more}", at(record.at), record.what.word())
}

/// Where the message as a whole is.
fn now(records: &[Record], places: &[(String, Place)], silent: &[String]) -> String {
    let is = |wanted: fn(&What) -> bool| records.iter().any(|record| wanted(&record.what));
    if let Some((pod, _)) = places.iter().find(|(_, place)| !place.queued.is_empty()) {
        return format!("in the queue of {pod}");
    }
    if is(|what| matches!(what, What::Closed | What::Deleted)) {
        return "it has come to its end".to_owned();
    }
    if let Some((pod, _)) = places.iter().find(|(_, place)| !place.queue_ids.is_empty()) {
        return format!(
            "in no queue, and {pod} knows of no end: if it stays so for a minute, it is unaccounted for"
        );
    }
    if !silent.is_empty() {
        return format!("not known: {} did not answer", silent.join(", "));
    }
    if is(|what| matches!(what, What::Accepted(_))) {
        return "in no queue; its end was not recorded".to_owned();
    }
    "in no queue. Postfix accepted it never, as when a connection broke and the sender came again, or it was not recorded".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::gateway::audit::Queued,
        journal::{Head, Name, completion::Receipt},
    };

    fn entry() -> Entry {
        let head = Head {
            id: JournalId::new(1_764_036_000_000, [0xab; 10]),
            received: 1_764_036_000_123,
            login: None,
            sender: b"dan@example.com".to_vec(),
            recipients: vec![b"an@x.vn".to_vec(), b"o\x1b@example.net".to_vec()],
        };
        let segment = Name::new("mail-gateway-0.019ab8bd397b00000001", 1).unwrap();
        Entry { head, message: b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n".to_vec(), segment }
    }

    fn record(what: What) -> Record {
        Record { id: entry().head.id, at: 1_764_036_001_000, what }
    }

    #[test]
    fn a_message_is_known_by_its_message_id() {
        for text in
            ["Message-ID: <1@x>\r\n\r\n", "A: b\r\nMESSAGE-id:\r\n <1@x>\r\n\r\n", "message-id: 1@x\r\n\r\n"]
        {
            assert_eq!(message_id(text.as_bytes()), Some(&b"1@x"[..]), "{text}");
        }
        assert_eq!(message_id(b"Subject: x\r\n\r\nMessage-ID: <1@x>\r\n"), None);
    }

    #[test]
    fn the_story_of_a_message_in_the_queue() {
        let receipt = Receipt { epoch: Some(7), ..Receipt::of("mail-store-0-0") };
        let records = [
            record(What::Accepted("4jdjBv0HG0zmFd3".into())),
            record(What::Delivered { recipient: b"an@x.vn".to_vec(), receipt: Some(receipt) }),
        ];
        let queued = r#"{"queue_name": "deferred", "queue_id": "4jdjBv0HG0zmFd3", "recipients": [{"address": "o@example.net", "delay_reason": "refused"}]}"#;
        let queued: Queued = serde_json::from_str(queued).unwrap();
        let place = Place { queue_ids: vec!["4jdjBv0HG0zmFd3".into()], queued: vec![queued] };
        let stores = [("an@x.vn".to_owned(), "held by mail-store-0-0, in a folder or expunged".to_owned())];
        let told = story(&entry(), &records, (&[("mail-gateway-0".into(), place)], &[]), &stores);
        insta::assert_snapshot!(told);
    }

    #[test]
    fn where_a_message_is_depends_on_all_that_is_known() {
        let gone = Place { queue_ids: vec!["AAAAAA".into()], queued: Vec::new() };
        let pod = || "mail-gateway-0".to_owned();
        let closed = [record(What::Closed)];
        assert_eq!(now(&closed, &[], &[pod()]), "it has come to its end");
        assert!(now(&[], &[(pod(), gone)], &[]).contains("unaccounted"));
        assert!(now(&[], &[], &[pod()]).starts_with("not known"));
        assert!(now(&[record(What::Accepted("A".into()))], &[], &[]).contains("was not recorded"));
        assert!(now(&[], &[], &[]).contains("accepted it never"));
    }
}

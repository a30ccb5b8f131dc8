//! What a resolver's answers mean: a state and words for each record, and one finding over all. Pure.

use super::{
    Answer, Answers,
    expected::{Expected, Rule},
};
use crate::{
    api::domain::{DnsRecord, KeyUse, RecordState},
    conditions::Finding,
};

/// Values that are shown of one answer, and their longest.
const SHOWN: (usize, usize) = (5, 512);

/// The record with what was found. Without an answer it is as it was `before`, if that was the same record.
#[must_use]
pub fn judge(expected: &Expected, answers: Option<&Answers>, before: &[DnsRecord]) -> DnsRecord {
    let mut record = expected.record.clone();
    let answer = answers.and_then(|answers| answers.get(&(record.name.clone(), expected.type_)));
    let Some(answer) = answer else {
        let same = |old: &&DnsRecord| {
            (&old.purpose, &old.name, &old.value) == (&record.purpose, &record.name, &record.value)
        };
        if let Some(old) = before.iter().find(same) {
            (record.state, record.seen, record.message) = (old.state, old.seen.clone(), old.message.clone());
        }
        return record;
    };
    let (state, seen, message) = match answer {
        Answer::Failed(why) => {
            (RecordState::Unknown, Vec::new(), format!("It could not be looked up: {why}."))
        }
        Answer::Nothing => (RecordState::Missing, Vec::new(), missing(&record)),
        Answer::Records(found) => found_some(expected, found),
    };
    record.state = Some(state);
    record.message = message;
    record.seen = seen.into_iter().take(SHOWN.0).map(|value| value.chars().take(SHOWN.1).collect()).collect();
    record
}

fn found_some(expected: &Expected, found: &[String]) -> (RecordState, Vec<String>, String) {
    let record = &expected.record;
    // Other texts at the same name are none of ours.
    let own: Vec<String> = match expected.rule {
        Rule::Sender(_) => beginning(found, "v=spf1"),
        Rule::Tagged(start, _) => beginning(found, start),
        _ => found.to_vec(),
    };
    if own.is_empty() {
        return (RecordState::Missing, own, missing(record));
    }
    let wrong = match expected.rule {
        Rule::Server => (!own.iter().any(|found| server(found) == server(&record.value)))
            .then(|| "None of the servers is the mail system's.".to_owned()),
        Rule::Sender(relayed) => sender(&own, relayed),
        Rule::Key => {
            let key = |value: &String| tag(value, "p");
            (!own.iter().any(|found| key(found) == key(&record.value))).then(|| {
                "Another key is published: receivers would take what is signed for forged.".to_owned()
            })
        }
        Rule::Tagged(_, name) => match own.as_slice() {
            [one] if tag(one, name).is_some_and(|value| !value.is_empty()) => None,
            [_] => Some(format!("It has no tag {name}=.")),
            _ => Some("There are several; receivers ignore them all.".to_owned()),
        },
        Rule::Address => None,
        Rule::Pointer => (!own.iter().any(|found| same_name(found, &record.value)))
            .then(|| "The address has another name; some receivers refuse mail for that.".to_owned()),
    };
    match wrong {
        None => (RecordState::Ok, own, String::new()),
        Some(why) => (RecordState::Different, own, format!("{why} Publish the value.")),
    }
}

fn sender(own: &[String], relayed: bool) -> Option<String> {
    let [one] = own else {
        return Some("There are several SPF records, which is an error for every receiver.".to_owned());
    };
    let lets_in = one.split_whitespace().skip(1).any(|term| {
        let term = term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase();
        term == "mx" || term.starts_with("a:") || term.starts_with("mx:")
    });
    (!relayed && !lets_in)
        .then(|| "It does not let the mail system's servers send; it needs `mx`.".to_owned())
}

fn missing(record: &DnsRecord) -> String {
    let why = match &*record.purpose {
        "MX" => "Without it others do not find the mail system. Publish it.",
        "SPF" => "Without it receivers cannot tell who may send for the domain. Publish it.",
        "DKIM" if record.key_use == Some(KeyUse::Next) => {
            "Publish it: signing goes over to this key when it is seen."
        }
        "DKIM" if record.key_use == Some(KeyUse::Former) => {
            "Mail on its way is signed with this key. Publish it again until it is no longer listed."
        }
        "DKIM" => "Without it receivers cannot check signatures. Publish it.",
        "DMARC" => "Without it anybody can send in the domain's name. Publish it.",
        "TLS-RPT" => "Optional: with it others report when they cannot send to you over TLS.",
        "MTA-STS" => {
            "Optional: publish it when a web server of yours serves the policy at https://mta-sts.DOMAIN/.well-known/mta-sts.txt."
        }
        "PTR" => {
            "Some receivers refuse mail from an address without a name. Ask whoever gave you the address."
        }
        _ => "The host name of the mail system has no address.",
    };
    why.to_owned()
}

/// Whether every record that is needed is there, in a word and in a sentence.
#[must_use]
pub fn verdict(records: &[DnsRecord]) -> Finding {
    const TYPE: &str = "DNSReady";
    let needed = || records.iter().filter(|record| !record.optional);
    let of = |state| needed().filter(move |record| record.state == Some(state));
    let list = |state| {
        let each = of(state).map(|record| format!("{} at {}", record.purpose, record.name));
        each.collect::<Vec<_>>().join(", ")
    };
    let wrong: Vec<_> = [(RecordState::Missing, "missing"), (RecordState::Different, "different")]
        .into_iter()
        .filter(|(state, _)| of(*state).next().is_some())
        .map(|(state, word)| format!("{word}: {}", list(state)))
        .collect();
    if !wrong.is_empty() {
        let reason =
            if of(RecordState::Missing).next().is_some() { "RecordMissing" } else { "RecordDifferent" };
        let message =
            format!("The DNS does not say what it should; {}. See status.dnsRecords.", wrong.join("; "));
        return Finding::no(TYPE, reason, message);
    }
    if let Some(unknown) = of(RecordState::Unknown).next() {
        return Finding::unknown(TYPE, "LookupFailed", format!("{}: {}", unknown.name, unknown.message));
    }
    if records.is_empty() || needed().any(|record| record.state.is_none()) {
        return Finding::unknown(TYPE, "Pending", "The records have not been looked up yet.");
    }
    Finding::yes(TYPE, "RecordsPublished", "Every record that is needed is in the DNS.")
}

fn beginning(found: &[String], start: &str) -> Vec<String> {
    let begins = |text: &&String| {
        let first = text.split([' ', ';']).next().unwrap_or_default();
        first.eq_ignore_ascii_case(start)
    };
    found.iter().filter(begins).cloned().collect()
}

/// The value of a tag (`name=value; …`), without white space.
fn tag(text: &str, name: &str) -> Option<String> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let mut named = tags.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.chars().filter(|char| !char.is_whitespace()).collect())
}

/// The host of an MX record.
fn server(value: &str) -> Option<String> {
    let host = value.split_whitespace().nth(1)?;
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn same_name(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

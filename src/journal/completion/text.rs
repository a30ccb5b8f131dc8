//! Records as lines of text, and back. See `docs/journal.md` for the format.

use sha2::{Digest, Sha256};

use super::{Receipt, Record, What};
use crate::journal::{
    JournalId, Name,
    plain::{MAX_VALUE, hex, unhex},
};

/// The format that is written. Readers refuse any other.
const VERSION: u64 = 1;
/// Stands for what is not known.
const NONE: &str = "-";

/// What is wrong with a file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// It does not begin like one.
    NotCompletions,
    /// A later release wrote it.
    Newer(u64),
    /// Its end is missing, or its checksum does not fit.
    Altered,
    /// A line does not follow the format.
    Malformed,
}

/// Writes records, in their order. One that cannot be a line is left out: what it says can be looked up.
pub fn encode(name: &Name, records: &[Record]) -> Vec<u8> {
    let mut bytes = format!("mail-completions {VERSION} {} {}\n", name.gateway(), name.number()).into_bytes();
    let mut count = 0;
    for line in records.iter().filter_map(line) {
        bytes.extend_from_slice(&line);
        bytes.push(b'\n');
        count += 1;
    }
    let sum: [u8; 32] = Sha256::digest(&bytes).into();
    bytes.extend_from_slice(format!("end {count} {}\n", hex(&sum)).as_bytes());
    bytes
}

fn line(record: &Record) -> Option<Vec<u8>> {
    let detail = match &record.what {
        What::Accepted(queue_id) => format!(" {}", plain(queue_id)),
        What::Delivered { receipt, .. } => format!(" {}", of_receipt(receipt.as_ref())),
        What::Relayed { relay: detail, .. } | What::Bounced { dsn: detail, .. } => {
            format!(" {}", plain(detail))
        }
        What::Discarded { .. } | What::Expired | What::Deleted | What::Closed => String::new(),
    };
    let mut line = format!("{} {} {}{detail}", record.what.word(), record.id, record.at).into_bytes();
    if let Some(recipient) = record.what.recipient() {
        let breaks = recipient.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        if breaks || recipient.len() > MAX_VALUE {
            return None;
        }
        line.push(b' ');
        line.extend_from_slice(recipient);
    }
    Some(line)
}

fn of_receipt(receipt: Option<&Receipt>) -> String {
    let Some(receipt) = receipt else { return [NONE; 4].join(" ") };
    let how = if receipt.held { "held" } else { "stored" };
    let epoch = receipt.epoch.map_or_else(|| NONE.to_owned(), |epoch| epoch.to_string());
    format!(
        "{how} {} {epoch} {}",
        plain(&receipt.pod),
        receipt.term.as_deref().map_or_else(|| NONE.to_owned(), plain)
    )
}

/// A word that can stand in a line.
fn plain(word: &str) -> String {
    let fits = |c: char| c.is_ascii_graphic();
    let word: String = word.chars().map(|c| if fits(c) { c } else { '?' }).take(MAX_VALUE / 2).collect();
    if word.is_empty() { NONE.to_owned() } else { word }
}

/// Reads records.
pub fn decode(bytes: &[u8]) -> Result<(Name, Vec<Record>), TextError> {
    let title = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let title = std::str::from_utf8(title).map_err(|_| TextError::NotCompletions)?;
    let mut words = title.split(' ');
    if words.next() != Some("mail-completions") {
        return Err(TextError::NotCompletions);
    }
    let version = words.next().and_then(|word| word.parse().ok()).ok_or(TextError::NotCompletions)?;
    if version != VERSION {
        return Err(TextError::Newer(version));
    }
    let name = match (words.next(), words.next().and_then(|word| word.parse().ok()), words.next()) {
        (Some(gateway), Some(number), None) => Name::new(gateway, number),
        _ => None,
    };
    let name = name.ok_or(TextError::Malformed)?;
    let (body, count) = checked(bytes)?;
    let mut lines = body.split(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>();
    // What follows the last line break.
    lines.pop();
    let records: Option<Vec<_>> = lines.iter().map(|line| record(line)).collect();
    let records = records.filter(|records| records.len() == count).ok_or(TextError::Malformed)?;
    Ok((name, records))
}

/// Everything before the trailer, and how many records there are.
fn checked(bytes: &[u8]) -> Result<(&[u8], usize), TextError> {
    let whole = bytes.strip_suffix(b"\n").ok_or(TextError::Altered)?;
    let at = whole.iter().rposition(|byte| *byte == b'\n').ok_or(TextError::Altered)? + 1;
    let end = whole[at..].strip_prefix(b"end ").ok_or(TextError::Altered)?;
    let mut words = end.split(|byte| *byte == b' ');
    let count = words.next().and_then(number).and_then(|count| usize::try_from(count).ok());
    let sum: Option<[u8; 32]> = words.next().and_then(unhex);
    let fits = sum == Some(Sha256::digest(&bytes[..at]).into()) && words.next().is_none();
    count.filter(|_| fits).map(|count| (&bytes[..at], count)).ok_or(TextError::Altered)
}

fn record(line: &[u8]) -> Option<Record> {
    let mut words = Words(line);
    let word = words.next()?;
    let id = JournalId::parse(words.next()?)?;
    let at = number(words.next()?)?;
    let what = match word {
        b"accepted" => What::Accepted(words.text()?),
        b"delivered" => {
            let receipt = receipt(&mut words)?;
            What::Delivered { receipt, recipient: words.rest() }
        }
        b"relayed" => What::Relayed { relay: words.text()?, recipient: words.rest() },
        b"bounced" => What::Bounced { dsn: words.text()?, recipient: words.rest() },
        b"discarded" => What::Discarded { recipient: words.rest() },
        b"expired" => What::Expired,
        b"deleted" => What::Deleted,
        b"closed" => What::Closed,
        _ => return None,
    };
    words.0.is_empty().then_some(Record { id, at, what })
}

/// The receipt in four words; `None` within if there was none.
#[allow(clippy::option_option, reason = "whether it can be read, and whether there is one")]
fn receipt(words: &mut Words<'_>) -> Option<Option<Receipt>> {
    let (how, pod, epoch, term) = (words.text()?, words.text()?, words.text()?, words.text()?);
    let known = |text: String| (text != NONE).then_some(text);
    let held = match how.as_str() {
        "held" => true,
        "stored" => false,
        NONE => return Some(None),
        _ => return None,
    };
    let epoch = known(epoch)
        .map(|epoch| epoch.parse().ok())
        .map_or(Some(None), |epoch: Option<u64>| epoch.map(Some))?;
    Some(Some(Receipt { held, pod, epoch, term: known(term) }))
}

/// What is left of a line.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let at = self.0.iter().position(|byte| *byte == b' ');
        let (word, rest) = at.map_or((self.0, &b""[..]), |at| (&self.0[..at], &self.0[at + 1..]));
        self.0 = rest;
        Some(word)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.next()?.to_vec()).ok()
    }

    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).to_vec()
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

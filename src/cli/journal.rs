//! `kubectl mail journal ls` and `cat`: segments come encrypted from a gateway's agent and are opened here, with the key in
//! the Secret or in a file.

use std::{fs, io::Write, path::PathBuf, str::FromStr};

use age::x25519::Identity;
use clap::{Args, Subcommand};
use jiff::{Span, Timestamp};

use super::cluster::System;
use crate::{
    journal::{Head, JournalId, Name, Page, Segment, SegmentError},
    operator::desired::secrets::JOURNAL_IDENTITY,
};

/// What to do with the journal.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List accepted messages: id, time, size, sender, recipients, segment.
    Ls {
        /// Only those received since then: `24h`, `30m`, `7 days`, or a time like 2026-11-25T08:00:00Z.
        #[arg(long, default_value = "24h")]
        since: Since,
        /// Only those to this address.
        #[arg(long)]
        recipient: Option<String>,
        /// Only those from this envelope sender.
        #[arg(long)]
        sender: Option<String>,
        /// Which key opens it.
        #[command(flatten)]
        key: Key,
    },
    /// Print a message as it was accepted, by its id (the header Journal-Id).
    Cat {
        /// The id: 32 hexadecimal digits.
        id: String,
        /// Which key opens it.
        #[command(flatten)]
        key: Key,
    },
}

/// Which key opens the journal.
#[derive(Args, Debug)]
pub struct Key {
    /// A file with the private key, as `age-keygen` writes it; the system's own is read from its Secret otherwise.
    #[arg(short, long)]
    identity: Option<PathBuf>,
}

/// A point in time: how long ago, or when.
#[derive(Clone, Debug)]
pub struct Since(pub(super) Timestamp);

impl FromStr for Since {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse() {
            return Ok(Self(at));
        }
        let span: Span = text.parse()?;
        let ago = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())?;
        Ok(Self(Timestamp::now().checked_sub(ago)?))
    }
}

/// Why the journal cannot be read.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The key is missing or none.
    #[error("{0} holds no private key of age")]
    Key(String),
    /// It is none.
    #[error("{0:?} is no journal id: it has 32 hexadecimal digits, as the header Journal-Id")]
    Id(String),
    /// It is not there.
    #[error("the journal has no message {0}")]
    NotFound(String),
    /// A segment is damaged.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Runs a command; output goes to `out`.
///
/// # Errors
/// What is told to the user.
pub async fn run(system: &System, command: Command, out: &mut impl Write) -> Result<(), super::Error> {
    match command {
        Command::Ls { since: Since(since), recipient, sender, key } => {
            let wanted = |head: &Head| {
                let is = |address: &[u8], wanted: &str| address.eq_ignore_ascii_case(wanted.as_bytes());
                head.received >= u64::try_from(since.as_millisecond()).unwrap_or_default()
                    && recipient
                        .as_deref()
                        .is_none_or(|it| head.recipients.iter().any(|address| is(address, it)))
                    && sender.as_deref().is_none_or(|it| is(&head.sender, it))
            };
            let key = key_of(system, &key).await?;
            list(system, &key, since, &wanted, out).await
        }
        Command::Cat { id, key } => {
            let parsed = JournalId::parse(id.to_ascii_lowercase().as_bytes());
            let parsed = parsed.ok_or_else(|| Error::Id(id.clone()))?;
            let key = key_of(system, &key).await?;
            cat(system, &key, parsed, out).await
        }
    }
}

pub(super) async fn key_of(system: &System, key: &Key) -> Result<Identity, super::Error> {
    let (place, text) = if let Some(path) = &key.identity {
        (path.display().to_string(), fs::read_to_string(path)?)
    } else {
        let name = system.name.journal_key();
        let data = system.secret(&name).await?.data.unwrap_or_default();
        let bytes = data.get(JOURNAL_IDENTITY).map(|bytes| bytes.0.clone()).unwrap_or_default();
        (format!("Secret {name}"), String::from_utf8_lossy(&bytes).into_owned())
    };
    let found = text.lines().map(str::trim).find_map(|line| line.parse().ok());
    Ok(found.ok_or(Error::Key(place))?)
}

/// Segments that were written since then, by name.
pub(super) async fn segments(system: &System, since: Timestamp) -> Result<Vec<Name>, super::Error> {
    files(system, "/journal", since).await
}

/// Files that were written since then, by name.
pub(super) async fn files(system: &System, path: &str, since: Timestamp) -> Result<Vec<Name>, super::Error> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page: Page = system.ask_json(&format!("{path}?after={after}")).await?;
        let written = page.segments.iter().filter(|it| it.written >= since.as_second());
        names.extend(written.filter_map(|it| Name::parse(&it.name)));
        match page.next {
            Some(next) if next > after => after = next,
            _ => return Ok(names),
        }
    }
}

async fn list(
    system: &System,
    key: &Identity,
    since: Timestamp,
    wanted: &impl Fn(&Head) -> bool,
    out: &mut impl Write,
) -> Result<(), super::Error> {
    let mut damaged = None;
    for name in segments(system, since).await? {
        let content = system.ask(&format!("/journal/{name}")).await?;
        // One that is damaged does not hide the others.
        match heads(&name, &content, key) {
            Ok(heads) => {
                for (head, size) in heads.iter().filter(|(head, _)| wanted(head)) {
                    writeln!(out, "{}", line(head, *size, &name))?;
                }
            }
            Err(error) => {
                eprintln!("{error}");
                damaged.get_or_insert(error);
            }
        }
    }
    damaged.map_or(Ok(()), |error| Err(Error::Segment(error).into()))
}

fn heads(name: &Name, content: &[u8], key: &Identity) -> Result<Vec<(Head, u64)>, SegmentError> {
    let mut segment = Segment::open(name, content, std::slice::from_ref(key))?;
    let mut heads = Vec::new();
    while let Some(head) = segment.head()? {
        let mut size = Counter(0);
        segment.message(&mut size)?;
        heads.push((head, size.0));
    }
    Ok(heads)
}

fn line(head: &Head, size: u64, name: &Name) -> String {
    let received = i64::try_from(head.received).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let recipients: Vec<_> = head.recipients.iter().map(|it| it.escape_ascii().to_string()).collect();
    format!(
        "{}  {}  {size:>9}  <{}>  <{}>  {name}",
        head.id,
        received.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
        head.sender.escape_ascii(),
        recipients.join(">,<"),
    )
}

async fn cat(
    system: &System,
    key: &Identity,
    id: JournalId,
    out: &mut impl Write,
) -> Result<(), super::Error> {
    for name in segments(system, made(id)).await? {
        let content = system.ask(&format!("/journal/{name}")).await?;
        let mut segment =
            Segment::open(&name, content.as_slice(), std::slice::from_ref(key)).map_err(Error::Segment)?;
        while let Some(head) = segment.head().map_err(Error::Segment)? {
            let mut message = Vec::new();
            segment.message(&mut message).map_err(Error::Segment)?;
            if head.id == id {
                return Ok(out.write_all(&message)?);
            }
        }
    }
    Err(Error::NotFound(id.to_string()).into())
}

/// When what belongs to this message was written at the earliest: the clocks of a gateway and of the server may differ.
pub(super) fn made(id: JournalId) -> Timestamp {
    let made =
        Timestamp::from_millisecond(i64::try_from(id.millis()).unwrap_or_default()).unwrap_or_default();
    made.checked_sub(Span::new().minutes(10)).unwrap_or(made)
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Entry, Fault, seal};

    #[test]
    fn a_time_is_how_long_ago_or_when() {
        let hour: Since = "1h".parse().unwrap();
        let ago = Timestamp::now().duration_since(hour.0).as_secs();
        assert!((3600..3700).contains(&ago), "{ago}");
        assert!("7 days".parse::<Since>().is_ok());
        let Since(at) = "2026-11-25T08:00:00Z".parse().unwrap();
        assert_eq!(at.as_second(), 1_795_593_600);
        assert!("yesterday".parse::<Since>().is_err());
    }

    #[test]
    fn a_line_tells_who_wrote_to_whom_and_hides_control_characters() {
        let key = Identity::generate();
        let name = Name::new("mail-gateway-0", 1).unwrap();
        let head = Head {
            id: JournalId::new(1_764_036_000_123, [7; 10]),
            received: 1_764_036_000_123,
            login: None,
            sender: b"a\x1b[2J@x.vn".to_vec(),
            recipients: vec![b"b@x.vn".to_vec(), b"c@x.vn".to_vec()],
        };
        let entry = Entry { head, message: vec![bytes::Bytes::from_static(b"Subject: x\r\n\r\n")] };
        let sealed = seal(&name, vec![entry], &[key.to_public()]).unwrap().concat();
        let heads = heads(&name, &sealed, &key).unwrap();
        let told = line(&heads[0].0, heads[0].1, &name);
        assert!(told.contains(r"<a\x1b[2J@x.vn>  <b@x.vn>,<c@x.vn>"), "{told}");
        assert!(told.contains("2025-11-25T02:00:00Z         14"), "{told}");
        assert!(matches!(
            super::heads(&name, &sealed, &Identity::generate()),
            Err(SegmentError { fault: Fault::WrongKey, .. })
        ));
    }
}

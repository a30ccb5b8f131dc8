//! `kubectl mail audit`: what each gateway knows of the mail that it accepted.

use std::io::Write;

use jiff::Timestamp;

use super::{Error, cluster::System};
use crate::{agent::gateway::audit::routes::Told, journal::ledger::Report};

/// Tells it; an error if something is unaccounted for, or is not known.
pub(super) async fn run(system: &System, out: &mut impl Write) -> Result<(), Error> {
    let (mut lost, mut silent) = (0, Vec::new());
    for (pod, _) in system.gateways().await? {
        match system.ask_pod_json::<Told>(&pod, "/audit").await {
            Ok(told) => {
                write!(out, "{}", lines(&pod, &told))?;
                lost += told.report.unaccounted;
            }
            Err(error) => {
                writeln!(out, "{pod}: not known: {error}")?;
                silent.push(pod);
            }
        }
    }
    match (lost, silent.as_slice()) {
        (0, []) => Ok(()),
        (0, pods) => Err(Error::Incomplete(format!("{} did not answer", pods.join(", ")))),
        (lost, _) => Err(Error::Incomplete(format!("{lost} unaccounted for"))),
    }
}

fn lines(pod: &str, told: &Told) -> String {
    let Report { open, unaccounted, waiting, checked, .. } = told.report;
    let checked = checked.map_or_else(|| "never".to_owned(), at);
    let mut lines = vec![format!(
        "{pod}: {unaccounted} unaccounted for, {open} open, {waiting} completions to be written, compared {checked}"
    )];
    lines.extend(told.report.message.iter().map(|message| format!("  {message}")));
    if told.report.forgotten == Some(true) {
        let since = at(told.report.since);
        lines.push(format!("  its volume began at {since}; the journal has mail that it accepted before"));
    }
    let named = told.unaccounted.iter();
    lines.extend(named.map(|one| format!("  {}  {}  {}", one.id, at(one.since), one.queue_id)));
    lines.join("\n") + "\n"
}

/// A time as it is printed everywhere.
pub(super) fn at(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalId, ledger::Unaccounted};

    #[test]
    fn what_is_missing_is_named_and_what_is_not_known_is_said() {
        let report = Report {
            since: 1_764_036_000_000,
            checked: Some(1_764_036_100_000),
            forgotten: Some(true),
            open: 3,
            unaccounted: 1,
            message: Some("Postfix did not list its queue in time".into()),
            ..Report::default()
        };
        let id = JournalId::new(1, [0xab; 10]);
        let one = Unaccounted { id, queue_id: "4jdjBv0HG0zmFd3".into(), since: 1_764_036_000_000 };
        let text = lines("mail-gateway-0", &Told { report, unaccounted: vec![one] });
        let expected = "mail-gateway-0: 1 unaccounted for, 3 open, 0 completions to be written, compared 2025-11-25T02:01:40Z\n  Postfix did not list its queue in time\n  its volume began at 2025-11-25T02:00:00Z; the journal has mail that it accepted before\n  000000000001abababababababababab  2025-11-25T02:00:00Z  4jdjBv0HG0zmFd3\n";
        assert_eq!(text, expected);
    }
}

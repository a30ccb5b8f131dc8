//! `kubectl mail backup`: a MailBackup runs now, whatever its schedule. The wish is an annotation with the time; the operator
//! says in status that it acted on it, and the run is followed there.

use std::{
    collections::BTreeSet,
    io::Write,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Error, Target,
    cluster::client,
    words::{between, size, time, verdict},
};
use crate::{
    api::{
        MailBackup, MailSnapshot,
        backup::{Activity, PastRun, Running},
    },
    conditions,
    names::RUN_NOW,
};

/// Between looks at the status.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Within this time the operator acts on a wish, or something is wrong with it.
const TAKEN_WITHIN: Duration = Duration::from_mins(1);
/// The reason of a run that did all that it should.
const SUCCEEDED: &str = "Succeeded";

/// The reason of `Ready` while somebody else works on the repository.
const BUSY: &str = "RepositoryBusy";

/// Which backup.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the MailBackup.
    name: String,
    /// Follow the run until it ended; it is an error if it did not succeed.
    #[arg(long)]
    wait: bool,
    /// With --wait: how many seconds to wait at most. The run goes on in any case.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
}

/// Where the run is that was asked for.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    /// The operator did not act on the wish yet.
    Asked,
    /// It cannot, because something else has to end before.
    Waits(String),
    /// It did, and the run is not there yet.
    Taken,
    /// It runs.
    Runs(&'a Running),
    /// It ended.
    Ended(&'a PastRun),
}

/// Asks for the run, and follows it.
pub(super) async fn run(target: &Target, arguments: &Arguments, out: &mut impl Write) -> Result<(), Error> {
    let (client, namespace) = client(target).await?;
    let backups: Api<MailBackup> = Api::namespaced(client.clone(), &namespace);
    let before = backups.get(&arguments.name).await?;
    if before.spec.suspend {
        let why = format!(
            "nothing was asked for: {} is suspended, so nothing begins until its spec.suspend is false",
            arguments.name
        );
        return Err(Error::Incomplete(why));
    }
    let wish = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {RUN_NOW: wish}}}));
    backups.patch(&arguments.name, &PatchParams::default(), &patch).await?;
    writeln!(out, "mailbackup/{} is asked to run now", arguments.name)?;
    if !arguments.wait {
        return Ok(());
    }
    let past = follow(&backups, arguments, (&before, &wish), out).await?;
    let took = between(past.started.as_ref(), past.finished.as_ref());
    let took = took.map(|took| format!(" after {took}")).unwrap_or_default();
    if past.reason != SUCCEEDED {
        return Err(Error::Incomplete(failure(&past)));
    }
    writeln!(out, "{} succeeded{took}{}", past.run, said(&past.message))?;
    let snapshots: Api<MailSnapshot> = Api::namespaced(client, &namespace);
    if let Some(snapshot) = snapshots.get_opt(&past.run).await? {
        writeln!(out, "{}", stored(&snapshot))?;
    }
    Ok(())
}

/// Prints what is new until the run has ended.
async fn follow(
    backups: &Api<MailBackup>,
    arguments: &Arguments,
    (before, wish): (&MailBackup, &str),
    out: &mut impl Write,
) -> Result<PastRun, Error> {
    let (began, known, mut last) = (Instant::now(), runs(before), String::new());
    let mut moved = began;
    loop {
        let object = backups.get(&arguments.name).await?;
        let line = match step(&object, wish, &known) {
            Step::Ended(past) => return Ok(past.clone()),
            Step::Asked if moved.elapsed() > TAKEN_WITHIN => {
                let within = TAKEN_WITHIN.as_secs();
                let why = format!("the operator has not acted on it within {within} s: see whether it runs");
                return Err(Error::Incomplete(format!("{why}{}", trouble(&object))));
            }
            Step::Asked => String::new(),
            Step::Waits(why) => {
                moved = Instant::now();
                why
            }
            Step::Taken => "the run is about to begin".to_owned(),
            Step::Runs(running) => progress(running),
        };
        if line != last && !line.is_empty() {
            writeln!(out, "{line}")?;
            last = line;
        }
        let over = |seconds: &u64| began.elapsed() > Duration::from_secs(*seconds);
        if let Some(seconds) = arguments.timeout.filter(over) {
            let why = format!("it has not ended within {seconds} s, and goes on");
            return Err(Error::Incomplete(format!("{why}{}", trouble(&object))));
        }
        sleep(LOOK).await;
    }
}

/// Every backup that status names.
fn runs(object: &MailBackup) -> BTreeSet<String> {
    let Some(status) = &object.status else { return BTreeSet::new() };
    let past = status.history.iter().map(|past| &past.run);
    past.chain(status.running.iter().map(|running| &running.run)).cloned().collect()
}

/// Where the run is that `wish` asked for: the backup that was not `known` before.
fn step<'a>(object: &'a MailBackup, wish: &str, known: &BTreeSet<String>) -> Step<'a> {
    let Some(status) = &object.status else { return Step::Asked };
    let running = status.running.as_ref();
    if status.last_run_now.as_deref() != Some(wish) {
        let ready = conditions::get(&status.conditions, "Ready").filter(|it| it.reason == BUSY);
        return match (running, ready) {
            (Some(running), _) => Step::Waits(format!("first comes {}", progress(running))),
            (None, Some(busy)) => Step::Waits(busy.message.clone()),
            (None, None) => Step::Asked,
        };
    }
    if let Some(running) = running.filter(|it| it.activity == Activity::Backup && !known.contains(&it.run)) {
        return Step::Runs(running);
    }
    // The newest comes first.
    let mut past = status.history.iter().filter(|it| it.activity == Activity::Backup);
    past.find(|it| !known.contains(&it.run)).map_or(Step::Taken, Step::Ended)
}

fn progress(running: &Running) -> String {
    let Running { run, progress, mailboxes, bytes, estimated, .. } = running;
    let done = time(estimated.as_ref());
    let done = if done.is_empty() { done } else { format!(", done about {done}") };
    format!("{run}: {progress}; {mailboxes} mailboxes, {}{done}", size(*bytes))
}

/// What stands against a run, if something does.
fn trouble(object: &MailBackup) -> String {
    let conditions = object.status.iter().flat_map(|status| &status.conditions).cloned().collect::<Vec<_>>();
    match conditions::get(&conditions, "Ready") {
        Some(ready) if ready.status != "True" => {
            format!(". Ready is {}: {}", verdict(&conditions, "Ready"), ready.message)
        }
        _ => String::new(),
    }
}

fn failure(past: &PastRun) -> String {
    let mailboxes = match past.mailboxes.as_slice() {
        [] => String::new(),
        some => format!(". Mailboxes concerned: {}", some.join(", ")),
    };
    format!("{} did not succeed: {}{}{mailboxes}", past.run, past.reason, said(&past.message))
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn stored(snapshot: &MailSnapshot) -> String {
    let status = snapshot.status.clone().unwrap_or_default();
    let count = |figure: Option<u64>| figure.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let added = status.added.map(|added| format!(", {added} added")).unwrap_or_default();
    let name = &snapshot.spec.run;
    let (mailboxes, messages) = (count(status.mailboxes), count(status.messages));
    format!("mailsnapshot/{name}: {mailboxes} mailboxes, {messages} messages{added}")
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;

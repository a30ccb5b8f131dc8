//! Makes one mailbox after another as the directory wants it.
//!
//! Addresses come in from the queue; what became of them goes back. The directory is asked when an address's turn has
//! come, so what is done is what is wanted then.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    Shared,
    client::{Access, Client, Error, Outcome},
    names::MailboxName,
    plan::{FOLDERS, Have, Quota, Step, steps},
    state::Failure,
};
use crate::wire::imap::Command;

/// Pause after Cyrus could not be asked, so that a queue is not run down in vain.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for the owner's subscriptions: while every IMAP process is taken, there is none for us.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(3);

/// Works for ever; `urgent_only` on what somebody waits for.
pub(super) async fn work(shared: Arc<Shared>, urgent_only: bool) {
    let mut connection = None;
    loop {
        let address = next(&shared, urgent_only).await;
        let result = agree(&shared, &mut connection, &address).await;
        let unavailable = matches!(result, Err(Failure::Unavailable(_)));
        shared.state().finished(&address, result);
        shared.count();
        if unavailable {
            sleep(PAUSE).await;
        }
    }
}

async fn next(shared: &Shared, urgent_only: bool) -> String {
    loop {
        let mut notified = pin!(shared.work.notified());
        // Registered before looking, so that nothing is missed between looking and waiting.
        notified.as_mut().enable();
        let next = shared.state().next(urgent_only);
        match next {
            Some(address) => return address,
            None => notified.await,
        }
    }
}

async fn agree(shared: &Shared, connection: &mut Option<Client>, address: &str) -> Result<Have, Failure> {
    let found = shared.replica.find(address).ok_or(Failure::NotHere)?;
    if found.address != address || found.entry.store != shared.shard {
        return Err(Failure::NotHere);
    }
    let name = MailboxName::of(address).ok_or(Failure::NoName)?;
    let have = shared.state().inventory().get(address).copied();
    let steps = steps(&found.entry, have);
    let (administered, commands): (Vec<_>, Vec<_>) =
        steps.iter().filter_map(|step| Some((*step, step.command(&name)?))).unzip();
    let outcomes = administer(&shared.access, connection, commands)
        .await
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    judge(&administered, &outcomes)?;
    if steps.contains(&Step::Subscribe) {
        match timeout(SUBSCRIBE_WITHIN, subscribe(&shared.access, address)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(address, %error, "the owner's folders are not subscribed"),
            Err(_) => tracing::warn!(address, "the owner's folders are not subscribed: no answer in time"),
        }
    }
    let quota = steps.iter().find_map(|step| match step {
        Step::SetQuota(kib) => Some(Quota::Kib(*kib)),
        _ => None,
    });
    let quota = quota.or(have.map(|have| have.quota)).unwrap_or_default();
    Ok(Have { furnished: true, quota })
}

/// Runs the commands, over a new connection if the old one has died in the meantime.
async fn administer(
    access: &Access,
    connection: &mut Option<Client>,
    commands: Vec<Command>,
) -> Result<Vec<Outcome>, Error> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(mut client) = connection.take()
        && let Ok(outcomes) = client.run(commands.clone(), |_| ()).await
    {
        *connection = Some(client);
        return Ok(outcomes);
    }
    let mut client = Client::connect(access, None).await?;
    let outcomes = client.run(commands, |_| ()).await?;
    *connection = Some(client);
    Ok(outcomes)
}

/// What exists already is refused by `CREATE`. A quota can be set only on a mailbox that exists: so its answer counts,
/// and no text needs to be understood.
fn judge(steps: &[Step], outcomes: &[Outcome]) -> Result<(), Failure> {
    for (step, outcome) in steps.iter().zip(outcomes) {
        if matches!(step, Step::SetQuota(_)) && !outcome.is_ok() {
            return Err(Failure::Refused(String::from_utf8_lossy(&outcome.text).into_owned()));
        }
    }
    Ok(())
}

async fn subscribe(access: &Access, address: &str) -> Result<(), Error> {
    let mut client = Client::connect(access, Some(address)).await?;
    let subscribe = |name: &str| Command::new("SUBSCRIBE").string(name.as_bytes());
    let commands = ["INBOX"].into_iter().chain(FOLDERS.map(|folder| folder.name)).map(subscribe);
    let outcomes = client.run(commands.collect(), |_| ()).await?;
    match outcomes.iter().find(|outcome| !outcome.is_ok()) {
        Some(refusal) => Err(Error::Refused(format!("{refusal:?}"))),
        None => Ok(()),
    }
}

//! Makes one mailbox after another as the directory wants it.
//!
//! Addresses come in from the queue; what became of them goes back. The directory is asked when an address's turn has
//! come, so what is done is what is wanted then.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    Shared,
    client::{Access, Client, Error, Outcome},
    inventory::{Have, Quota},
    names::{MailboxName, retired_owner},
    plan::{FOLDERS, Move, Step, is_seen, moves, retirement, steps},
    share::share,
    state::Failure,
};
use crate::{
    directory::{MailboxEntry, Refusal},
    wire::imap::Command,
};

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
        shared.state().finished(&address, &result);
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

/// Makes what is under `address` as the directory wants it.
async fn agree(shared: &Shared, connection: &mut Option<Client>, address: &str) -> Result<(), Failure> {
    if let Some(uid) = retired_owner(address)
        && let Some(retired) = shared.replica.retired(uid).filter(|retired| retired.store == shared.shard)
    {
        let _alone = shared.moving.write().await;
        let moves = retirement(uid, &retired, shared.state().inventory());
        carry_out(shared, connection, moves).await?;
        let seen = is_seen(shared.state().inventory(), address);
        return if seen { share(shared, address, &[]).await } else { Ok(()) };
    }
    let found = shared.replica.find(address).ok_or(Failure::NotHere)?;
    let settled = found.entry.refusal != Some(Refusal::Unsettled);
    if found.address != address || found.entry.store != shared.shard || !settled {
        return Err(Failure::NotHere);
    }
    let plan = || {
        let is_retired = |owner: &str| shared.replica.retired(owner).is_some();
        moves(address, &found.entry, shared.state().inventory(), is_retired)
    };
    if plan()?.iter().any(Move::is_of_mail) {
        // Nothing else may be made or moved meanwhile: a name may be free only in between.
        let _alone = shared.moving.write().await;
        let moves = plan()?;
        if moves.iter().any(|step| leaves_a_mailbox(shared, step, &found.entry.uid)) {
            return Err(Failure::Moving);
        }
        carry_out(shared, connection, moves).await?;
    } else {
        let _beside_others = shared.moving.read().await;
        let moves = plan()?;
        if moves.iter().any(Move::is_of_mail) {
            return Err(Failure::Moving);
        }
        carry_out(shared, connection, moves).await?;
    }
    shared.state().made(address);
    furnish(shared, connection, address, &found.entry).await
}

/// Whether the directory still has the mailbox under the address that the step takes it from: the part of the directory
/// that says otherwise has not arrived.
fn leaves_a_mailbox(shared: &Shared, step: &Move, uid: &str) -> bool {
    let Move::Rename(from, _) = step else { return false };
    shared.replica.find(from).is_some_and(|found| found.address == *from && found.entry.uid == uid)
}

/// Does one after another; the inventory is told of each.
async fn carry_out(
    shared: &Shared,
    connection: &mut Option<Client>,
    moves: Vec<Move>,
) -> Result<(), Failure> {
    for step in moves {
        if step.is_of_mail() {
            tracing::info!(?step, "mail is moved");
        }
        let commands = step.commands().ok_or(Failure::NoName)?;
        let outcomes = administer(&shared.access, connection, commands)
            .await
            .map_err(|error| Failure::Unavailable(error.to_string()))?;
        if let Some(outcome) = outcomes.iter().find(|outcome| !outcome.is_ok()) {
            // Cyrus has something else than we thought: it is looked at again.
            shared.stale.notify_one();
            return Err(Failure::Refused(String::from_utf8_lossy(&outcome.text).into_owned()));
        }
        let mut state = shared.state();
        let inventory = state.inventory_mut();
        match &step {
            Move::Create(address) => {
                let made = Have { quota: Quota::None, shares: Some(Vec::new()), ..Have::default() };
                inventory.insert(address, made);
            }
            Move::Own(address, uid) => {
                inventory.change(address, |have| have.owner = Some(uid.as_str().into()));
            }
            Move::Rename(from, to) => inventory.rename(from, to),
            Move::Delete(address) => drop(inventory.remove(address)),
        }
    }
    Ok(())
}

/// Sees to quota and folders of a mailbox that is there.
async fn furnish(
    shared: &Shared,
    connection: &mut Option<Client>,
    address: &str,
    wanted: &MailboxEntry,
) -> Result<(), Failure> {
    let name = MailboxName::of(address).ok_or(Failure::NoName)?;
    let have = shared.state().inventory().get(address).cloned().unwrap_or_default();
    let steps = steps(wanted, &have);
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
    if steps.contains(&Step::Share) {
        share(shared, address, &wanted.shares).await?;
    }
    shared.state().inventory_mut().change(address, |have| {
        have.furnished = true;
        for step in steps {
            if let Step::SetQuota(kib) = step {
                have.quota = Quota::Kib(kib);
            }
        }
    });
    Ok(())
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

/// A folder that exists already is refused by `CREATE`: only the quota's answer counts.
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

//! The return of a former primary: what it has alone is carried over to the present primary, before it follows.
//!
//! ```text
//!  here, Cyrus not running                                          there, serving
//!  log ─▶ whose mailboxes ─▶ listing ─┐
//!                                     ├─▶ settle ─▶ carry ─────────▶ desk ─IMAP─▶ Cyrus
//!              listing of the other ──┘   (pure)          signed
//! ```
//!
//! Cyrus is not left to settle it: it brings deleted mail back and doubles what was delivered twice. When the other store
//! has everything, the mailboxes that differ are taken away here, to be got anew, and so are the logs. Each step may be
//! interrupted and done again; how far it is stands on the volume ([`state`]).

mod aside;
pub mod carry;
mod desk;
#[cfg(test)]
mod desk_tests;
pub mod listing;
mod local;
mod log;
mod protocol;
pub mod session;
mod settle;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

pub use self::desk::Desk;
use self::{
    aside::Aside,
    carry::{Account, Carrier, Fate},
    state::State,
};
use super::{
    SPOOL,
    provision::Owned,
    replication,
    role::{DATA, Daemon, Shared},
};
use crate::{
    failover::{Disk, Epoch},
    role::Progress,
};

/// Whether there is something that only this store has, as far as its logs tell, or a return is under way after it served
/// last as `disk` says. Cyrus must not run.
///
/// # Errors
/// The volume cannot be read.
pub fn is_due(disk: &Disk, present: Epoch) -> io::Result<bool> {
    let under_way = State::read(Path::new(DATA), disk.epoch.number())?.is_some();
    if !under_way {
        State::remove(Path::new(DATA))?;
    }
    let left_over = disk.seeded && disk.epoch < present && !replication::leftovers().is_empty();
    Ok(under_way || left_over)
}

/// Carries over what only this store has to the primary of `epoch`, and clears what stands in the way of following it. It
/// may be dropped at any moment.
///
/// # Errors
/// It is not done; the next try goes on.
pub async fn run(shared: &Shared, daemon: &Daemon, epoch: Epoch) -> io::Result<()> {
    let disk = shared.memory().record.disk;
    daemon.silence_tools()?;
    let data = Path::new(DATA);
    let carrier = Carrier::new(
        shared.peer().clone(),
        epoch.number(),
        Path::new(SPOOL),
        Aside::new(data, epoch.number()),
    );
    let progress = |progress: Progress| {
        shared.words().progress = Some(progress);
        shared.say(format!(
            "what only this store has is carried over: {} of {} mailboxes are done",
            progress.done, progress.total
        ));
    };
    let state = carried(data, disk.epoch.number(), &carrier, progress).await;
    shared.words().progress = None;
    let state = state?;
    if disk.seeded && !state.anew.is_empty() && !state.finished {
        // Mail will be missing here until the primary has sent it: nobody may take this volume for whole.
        shared.change(|record| super::role::Record { disk: record.disk.emptied(), ..record }).await?;
        shared.memory().holds_mail = true;
    }
    cleared(data, state).await
}

/// Carries over, mailbox by mailbox.
async fn carried(data: &Path, of: u64, carrier: &Carrier, progress: impl Fn(Progress)) -> io::Result<State> {
    let mut state = State::read(data, of)?.unwrap_or(State { of, ..State::default() });
    if state.settled {
        return Ok(state);
    }
    // From here on a return is under way, and goes on although the volume changes.
    written(data, &state).await?;
    local::recover().await?;
    let logs = replication::leftovers();
    let addresses = spawn_blocking(move || addresses(&logs)).await.map_err(io::Error::other)??;
    tracing::info!(
        mailboxes = addresses.len(),
        "changes of this store may be missing on the present primary"
    );
    let accounts = accounts(&addresses).await?;
    let total = accounts.len() as u64;
    for (done, account) in (0..).zip(&accounts) {
        progress(Progress { done, total });
        if !state.carried.contains(&account.address) {
            let fate = carrier.carry(account).await;
            let fate = fate.map_err(|error| io::Error::other(format!("{}: {error}", account.address)))?;
            state.carried.insert(account.address.clone());
            if fate == Fate::Anew {
                state.anew.insert(account.address.clone());
            }
            written(data, &state).await?;
        }
    }
    state.settled = true;
    written(data, &state).await?;
    tracing::info!(
        mailboxes = total,
        anew = state.anew.len(),
        "the present primary has everything of this store"
    );
    Ok(state)
}

/// Takes away what differs, and the logs.
async fn cleared(data: &Path, mut state: State) -> io::Result<()> {
    if state.finished {
        return Ok(());
    }
    for account in accounts(&state.anew).await? {
        local::reset(&account.address).await?;
    }
    if let Some(left) = accounts(&state.anew).await?.first() {
        return Err(io::Error::other(format!("{}: it cannot be taken away to be got anew", left.address)));
    }
    for log in replication::leftovers() {
        std::fs::remove_file(&log)?;
        File::open(log.parent().unwrap_or(data))?.sync_all()?;
    }
    state.finished = true;
    written(data, &state).await
}

async fn written(data: &Path, state: &State) -> io::Result<()> {
    let (data, state) = (data.to_owned(), state.clone());
    spawn_blocking(move || state.write(&data)).await.map_err(io::Error::other)?
}

fn addresses(logs: &[PathBuf]) -> io::Result<BTreeSet<String>> {
    let mut addresses = BTreeSet::new();
    for path in logs {
        addresses.extend(log::addresses(BufReader::new(File::open(path)?))?);
    }
    Ok(addresses)
}

/// The mailboxes of these addresses that this store has.
async fn accounts(addresses: &BTreeSet<String>) -> io::Result<Vec<Account>> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let of = |name: &str| Owned::inner(name).filter(|folder| addresses.contains(&folder.address));
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for entry in local::folders(|entry| of(&entry.name).is_some()).await? {
        let Some(folder) = of(&entry.name) else { continue };
        let new = || Account { address: folder.address.clone(), inbox: String::new(), folders: Vec::new() };
        let account = accounts.entry(folder.address.clone()).or_insert_with(new);
        if folder.path == "INBOX" && !folder.deleted {
            account.inbox.clone_from(&entry.id);
        }
        account.folders.push(entry.id);
    }
    Ok(accounts.into_values().collect())
}

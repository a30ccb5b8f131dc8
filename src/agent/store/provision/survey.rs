//! Reads what Cyrus has: every mailbox in one `LIST`, quotas pipelined.
//!
//! A connection's access comes in, an inventory goes out. It changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    client::{Access, Client, Error},
    names::{MailboxName, owner},
    plan::{Inventory, Quota},
};
use crate::{
    directory::MailboxEntry,
    wire::imap::{Command, Response},
};

/// Every mailbox, its quota not known yet.
///
/// # Errors
/// Cyrus cannot be asked, or does not answer the question.
pub(super) async fn inventory(access: &Access) -> Result<Inventory, Error> {
    let mut client = Client::connect(access, None).await?;
    let mut inventory = Inventory::new();
    let list = Command::new("LIST").string(b"").string(b"user/*");
    let outcomes = client
        .run(vec![list], |response| {
            if let Response::List { name } = response
                && let Some((address, folder)) = owner(&name)
            {
                inventory.entry(address).or_default().furnished |= folder;
            }
        })
        .await?;
    match outcomes.iter().find(|outcome| !outcome.is_ok()) {
        Some(refusal) => Err(Error::Refused(format!("{refusal:?}"))),
        None => Ok(inventory),
    }
}

/// The mailboxes wanted and had whose quota is not known.
pub(super) fn without_quota(wanted: &BTreeMap<String, Arc<MailboxEntry>>, have: &Inventory) -> Vec<String> {
    let unknown = |address: &&String| have.get(*address).is_some_and(|it| it.quota == Quota::Unknown);
    wanted.keys().filter(unknown).cloned().collect()
}

/// The quotas of these mailboxes.
///
/// # Errors
/// Cyrus cannot be asked.
pub(super) async fn quotas(access: &Access, addresses: Vec<String>) -> Result<Vec<(String, Quota)>, Error> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let mut client = Client::connect(access, None).await?;
    let mut found: BTreeMap<String, Quota> =
        addresses.into_iter().map(|address| (address, Quota::None)).collect();
    let ask = |address: &String| {
        let name = MailboxName::of(address)?;
        Some(Command::new("GETQUOTA").string(name.inbox().as_bytes()))
    };
    let questions = found.keys().filter_map(ask).collect();
    // A mailbox without quota is answered by a refusal: that is an answer, too.
    client
        .run(questions, |response| {
            if let Response::Quota { root, storage } = response
                && let Some(quota) = owner(&root).and_then(|(address, _)| found.get_mut(&address))
            {
                *quota = storage.map_or(Quota::None, Quota::Kib);
            }
        })
        .await?;
    Ok(found.into_iter().collect())
}

//! Reads what Cyrus has: every mailbox with its owner in one `LIST`, those that others may see, quotas pipelined.
//!
//! A connection's access comes in, an inventory goes out. Nothing is changed but owners, and those once: a store of a
//! time when they were not recorded is given them.

use std::collections::{BTreeMap, HashMap};

use super::{
    client::{Access, Client, Error, Outcome},
    inventory::{Have, Inventory, Quota},
    lists,
    names::{MailboxName, Owned, owner, retired_address, retired_owner},
    plan::{self, NOBODY, OWNER, Wanted},
};
use crate::wire::imap::{Command, Response};

/// Recorded for the server itself once every mailbox of an earlier time has an owner. What has none after that was
/// interrupted while it was made, and nobody has seen it.
const DONE: &str = "owners recorded";

/// Every mailbox with its owner, quotas not known yet.
///
/// # Errors
/// Cyrus cannot be asked, or does not answer the question.
pub(super) async fn inventory(access: &Access) -> Result<Inventory, Error> {
    let mut client = Client::connect(access, None).await?;
    let mut found: HashMap<String, Have> = HashMap::new();
    let list = Command::new("LIST").string(b"").string(b"user/*");
    let list = list.raw(&format!("RETURN (METADATA ({OWNER}))"));
    let outcomes = client
        .run(vec![list], |response| match response {
            Response::List { name } => {
                if let Some((address, folder)) = owner(&name) {
                    found.entry(address).or_default().furnished |= folder;
                }
            }
            Response::Metadata { name, mut values } => {
                if let Some((address, false)) = owner(&name)
                    && let Some((_, Some(uid))) = values.pop()
                {
                    found.entry(address).or_default().owner = Some(String::from_utf8_lossy(&uid).into());
                }
            }
            _ => {}
        })
        .await?;
    all_done(&outcomes)?;
    let seen = lists::shared().await.map_err(|error| Error::Refused(error.to_string()))?;
    let mut inventory = Inventory::default();
    for (address, have) in found {
        let shares = (!seen.contains(&address)).then(Vec::new);
        inventory.insert(&address, Have { shares, ..have });
    }
    Ok(inventory)
}

/// Gives the mailboxes without an owner the one that the directory names, or nobody, unless that was done before.
///
/// # Errors
/// Cyrus cannot be asked, or refuses.
pub(super) async fn record_owners(
    access: &Access,
    wanted: &Wanted,
    inventory: &mut Inventory,
) -> Result<(), Error> {
    // An operator of an earlier release does not say whose a mailbox is.
    if wanted.mailboxes.values().any(|entry| entry.uid.is_empty()) {
        return Ok(());
    }
    let mut client = Client::connect(access, None).await?;
    let (mut done, ask) = (false, Command::new("GETMETADATA").string(b"").raw(OWNER));
    let outcomes = client
        .run(vec![ask], |response| {
            if let Response::Metadata { values, .. } = response {
                done |= values.iter().any(|(_, value)| value.as_deref() == Some(DONE.as_bytes()));
            }
        })
        .await?;
    all_done(&outcomes)?;
    if done {
        return Ok(());
    }
    let owners: Vec<_> = inventory
        .iter()
        .filter(|(_, have)| have.owner.is_none())
        .filter_map(|(address, _)| {
            let entry = wanted.mailboxes.get(address);
            let owner = entry.map_or(NOBODY, |entry| entry.uid.as_str()).to_owned();
            Some((address.clone(), MailboxName::of(address)?.inbox(), owner))
        })
        .collect();
    let commands = owners.iter().map(|(_, inbox, owner)| plan::record(inbox, owner)).collect();
    all_done(&client.run(commands, |_| ()).await?)?;
    for (address, _, owner) in owners {
        inventory.change(&address, |have| have.owner = Some(owner.into()));
    }
    all_done(&client.run(vec![plan::record("", DONE)], |_| ()).await?)
}

/// The unique ids of the folders of a mailbox, those that its owner has deleted and Cyrus still keeps included.
///
/// # Errors
/// Cyrus cannot be asked.
pub(super) async fn folder_ids(access: &Access, address: &str) -> Result<Vec<String>, Error> {
    Ok(folders(access, address).await?.into_iter().map(|(_, id)| id).collect())
}

/// The folders of a mailbox with their unique ids, those that its owner has deleted and Cyrus still keeps included.
///
/// # Errors
/// Cyrus cannot be asked.
pub(super) async fn folders(access: &Access, address: &str) -> Result<Vec<(Owned, String)>, Error> {
    const ID: &str = "/shared/vendor/cmu/cyrus-imapd/uniqueid";
    let Some(name) = MailboxName::of(address) else { return Ok(Vec::new()) };
    let mut client = Client::connect(access, None).await?;
    let mut folders = Vec::new();
    let list = |pattern: String| {
        Command::new("LIST").string(b"").string(pattern.as_bytes()).raw(&format!("RETURN (METADATA ({ID}))"))
    };
    let all = name.folder("*");
    let commands = vec![list(name.inbox()), list(format!("DELETED/{all}")), list(all)];
    let outcomes = client
        .run(commands, |response| {
            if let Response::Metadata { name, mut values } = response
                && let Some((_, Some(id))) = values.pop()
                && let Some(folder) = Owned::outer(&name)
            {
                folders.push((folder, String::from_utf8_lossy(&id).into_owned()));
            }
        })
        .await?;
    all_done(&outcomes)?;
    Ok(folders)
}

/// The owner of the mailbox of `address`, if there is one and it is recorded.
///
/// # Errors
/// Cyrus cannot be asked.
pub(super) async fn owner_of(access: &Access, address: &str) -> Result<Option<String>, Error> {
    let Some(name) = MailboxName::of(address) else { return Ok(None) };
    let (mut client, mut owner) = (Client::connect(access, None).await?, None);
    let ask = Command::new("GETMETADATA").string(name.inbox().as_bytes()).raw(OWNER);
    // No mailbox has no owner: a refusal is an answer, too.
    client
        .run(vec![ask], |response| {
            if let Response::Metadata { values, .. } = response {
                let recorded = values.into_iter().find_map(|(_, value)| value);
                owner = recorded.map(|uid| String::from_utf8_lossy(&uid).into_owned());
            }
        })
        .await?;
    Ok(owner)
}

/// The mailboxes wanted and had whose quota is not known.
pub(super) fn without_quota(wanted: &Wanted, have: &Inventory) -> Vec<String> {
    let unknown = |address: &&String| have.get(address).is_some_and(|it| it.quota == Quota::Unknown);
    wanted.mailboxes.keys().filter(unknown).cloned().collect()
}

/// How many KiB of mail are kept for each owner whose mail is out of the way.
///
/// # Errors
/// Cyrus cannot be asked.
pub(super) async fn sizes(access: &Access, uids: Vec<String>) -> Result<BTreeMap<String, u64>, Error> {
    if uids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ask = |uid: &String| {
        let name = MailboxName::of(&retired_address(uid))?.inbox();
        Some(Command::new("GETQUOTA").string(name.as_bytes()))
    };
    let questions = uids.iter().filter_map(ask).collect();
    let mut sizes: BTreeMap<_, _> = uids.iter().map(|uid| (uid.clone(), 0)).collect();
    let mut client = Client::connect(access, None).await?;
    client
        .run(questions, |response| {
            if let Response::Quota { root, used: Some(used), .. } = response
                && let Some((address, _)) = owner(&root)
                && let Some(size) = retired_owner(&address).and_then(|uid| sizes.get_mut(uid))
            {
                *size = used;
            }
        })
        .await?;
    Ok(sizes)
}

fn all_done(outcomes: &[Outcome]) -> Result<(), Error> {
    match outcomes.iter().find(|outcome| !outcome.is_ok()) {
        Some(refusal) => Err(Error::Refused(format!("{refusal:?}"))),
        None => Ok(()),
    }
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
            if let Response::Quota { root, storage, .. } = response
                && let Some(quota) = owner(&root).and_then(|(address, _)| found.get_mut(&address))
            {
                *quota = storage.map_or(Quota::None, Quota::Kib);
            }
        })
        .await?;
    Ok(found.into_iter().collect())
}

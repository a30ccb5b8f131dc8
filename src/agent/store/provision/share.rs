//! Lets the members of a mailbox see it, and nobody else: the access lists of its folders are read, compared
//! ([`shares`](super::shares)) and changed.
//!
//! A member who gains it is subscribed to its folders, since many programs show no others. One who loses something has
//! open sessions ended afterwards: Cyrus does not look at the list again while a folder is open.

use std::collections::BTreeSet;

use super::{
    Shared,
    client::{Access, Client, Error},
    names::MailboxName,
    shares::{Changes, Lists, changes, patterns, seen_as},
    state::Failure,
};
use crate::{
    directory::Share,
    wire::imap::{Command, Response},
};

/// Brings the access lists of the mailbox of `address` in line with `wanted`.
pub(super) async fn share(shared: &Shared, address: &str, wanted: &[Share]) -> Result<(), Failure> {
    let name = MailboxName::of(address).ok_or(Failure::NoName)?;
    let unavailable = |error: Error| Failure::Unavailable(error.to_string());
    let mut client = Client::connect(&shared.access, None).await.map_err(unavailable)?;
    let lists = read(&mut client, &name).await.map_err(unavailable)?;
    let Changes { commands, gained, lost } = changes(address, wanted, &lists);
    let outcomes = client.run(commands, |_| ()).await.map_err(unavailable)?;
    for member in &lost {
        tracing::info!(address, member, "somebody may see less of a mailbox than before");
        // Nobody ends sessions while the agent stops, and then all of them end.
        let _ = shared.shut_out.send(member.clone());
    }
    if let Some(refusal) = outcomes.iter().find(|outcome| !outcome.is_ok()) {
        return Err(Failure::Refused(String::from_utf8_lossy(&refusal.text).into_owned()));
    }
    let renamed = shared.state().inventory().get(address).is_some_and(|have| have.renamed);
    let members = wanted.iter().map(|share| share.address.clone()).filter(|_| renamed);
    let members: BTreeSet<String> = members.chain(gained).collect();
    for member in &members {
        if let Err(error) = subscribe(&shared.access, member, lists.keys()).await {
            tracing::warn!(address, member, %error, "a member is not subscribed to a mailbox");
        }
    }
    shared.state().inventory_mut().change(address, |have| {
        have.shares = Some(wanted.to_vec());
        have.renamed = false;
    });
    Ok(())
}

async fn read(client: &mut Client, name: &MailboxName<'_>) -> Result<Lists, Error> {
    let list = |pattern: String| Command::new("LIST").string(b"").string(pattern.as_bytes());
    let mut folders = BTreeSet::new();
    let outcomes = client
        .run(patterns(name).map(list).into(), |response| {
            if let Response::List { name } = response {
                folders.insert(name);
            }
        })
        .await?;
    let ask = |folder: &bytes::Bytes| Command::new("GETACL").string(folder);
    let questions: Vec<Command> = folders.iter().map(ask).collect();
    let mut lists = Lists::new();
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    let answers = client
        .run(questions, |response| {
            if let Response::Acl { name, rights } = response {
                let list = rights.iter().map(|(id, rights)| (text(id), text(rights))).collect();
                lists.insert(text(&name), list);
            }
        })
        .await?;
    match outcomes.iter().chain(&answers).find(|outcome| !outcome.is_ok()) {
        Some(refusal) => Err(Error::Refused(format!("{refusal:?}"))),
        None => Ok(lists),
    }
}

/// A member in another shard has no subscriptions here that anybody would look at: what is refused does not matter.
async fn subscribe(
    access: &Access,
    member: &str,
    folders: impl Iterator<Item = &String>,
) -> Result<(), Error> {
    let mut client = Client::connect(access, Some(member)).await?;
    let names = folders.filter_map(|folder| seen_as(folder));
    let commands = names.map(|name| Command::new("SUBSCRIBE").string(name.as_bytes())).collect();
    client.run(commands, |_| ()).await.map(drop)
}

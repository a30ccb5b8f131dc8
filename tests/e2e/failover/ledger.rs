//! What was accepted against what is read: each message exactly once, and nothing that was deleted before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::TryStreamExt;

use super::load::Sent;
use crate::{
    imap,
    world::{Account, World, eventually},
};

/// Longest wait for the last message: a queue tries again after half a minute, and then more rarely.
const ARRIVED: Duration = Duration::from_mins(8);
/// So many messages are named that are not as they should be.
const NAMED: usize = 8;

/// How often each subject is in the account's INBOX.
pub(crate) async fn subjects(world: &World, account: &Account) -> Result<BTreeMap<String, usize>, String> {
    let words = |error: &dyn std::fmt::Display| format!("{}: {error}", account.address);
    let session = imap::log_in(world, &account.address, &account.password).await;
    let mut session = session.map_err(|error| words(&error))?;
    session.select("INBOX").await.map_err(|error| words(&error))?;
    let fetched = session.uid_fetch("1:*", "ENVELOPE").await.map_err(|error| words(&error))?;
    let fetched: Vec<_> = fetched.try_collect().await.map_err(|error| words(&error))?;
    let mut found = BTreeMap::new();
    for message in &fetched {
        let subject = message.envelope().and_then(|envelope| envelope.subject.as_ref());
        let subject = subject.map(|it| String::from_utf8_lossy(it).into_owned()).unwrap_or_default();
        *found.entry(subject).or_default() += 1;
    }
    session.logout().await.map_err(|error| words(&error))?;
    Ok(found)
}

/// Waits until every accepted message is in its mailbox once, no other message is there twice, and none of `deleted` is.
pub(crate) async fn every_one_once(
    world: &World,
    accounts: &[Account],
    accepted: &[Sent],
    deleted: &[(&Account, &str)],
) {
    eventually(ARRIVED, "every accepted message is read exactly once", async || {
        let mut found = BTreeMap::new();
        for account in accounts {
            found.insert(account.address.as_str(), subjects(world, account).await?);
        }
        let wrong = wrong(&found, accepted, deleted);
        if wrong.is_empty() {
            return Ok(());
        }
        let first: Vec<_> = wrong.iter().take(NAMED).collect();
        Err(format!(
            "of {} accepted messages {} are not as they should be: {first:#?}",
            accepted.len(),
            wrong.len()
        ))
    })
    .await;
}

fn wrong(
    found: &BTreeMap<&str, BTreeMap<String, usize>>,
    accepted: &[Sent],
    deleted: &[(&Account, &str)],
) -> Vec<String> {
    let times =
        |to: &str, subject: &str| found.get(to).and_then(|all| all.get(subject)).copied().unwrap_or_default();
    let lost = accepted.iter().filter(|sent| times(&sent.to, &sent.subject) == 0);
    let lost =
        lost.map(|sent| format!("lost: {} to {}, accepted with {:?}", sent.subject, sent.to, sent.reply));
    let doubled = found.iter().flat_map(|(address, all)| {
        let more = all.iter().filter(|(_, times)| **times > 1);
        more.map(move |(subject, times)| format!("{times} times: {subject} in {address}"))
    });
    let back = deleted.iter().filter(|(account, subject)| times(&account.address, subject) > 0);
    let back = back.map(|(account, subject)| format!("back: {subject} in {}", account.address));
    lost.chain(doubled).chain(back).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The account's owner deletes a message for good.
pub(crate) async fn delete(world: &World, account: &Account, subject: &str) {
    let mut session = imap::log_in(world, &account.address, &account.password).await.unwrap();
    session.select("INBOX").await.unwrap();
    let found = session.uid_search(format!("SUBJECT \"{subject}\"")).await.unwrap();
    let [uid] = found.into_iter().collect::<Vec<_>>()[..] else { panic!("{subject} is there once") };
    let deleted = session.uid_store(uid.to_string(), "+FLAGS (\\Deleted)").await.unwrap();
    let _: Vec<_> = deleted.try_collect().await.unwrap();
    let _: Vec<_> = session.expunge().await.unwrap().try_collect().await.unwrap();
    session.logout().await.unwrap();
}

#[test]
fn a_lost_a_doubled_and_a_returned_message_are_told_apart_from_those_that_are_as_they_should_be() {
    let account =
        |address: &str| Account { name: String::new(), address: address.to_owned(), password: String::new() };
    let sent =
        |subject: &str| Sent { to: "an".to_owned(), subject: subject.to_owned(), reply: "queued".to_owned() };
    let inbox = [("once", 1), ("twice", 2), ("deleted", 1), ("unknown", 1)];
    let inbox = inbox.map(|(subject, times)| (subject.to_owned(), times)).into();
    let found = BTreeMap::from([("an", inbox)]);
    let an = account("an");
    let accepted = [sent("once"), sent("twice"), sent("lost")];
    let wrong = wrong(&found, &accepted, &[(&an, "deleted"), (&an, "gone")]);
    assert_eq!(
        wrong,
        ["2 times: twice in an", "back: deleted in an", "lost: lost to an, accepted with \"queued\"",]
    );
}

//! People come and go; their mail stays theirs.

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::api::{Mailbox, RetiredMailbox};
use serde_json::json;

use crate::{
    imap,
    smtp::{Smtp, message},
    world::{Account, World, eventually, parse, run, unique},
};

const WAIT: Duration = Duration::from_mins(2);

/// Sends a message to the account and waits until it can be read. Returns its subject.
async fn receive(world: &World, account: &Account) -> String {
    let subject = unique("life");
    let text = message("dan@example.com", &account.address, &subject, "x");
    let reply = Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&account.address], &text).await;
    assert_eq!(reply.unwrap().code, 250);
    imap::wait_for(world, account, &subject).await;
    subject
}

/// A Mailbox of this address under a new name, whatever becomes of it, with a password of its own.
async fn claim(world: &World, address: &str, more: serde_json::Value) -> Account {
    let (name, password) = (unique("later"), unique("password"));
    let secret = json!({"metadata": {"name": name}, "stringData": {"password": password}});
    world.apply(parse::<Secret>(secret)).await;
    let mut spec = json!({"address": address, "passwordSecret": {"name": name}});
    spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
    Account { name, address: address.to_owned(), password }
}

async fn delete(world: &World, account: &Account) {
    world.api::<Mailbox>().delete(&account.name, &DeleteParams::default()).await.unwrap();
}

async fn set(world: &World, account: &Account, spec: serde_json::Value) -> String {
    let patch = Patch::Merge(json!({"spec": spec}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
    world.condition::<Mailbox>(&account.name, "Ready", "True", WAIT).await
}

async fn written_to(world: &World, address: &str) -> (u16, String) {
    let mut smtp = Smtp::inbound(world).await.unwrap();
    let text = message("dan@example.com", address, &unique("state"), "x");
    let reply = smtp.send("dan@example.com", &[address], &text).await.unwrap();
    (reply.code, format!("{reply:?}"))
}

#[test]
fn a_suspension_ends_open_sessions_and_mail_is_kept_meanwhile() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let mut session = imap::log_in(world, &an.address, &an.password).await.unwrap();
        session.select("INBOX").await.unwrap();
        let mut idle = session.idle();
        idle.init().await.unwrap();
        let (waiting, _stop) = idle.wait_with_timeout(WAIT);
        let suspend = async {
            assert_eq!(set(world, &an, json!({"state": "Suspended"})).await, "Suspended");
        };
        let (ended, ()) = tokio::join!(tokio::time::timeout(WAIT, waiting), suspend);
        // The connection is closed: an error, or the end of its data.
        let ended = ended.expect("the session goes on");
        assert!(!format!("{ended:?}").contains("Timeout"), "{ended:?}");
        assert!(imap::log_in(world, &an.address, &an.password).await.is_err());
        let subject = unique("kept");
        let text = message("dan@example.com", &an.address, &subject, "x");
        let reply =
            Smtp::inbound(world).await.unwrap().send("dan@example.com", &[&an.address], &text).await.unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        assert_eq!(set(world, &an, json!({"state": "Active"})).await, "Served");
        imap::wait_for(world, &an, &subject).await;
    });
}

#[test]
fn each_state_says_to_senders_what_becomes_of_their_mail() {
    run(async |world| {
        let an = world.mailbox(json!({})).await;
        let subject = receive(world, &an).await;
        assert_eq!(set(world, &an, json!({"state": "ReceiveOnly"})).await, "ReceiveOnly");
        assert_eq!(written_to(world, &an.address).await.0, 250);
        assert!(imap::log_in(world, &an.address, &an.password).await.is_err());
        let refuse = json!({"state": "Suspended", "whileSuspended": "Refuse"});
        assert_eq!(set(world, &an, refuse).await, "Suspended");
        let (code, text) = written_to(world, &an.address).await;
        assert!(code == 550 && text.contains("5.2.1"), "{text}");
        let retire = json!({"state": "Retired", "successor": "binh@angiang.gov.vn"});
        assert_eq!(set(world, &an, retire).await, "Retired");
        let (code, text) = written_to(world, &an.address).await;
        assert!(code == 550 && text.contains("5.1.6") && text.contains("binh@angiang.gov.vn"), "{text}");
        assert_eq!(set(world, &an, json!({"state": "Active"})).await, "Served");
        imap::wait_for(world, &an, &subject).await;
    });
}

/// The RetiredMailbox of this address, once its size is known.
async fn retired(world: &World, address: &str) -> String {
    eventually(WAIT, &format!("the RetiredMailbox of {address}"), async || {
        let all =
            world.api::<RetiredMailbox>().list(&ListParams::default()).await.map_err(|e| e.to_string())?;
        let found = all.items.iter().find(|it| it.spec.address == address).ok_or("none")?;
        let size = found.status.as_ref().and_then(|status| status.size.clone());
        size.map(|_| found.name_any()).ok_or_else(|| "no size".to_owned())
    })
    .await
}

/// The owner files the message away, marks it, and has a Sieve script.
async fn furnish(world: &World, account: &Account) {
    let mut session = imap::log_in(world, &account.address, &account.password).await.unwrap();
    // "Công văn" in modified UTF-7.
    session.create("C&APQ-ng v&AQM-n").await.unwrap();
    session.subscribe("C&APQ-ng v&AQM-n").await.unwrap();
    session.select("INBOX").await.unwrap();
    session
        .uid_store("1:*", "+FLAGS (\\Flagged $viec)")
        .await
        .unwrap()
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    session.uid_copy("1:*", "C&APQ-ng v&AQM-n").await.unwrap();
    session.logout().await.unwrap();
}

/// Whether everything is there that [`furnish`] left.
async fn is_whole(world: &World, account: &Account) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut session = imap::log_in(world, &account.address, &account.password).await.map_err(|e| text(&e))?;
    let folders: Vec<_> = session
        .lsub(Some(""), Some("*"))
        .await
        .map_err(|e| text(&e))?
        .try_collect()
        .await
        .map_err(|e| text(&e))?;
    let folders: Vec<_> = folders.iter().map(|folder| folder.name().to_owned()).collect();
    session.select("C&APQ-ng v&AQM-n").await.map_err(|e| text(&e))?;
    let flagged = session.uid_search("FLAGGED KEYWORD $viec").await.map_err(|e| text(&e))?;
    session.logout().await.map_err(|e| text(&e))?;
    if flagged.len() == 1 && folders.iter().any(|name| name == "C&APQ-ng v&AQM-n") {
        Ok(())
    } else {
        Err(format!("{flagged:?} in {folders:?}"))
    }
}

#[test]
fn deleted_mail_is_nobodys_until_it_is_restored_whole() {
    run(async |world| {
        let former = world.mailbox(json!({})).await;
        let subject = receive(world, &former).await;
        furnish(world, &former).await;
        delete(world, &former).await;
        let kept = retired(world, &former.address).await;
        assert!(imap::log_in(world, &former.address, &former.password).await.is_err());

        // Another one at the address neither sees it nor makes mail bounce.
        let later = claim(world, &former.address, json!({})).await;
        let reason = world.condition::<Mailbox>(&later.name, "Ready", "False", WAIT).await;
        assert_eq!(reason, "AddressRetired");
        eventually(WAIT, "mail waits", async || match written_to(world, &former.address).await {
            (451, _) => Ok(()),
            (_, text) => Err(text),
        })
        .await;
        assert!(imap::log_in(world, &later.address, &later.password).await.is_err());
        let patch = Patch::Merge(json!({"spec": {"restoreFrom": kept}}));
        world.api::<Mailbox>().patch(&later.name, &PatchParams::default(), &patch).await.unwrap();
        world.ready::<Mailbox>(&later.name, WAIT).await;
        imap::wait_for(world, &later, &subject).await;
        is_whole(world, &later).await.unwrap();
        receive(world, &later).await;
        eventually(WAIT, "the RetiredMailbox is gone", async || {
            match world.api::<RetiredMailbox>().get_opt(&kept).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    });
}

#[test]
fn a_new_owner_starts_empty_after_a_purge_that_names_the_address() {
    run(async |world| {
        let former = world.mailbox(json!({})).await;
        let subject = receive(world, &former).await;
        delete(world, &former).await;
        let kept = retired(world, &former.address).await;
        let purge = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/purge": former.address}}});
        let patch = Patch::Merge(purge);
        world.api::<RetiredMailbox>().patch(&kept, &PatchParams::default(), &patch).await.unwrap();
        let later = claim(world, &former.address, json!({})).await;
        world.ready::<Mailbox>(&later.name, WAIT).await;
        assert_eq!(imap::messages(world, &later, &subject).await.unwrap(), Vec::<String>::new());
        receive(world, &later).await;
    });
}

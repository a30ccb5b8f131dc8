//! People come and go; their mail stays theirs.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use mail_operator::api::Mailbox;
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
async fn claim(world: &World, address: &str) -> Account {
    let (name, password) = (unique("later"), unique("password"));
    let secret = json!({"metadata": {"name": name}, "stringData": {"password": password}});
    world.apply(parse::<Secret>(secret)).await;
    let spec = json!({"address": address, "passwordSecret": {"name": name}});
    world.apply(parse::<Mailbox>(json!({"metadata": {"name": name}, "spec": spec}))).await;
    Account { name, address: address.to_owned(), password }
}

async fn delete(world: &World, account: &Account) {
    world.api::<Mailbox>().delete(&account.name, &DeleteParams::default()).await.unwrap();
}

async fn annotate(world: &World, account: &Account, name: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {name: value}}}));
    world.api::<Mailbox>().patch(&account.name, &PatchParams::default(), &patch).await.unwrap();
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

#[test]
fn a_new_owner_of_an_address_sees_the_former_ones_mail_only_if_that_was_asked_for_by_name() {
    run(async |world| {
        let former = world.mailbox(json!({})).await;
        let subject = receive(world, &former).await;
        delete(world, &former).await;
        let later = claim(world, &former.address).await;
        eventually(WAIT, "the former owner is out", async || {
            match imap::log_in(world, &former.address, &former.password).await {
                Ok(_) => Err("still in".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await;
        for _ in 0..5 {
            assert!(imap::messages(world, &later, &subject).await.is_err());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        annotate(world, &later, "mail.angiang.gov.vn/adopt", &former.address).await;
        imap::wait_for(world, &later, &subject).await;
    });
}

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

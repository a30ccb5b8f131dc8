//! Mailboxes whose address is changed.

use kube::api::DeleteParams;
use mail_operator::conditions;
use serde_json::json;

use crate::{
    agent, harness,
    mailbox::{mailboxes, put, reason, served},
    operator::{Running, eventually},
};

#[tokio::test]
async fn an_address_is_changed_and_one_that_another_has_is_refused_by_name() {
    let api = harness::api("moving").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.21.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    reason(&api, "an", "Served").await;
    reason(&api, "binh", "Served").await;
    let before = replica.find("an@x.vn").unwrap().entry;

    put(&api, "Mailbox", "an", json!({"address": "an.le@x.vn"})).await;
    let moved = eventually(async || replica.find("an.le@x.vn"), Option::is_some).await.unwrap().entry;
    assert_eq!((&moved.uid, &moved.credential, moved.store), (&before.uid, &before.credential, before.store));
    let alias = eventually(
        async || replica.find("an@x.vn"),
        |it| it.as_ref().is_some_and(|it| it.address == "an.le@x.vn"),
    );
    assert_eq!(alias.await.unwrap().entry.uid, before.uid);
    let named = |status: &mail_operator::api::MailboxStatus| status.address.as_deref() == Some("an.le@x.vn");
    let status = eventually(
        async || mailboxes(&api).get("an").await.unwrap().status.unwrap_or_default(),
        |status| named(status) && conditions::is_true(&status.conditions, "Ready"),
    )
    .await;
    let [former] = status.former_addresses.as_slice() else { panic!("{:?}", status.former_addresses) };
    let days = (former.until.0.as_second() - former.since.0.as_second()) / 86_400;
    assert_eq!((former.address.as_str(), days), ("an@x.vn", 90));

    // The older one takes nothing from the younger, which is told of in its condition; and both are served.
    put(&api, "Mailbox", "an", json!({"address": "binh@x.vn"})).await;
    let message = reason(&api, "an", "RenameRefused").await;
    assert!(message.contains(&format!("Mailbox {}/binh has binh@x.vn", api.namespace)), "{message}");
    put(&api, "Mailbox", "binh", json!({"address": "an@x.vn"})).await;
    let message = reason(&api, "binh", "RenameRefused").await;
    assert!(message.contains(&format!("of Mailbox {}/an", api.namespace)), "{message}");
    assert_eq!(replica.find("binh@x.vn").unwrap().address, "binh@x.vn");
    assert_eq!(replica.find("an@x.vn").unwrap().entry.uid, before.uid);

    // It is remembered over a restart, and the move is made when nothing hinders it any more.
    operator.stop().await;
    mailboxes(&api).delete("binh", &DeleteParams::default()).await.unwrap();
    let operator = Running::start(&api, "two").await;
    let message = reason_with(&api, "an", "RetiredMailbox").await;
    assert!(message.contains("mail.angiang.gov.vn/purge=binh@x.vn"), "{message}");
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    let back = eventually(
        async || replica.find("an@x.vn"),
        |it| it.as_ref().is_some_and(|it| it.address == "an@x.vn"),
    );
    assert_eq!(back.await.unwrap().entry.uid, before.uid);
    assert_eq!(replica.find("an.le@x.vn").unwrap().address, "an@x.vn");
    operator.stop().await;
}

/// Waits until the condition's message contains `words`; gives it.
async fn reason_with(api: &harness::TestApi, name: &str, words: &str) -> String {
    let message = async || {
        let status = mailboxes(api).get(name).await.unwrap().status.unwrap_or_default();
        conditions::get(&status.conditions, "Ready").map(|it| it.message.clone()).unwrap_or_default()
    };
    eventually(message, |message| message.contains(words)).await
}

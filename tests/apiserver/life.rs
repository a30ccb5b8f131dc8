//! Mailboxes that are deleted: their mail is recorded, shown, restored, purged, and kept in place when so many vanish at
//! once that it may have been an accident.

use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::{
    agent::directory::Replica,
    api::{MailSystem, MailboxState, RetiredMailbox},
    conditions,
    directory::{MailboxEntry, Refusal},
};
use serde_json::{Value, json};

use crate::{
    agent,
    harness::{self, TestApi},
    mailbox::{mailboxes, put, reason, secret, served},
    operator::{Running, eventually},
};

fn retired(api: &TestApi) -> Api<RetiredMailbox> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn delete(api: &TestApi, name: &str) {
    mailboxes(api).delete(name, &DeleteParams::default()).await.unwrap();
}

/// Waits until there are so many RetiredMailboxes, all of known size; gives their names.
async fn shown(api: &TestApi, count: usize) -> Vec<String> {
    let listed = eventually(
        async || retired(api).list(&ListParams::default()).await.unwrap().items,
        |items| {
            let known = |it: &RetiredMailbox| it.status.as_ref().is_some_and(|status| status.size.is_some());
            items.len() == count && items.iter().all(known)
        },
    );
    listed.await.into_iter().filter_map(|it| it.metadata.name).collect()
}

/// The word that the condition `MassDeletion` says for the mailboxes.
fn word(message: &str) -> String {
    message.split("confirm-deletion: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
}

async fn annotate(api: &TestApi, name: &str, annotation: &str, value: &str) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
    retired(api).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

fn entry(replica: &Replica, address: &str) -> Option<Value> {
    replica.find(address).map(|found| serde_json::to_value(&*found.entry).unwrap())
}

#[tokio::test]
async fn deleted_mail_is_kept_blocks_its_address_and_comes_back_whole() {
    let api = harness::api("life").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.22.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    let uid = replica.find("an@x.vn").unwrap().entry.uid.clone();
    delete(&api, "an").await;
    let name = shown(&api, 1).await.remove(0);
    assert!(name.starts_with("an-") && uid.starts_with(&name[3..]), "{name} of {uid}");
    assert!(replica.find("an@x.vn").is_none() && replica.retired(&uid).is_some());
    let object = retired(&api).get(&name).await.unwrap();
    assert_eq!(object.status.unwrap().size.as_deref(), Some("5Ki"));
    let kept = object.spec.purge_after.0.as_second() - object.spec.retired_at.0.as_second();
    assert_eq!(kept, 90 * 24 * 60 * 60);

    // It is a view, which comes back; and its time can only be put off.
    retired(&api).delete(&name, &DeleteParams::default()).await.unwrap();
    let again = async || retired(&api).get_opt(&name).await.unwrap();
    eventually(again, |it| it.as_ref().is_some_and(|it| it.metadata.uid != object.metadata.uid)).await;
    for (time, taken) in [("2020-01-01T00:00:00Z", false), ("2099-01-01T00:00:00Z", true)] {
        let patch = Patch::Merge(json!({"spec": {"purgeAfter": time}}));
        let answer = retired(&api).patch(&name, &PatchParams::default(), &patch).await;
        assert_eq!(answer.is_ok(), taken, "{answer:?}");
    }

    // Nobody gets it unasked, and no mail bounces meanwhile.
    put(&api, "Mailbox", "later", json!({"address": "an@x.vn"})).await;
    let message = reason(&api, "later", "AddressRetired").await;
    assert!(
        message.contains(&name) && message.contains("restoreFrom") && message.contains("purge"),
        "{message}"
    );
    let found = eventually(async || replica.find("an@x.vn"), Option::is_some).await.unwrap();
    assert_eq!(found.entry.refusal, Some(Refusal::Unsettled));
    assert!(found.entry.credential.is_none());
    put(&api, "Mailbox", "later", json!({"address": "an@x.vn", "restoreFrom": "an-00000000"})).await;
    reason(&api, "later", "RetiredMailboxNotFound").await;
    put(&api, "Mailbox", "later", json!({"address": "an@x.vn", "restoreFrom": name})).await;
    reason(&api, "later", "Served").await;
    shown(&api, 0).await;
    let status = mailboxes(&api).get("later").await.unwrap().status.unwrap();
    assert_eq!(status.restored_from.as_deref(), Some(&*name));
    let settled = eventually(
        async || entry(&replica, "an@x.vn"),
        |entry| {
            entry
                .as_ref()
                .is_some_and(|entry| entry.get("heirOf").is_none() && entry.get("refusal").is_none())
        },
    );
    assert_ne!(settled.await.unwrap()["uid"], json!(uid));
    assert!(replica.retired(&uid).is_none());

    // Deleted while nobody looked, it is recorded all the same.
    operator.stop().await;
    delete(&api, "later").await;
    let operator = Running::start(&api, "two").await;
    shown(&api, 1).await;
    operator.stop().await;
}

#[tokio::test]
async fn mail_is_purged_when_that_is_asked_for_by_its_address() {
    let api = harness::api("life").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.9.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    delete(&api, "an").await;
    let name = shown(&api, 1).await.remove(0);
    put(&api, "Mailbox", "later", json!({"address": "an@x.vn"})).await;
    reason(&api, "later", "AddressRetired").await;
    annotate(&api, &name, "mail.angiang.gov.vn/purge", "binh@x.vn").await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    reason(&api, "binh", "Served").await;
    shown(&api, 1).await;
    annotate(&api, &name, "mail.angiang.gov.vn/purge", "an@x.vn").await;
    shown(&api, 0).await;
    reason(&api, "later", "Served").await;
    assert!(replica.find("an@x.vn").unwrap().entry.refusal.is_none());
    operator.stop().await;
}

#[tokio::test]
async fn when_many_vanish_at_once_their_mail_stays_in_place_until_they_are_back_or_it_is_confirmed() {
    let api = harness::api("life").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.10.1").await;
    let systems: Api<MailSystem> = Api::namespaced(api.client.clone(), &api.namespace);
    let names: Vec<_> = (0..8).map(|n| format!("u{n}")).collect();
    secret(&api, "pass", json!({"password": "hunter2"})).await;
    let apply = async || {
        for name in &names {
            let pass = json!({"name": "pass"});
            put(&api, "Mailbox", name, json!({"address": format!("{name}@x.vn"), "passwordSecret": pass}))
                .await;
        }
        for name in &names {
            reason(&api, name, "Served").await;
        }
    };
    let condition = async || {
        let status = systems.get("demo").await.unwrap().status.unwrap_or_default();
        conditions::get(&status.conditions, "MassDeletion").cloned()
    };
    apply().await;
    let uid = replica.find("u3@x.vn").unwrap().entry.uid.clone();
    let everything =
        async || mailboxes(&api).delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    everything().await.unwrap();
    let told = eventually(condition, |it| it.as_ref().is_some_and(|it| it.message.contains("8 Mailboxes")));
    let first = word(&told.await.unwrap().message);
    eventually(async || retired(&api).list(&ListParams::default()).await.unwrap().items.len(), |n| *n == 0)
        .await;
    for name in &names {
        // The directory reaches an agent after it stands in status.
        let entry = async || replica.find(&format!("{name}@x.vn")).map(|found| found.entry.clone());
        let in_place = |entry: &MailboxEntry| entry.refusal.is_none() && entry.credential.is_none();
        let entry = eventually(entry, |entry| entry.as_deref().is_some_and(in_place)).await.unwrap();
        assert_eq!(entry.state, MailboxState::Suspended);
    }
    assert_eq!(replica.find("u3@x.vn").unwrap().entry.uid, uid);

    apply().await;
    eventually(condition, Option::is_none).await;
    assert!(mailboxes(&api).get("u3").await.unwrap().status.unwrap().restored_from.is_some());

    // The word for the first accident, or a number, says nothing of the second.
    everything().await.unwrap();
    let told = eventually(condition, |it| it.as_ref().is_some_and(|it| it.message.contains("8 Mailboxes")));
    let second = word(&told.await.unwrap().message);
    assert_ne!(first, second);
    let confirm = async |word: &str| {
        let patch = json!({"metadata": {"annotations": {"mail.angiang.gov.vn/confirm-deletion": word}}});
        systems.patch("demo", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    for wrong in ["8", &first] {
        confirm(wrong).await;
        let said = format!("The present value, {wrong}, is not for these.");
        eventually(async || condition().await.unwrap().message, |it| it.ends_with(&said)).await;
    }
    // Those that vanished before it was taken for an accident are taken back.
    let count = async || retired(&api).list(&ListParams::default()).await.unwrap().items.len();
    eventually(count, |count| *count == 0).await;
    confirm(&second).await;
    shown(&api, 8).await;
    eventually(condition, Option::is_none).await;
    operator.stop().await;
}

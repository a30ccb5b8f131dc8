//! Objects that the operator cannot read, as a newer definition would let in: what is served of them goes on.

use kube::{Api, api::ListParams};
use mail_operator::{agent::directory::Replica, api::RetiredMailbox};
use serde_json::{Value, json};

use crate::{
    agent::{self, lets_in},
    etcd::rewrite,
    harness::{self, TestApi},
    mailbox::{put, reason, secret, served},
    operator::{Running, any, eventually},
};

/// Waits until `Ready` of the object has this reason; gives its message. The object need not fit its type.
async fn said(api: &TestApi, kind: &str, name: &str, reason: &str) -> String {
    let ready = || {
        let conditions = any(api, kind, name)["status"]["conditions"].clone();
        conditions
            .as_array()
            .into_iter()
            .flatten()
            .find(|it| it["type"] == "Ready")
            .cloned()
            .unwrap_or_default()
    };
    let ready = eventually(async || ready(), |ready| ready["reason"] == reason).await;
    assert_eq!(ready["status"], if reason == "Unreadable" { "False" } else { "True" });
    ready["message"].as_str().unwrap().to_owned()
}

fn is_served(replica: &Replica) {
    assert!(lets_in(replica, "an@x.vn", "hunter2"), "the password opens nothing any more");
    assert_eq!(replica.find("a@x.vn").map(|found| found.address).as_deref(), Some("an@x.vn"));
    assert!(replica.has_domain("x.vn"));
}

fn version(api: &TestApi, kind: &str, name: &str) -> Value {
    any(api, kind, name)["metadata"]["resourceVersion"].clone()
}

#[tokio::test]
async fn what_cannot_be_read_is_served_as_it_was_also_after_a_restart_and_says_so() {
    let api = harness::api("unreadable").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.11.1").await;
    secret(&api, "pass", json!({"password": "hunter2"})).await;
    let spec = json!({"address": "an@x.vn", "aliases": ["a@x.vn"], "passwordSecret": {"name": "pass"}});
    put(&api, "Mailbox", "an", spec).await;
    reason(&api, "an", "Served").await;
    let map = any(&api, "secret", "demo-dkim")["data"]["selectors.map"].clone();

    rewrite(&api, "mailboxes", "an", |object| object["spec"]["state"] = json!("OnLeave")).await;
    let message = said(&api, "mailbox", "an", "Unreadable").await;
    assert!(message.contains("spec.state") && message.contains("`OnLeave`"), "{message}");
    assert!(message.contains("served as it was") && message.contains("upgrade"), "{message}");
    rewrite(&api, "maildomains", "x", |object| object["spec"]["dnsCheck"] = json!("Weekly")).await;
    let message = said(&api, "maildomain", "x", "Unreadable").await;
    assert!(message.contains("spec.dnsCheck") && message.contains("served as it was"), "{message}");
    let events =
        || api.run("kubectl", &["-n", &api.namespace, "get", "events", "-o", "jsonpath={.items[*].reason}"]);
    eventually(async || events(), |events| events.contains("Unreadable")).await;
    is_served(&replica);

    // A restart finds in the directory what it was. Nobody else gets the addresses, and nothing is written.
    operator.stop().await;
    let before = ["mailbox/an", "maildomain/x", "secret/demo-directory", "secret/demo-directory-1-0"]
        .map(|it| it.split_once('/').unwrap())
        .map(|(kind, name)| (kind, name, version(&api, kind, name)));
    let operator = Running::start(&api, "two").await;
    put(&api, "Mailbox", "binh", json!({"address": "a@x.vn"})).await;
    let message = reason(&api, "binh", "AddressConflict").await;
    assert!(message.contains("/an "), "{message}");
    is_served(&replica);
    let metrics = operator.metrics().await;
    assert!(metrics.contains("mail_directory_unreadable 2"), "{metrics}");
    for (kind, name, version_before) in before {
        assert_eq!(version(&api, kind, name), version_before, "{kind} {name}");
    }
    let retired: Api<RetiredMailbox> = Api::namespaced(api.client.clone(), &api.namespace);
    assert!(retired.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert_eq!(any(&api, "secret", "demo-dkim")["data"]["selectors.map"], map);

    // It gives way to nobody when others join its domain, and is an object like others once it is mended.
    put(&api, "Mailbox", "chi", json!({"address": "chi@x.vn"})).await;
    reason(&api, "chi", "Served").await;
    is_served(&replica);
    rewrite(&api, "mailboxes", "an", |object| object["spec"]["state"] = json!("Active")).await;
    rewrite(&api, "maildomains", "x", |object| object["spec"]["dnsCheck"] = json!(false)).await;
    said(&api, "mailbox", "an", "Served").await;
    said(&api, "maildomain", "x", "Served").await;
    is_served(&replica);
    secret(&api, "pass", json!({"password": "another"})).await;
    eventually(async || lets_in(&replica, "an@x.vn", "another"), |in_| *in_).await;
    operator.stop().await;
}

//! Groups: from an applied MailGroup to what an agent answers, and what status says meanwhile.

use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mail_operator::{
    agent::directory::Replica,
    api::{MailGroup, MailGroupStatus, RetiredMailbox},
    conditions,
};
use serde_json::{Value, json};

use crate::{
    agent,
    etcd::rewrite,
    harness::{self, TestApi},
    mailbox::{mailboxes, put, reason, served},
    operator::{Running, any, eventually},
};

fn groups(api: &TestApi) -> Api<MailGroup> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

async fn group(api: &TestApi, name: &str, spec: Value) {
    let body = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailGroup",
        "metadata": {"name": name}, "spec": spec});
    groups(api).patch(name, &PatchParams::apply("user").force(), &Patch::Apply(body)).await.unwrap();
}

/// Waits until `Ready` of the MailGroup has this reason for its generation; gives its message and the status.
async fn said(api: &TestApi, name: &str, reason: &str) -> (String, MailGroupStatus) {
    let found = eventually(
        async || {
            let group = groups(api).get(name).await.unwrap();
            let (generation, status) = (group.metadata.generation, group.status.unwrap_or_default());
            let ready = conditions::get(&status.conditions, "Ready").cloned();
            let current = ready.filter(|it| it.observed_generation == generation);
            (current, status)
        },
        |(ready, _)| ready.as_ref().is_some_and(|ready| ready.reason == reason),
    );
    let (ready, status) = found.await;
    (ready.unwrap().message, status)
}

fn reached(replica: &Replica, address: &str) -> Vec<String> {
    replica.group(address).map(|group| group.recipients.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_group_reaches_its_members_follows_them_and_leaves_nothing_behind() {
    let api = harness::api("groups").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.31.1").await;
    let members = json!(["a@x.vn", "trong@x.vn"]);
    let name = "Toàn thể Sở Khoa học và Công nghệ";
    group(&api, "ngoai", json!({"address": "ngoai@x.vn", "displayName": name, "members": members})).await;
    let (message, status) = said(&api, "ngoai", "NoMembers").await;
    assert!(message.contains("a@x.vn, trong@x.vn"), "{message}");
    assert_eq!(status.not_reached, ["a@x.vn", "trong@x.vn"]);

    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "aliases": ["a@x.vn"]})).await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    group(&api, "trong", json!({"address": "trong@x.vn", "members": ["an@x.vn", "binh@x.vn"]})).await;
    said(&api, "trong", "Served").await;
    let (_, status) = said(&api, "ngoai", "Served").await;
    assert_eq!((status.reaches, status.address.as_deref()), (2, Some("ngoai@x.vn")));
    eventually(async || reached(&replica, "ngoai@x.vn"), |all| *all == ["an@x.vn", "binh@x.vn"]).await;
    assert!(replica.find("ngoai@x.vn").is_none() && reached(&replica, "nobody@x.vn").is_empty());
    let table = api.run("kubectl", &["-n", &api.namespace, "get", "mailgroups"]);
    assert!(table.lines().any(|line| line.starts_with("ngoai ") && line.contains("Served")), "{table}");

    // A restart writes nothing.
    operator.stop().await;
    let version = |name| any(&api, "mailgroup", name)["metadata"]["resourceVersion"].clone();
    let before = (version("ngoai"), version("trong"), replica.issued());
    let operator = Running::start(&api, "two").await;
    put(&api, "Mailbox", "stray", json!({"address": "an@nowhere.vn"})).await;
    reason(&api, "stray", "DomainNotFound").await;
    assert_eq!((version("ngoai"), version("trong"), replica.issued()), before);

    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn", "state": "Retired"})).await;
    let (message, status) = said(&api, "trong", "MemberClosed").await;
    assert!(message.contains("binh@x.vn") && status.reaches == 1, "{message}");
    let outer = async || groups(&api).get("ngoai").await.unwrap().status.unwrap_or_default();
    let status = eventually(outer, |status| status.reaches == 1).await;
    assert!(
        conditions::is_true(&status.conditions, "Ready"),
        "what is wrong inside is told there: {status:?}"
    );
    eventually(async || reached(&replica, "ngoai@x.vn"), |all| *all == ["an@x.vn"]).await;

    let to_inner = json!({"address": "trong@x.vn", "members": ["an@x.vn", "ngoai@x.vn"]});
    group(&api, "trong", to_inner).await;
    for name in ["trong", "ngoai"] {
        let (message, _) = said(&api, name, "Loop").await;
        assert!(message.contains("/trong") && message.contains("/ngoai"), "{message}");
    }
    eventually(async || reached(&replica, "trong@x.vn"), |all| *all == ["an@x.vn"]).await;
    let events = || {
        let path = "jsonpath={range .items[*]}{.regarding.kind}/{.reason} {end}";
        api.run("kubectl", &["-n", &api.namespace, "get", "events.events.k8s.io", "-o", path])
    };
    eventually(async || events(), |events| events.contains("MailGroup/Loop")).await;

    groups(&api).delete("trong", &DeleteParams::default()).await.unwrap();
    eventually(async || replica.group("trong@x.vn").is_none(), |gone| *gone).await;
    said(&api, "ngoai", "MemberUnknown").await;
    let retired: Api<RetiredMailbox> = Api::namespaced(api.client.clone(), &api.namespace);
    assert!(retired.list(&ListParams::default()).await.unwrap().items.is_empty());
    operator.stop().await;
}

#[tokio::test]
async fn an_address_is_one_mailboxs_or_one_groups_and_retired_mail_keeps_it() {
    let api = harness::api("groups").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.32.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    group(&api, "nhom", json!({"address": "nhom@x.vn", "members": ["an@x.vn"], "posting": "Members"})).await;
    said(&api, "nhom", "Served").await;
    assert_eq!(replica.group("nhom@x.vn").unwrap().posting, mail_operator::api::Posting::Members);
    put(&api, "Mailbox", "late", json!({"address": "nhom@x.vn"})).await;
    let message = reason(&api, "late", "AddressConflict").await;
    assert!(message.contains(&format!("MailGroup {}/nhom", api.namespace)), "{message}");
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "aliases": ["nhom@x.vn"]})).await;
    let message = reason(&api, "an", "AliasConflict").await;
    assert!(message.contains("MailGroup"), "{message}");
    put(&api, "Mailbox", "an", json!({"address": "nhom@x.vn"})).await;
    let message = reason(&api, "an", "RenameRefused").await;
    assert!(message.contains("MailGroup"), "{message}");
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    group(&api, "late", json!({"address": "an@x.vn", "members": ["nhom@x.vn"]})).await;
    let (message, _) = said(&api, "late", "AddressConflict").await;
    assert!(message.contains(&format!("Mailbox {}/an", api.namespace)), "{message}");

    // The mailbox goes, its mail does not: the group that waits for the address is not served.
    mailboxes(&api).delete("an", &DeleteParams::default()).await.unwrap();
    let (message, _) = said(&api, "late", "AddressRetired").await;
    assert!(message.contains("RetiredMailbox") && message.contains("purge"), "{message}");
    assert!(replica.group("an@x.vn").is_none());
    // A group keeps nothing: who waits for its address has it.
    groups(&api).delete("nhom", &DeleteParams::default()).await.unwrap();
    reason(&api, "late", "Served").await;
    eventually(async || replica.find("nhom@x.vn").is_some(), |there| *there).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_served_as_it_was_also_after_a_restart() {
    let api = harness::api("groups").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.33.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    let spec = json!({"address": "nhom@x.vn", "members": ["an@x.vn"], "posting": "Listed", "senders": ["@bo.gov.vn"]});
    group(&api, "nhom", spec).await;
    said(&api, "nhom", "Served").await;
    let before = replica.group("nhom@x.vn").unwrap();
    rewrite(&api, "mailgroups", "nhom", |object| object["spec"]["posting"] = json!("Weekdays")).await;
    let ready = || any(&api, "mailgroup", "nhom")["status"]["conditions"][0].clone();
    let said_so = eventually(async || ready(), |ready| ready["reason"] == "Unreadable").await;
    let message = said_so["message"].as_str().unwrap();
    assert!(message.contains("spec.posting") && message.contains("served as it was"), "{message}");
    assert_eq!(replica.group("nhom@x.vn").unwrap(), before);

    operator.stop().await;
    let operator = Running::start(&api, "two").await;
    put(&api, "Mailbox", "late", json!({"address": "nhom@x.vn"})).await;
    let message = reason(&api, "late", "AddressConflict").await;
    assert!(message.contains("MailGroup"), "{message}");
    assert_eq!(replica.group("nhom@x.vn").unwrap(), before);
    rewrite(&api, "mailgroups", "nhom", |object| object["spec"]["posting"] = json!("Anyone")).await;
    said(&api, "nhom", "Served").await;
    let anyone = async || replica.group("nhom@x.vn").map(|group| group.posting);
    eventually(anyone, |posting| *posting == Some(mail_operator::api::Posting::Anyone)).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_group_has_aliases_and_mailboxes_forward_to_it() {
    let api = harness::api("groups").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.34.1").await;
    let spec = |forward: &str| json!({"address": "an@x.vn", "forward": {"to": forward, "keepCopy": false}});
    put(&api, "Mailbox", "an", spec("cu@x.vn")).await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    let message = reason(&api, "an", "ForwardNotFound").await;
    assert!(message.contains("no mailbox or group of the address cu@x.vn"), "{message}");
    let nhom = |members: Value, aliases: Value| json!({"address": "nhom@x.vn", "members": members, "aliases": aliases});
    group(&api, "nhom", nhom(json!(["binh@x.vn"]), json!(["cu@x.vn", "n@x.vn"]))).await;
    said(&api, "nhom", "Served").await;
    reason(&api, "an", "Served").await;
    let forwarded = async || replica.find("an@x.vn").and_then(|it| it.entry.forward.clone());
    let forward = eventually(forwarded, Option::is_some).await.unwrap();
    assert_eq!((forward.to.as_str(), forward.copy), ("nhom@x.vn", false));
    assert_eq!(reached(&replica, "n@x.vn"), ["binh@x.vn"]);
    assert!(replica.find("n@x.vn").is_none());

    // It is a member itself: its mail stays. So does what would leave the system.
    group(&api, "nhom", nhom(json!(["an@x.vn", "binh@x.vn"]), json!(["cu@x.vn"]))).await;
    let message = reason(&api, "an", "ForwardLoop").await;
    assert!(message.contains("by way of the group nhom@x.vn"), "{message}");
    eventually(forwarded, Option::is_none).await;
    let mut outside = nhom(json!(["binh@x.vn", "dan@example.com"]), json!(["cu@x.vn"]));
    outside["externalMembers"] = json!("Allow");
    group(&api, "nhom", outside).await;
    reason(&api, "an", "ForwardOutside").await;

    // An alias that was given up is free; one that somebody has is not.
    put(&api, "Mailbox", "chi", json!({"address": "n@x.vn"})).await;
    reason(&api, "chi", "Served").await;
    group(&api, "nhom", nhom(json!(["binh@x.vn"]), json!(["cu@x.vn", "n@x.vn"]))).await;
    let (message, status) = said(&api, "nhom", "AliasConflict").await;
    assert!(message.contains(&format!("Mailbox {}/chi has it", api.namespace)), "{message}");
    assert_eq!((status.reaches, status.address.as_deref()), (1, Some("nhom@x.vn")));
    reason(&api, "an", "Served").await;
    operator.stop().await;
}

//! Mailboxes and domains: from an applied object to what an agent answers, and what status says meanwhile.

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use mail_operator::{
    api::{MailDomain, MailDomainStatus, Mailbox},
    conditions,
};
use serde_json::{Value, json};

use crate::{
    agent::{self, lets_in},
    harness::{self, TestApi},
    operator::{Running, apply, eventually},
};

pub async fn put(api: &TestApi, kind: &str, name: &str, spec: Value) {
    let body = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let params = PatchParams::apply("user").force();
    match kind {
        "Mailbox" => drop(mailboxes(api).patch(name, &params, &Patch::Apply(body)).await.unwrap()),
        _ => drop(domains(api).patch(name, &params, &Patch::Apply(body)).await.unwrap()),
    }
}

pub async fn secret(api: &TestApi, name: &str, data: Value) {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    secrets(api).patch(name, &PatchParams::apply("user").force(), &Patch::Apply(body)).await.unwrap();
}

pub fn mailboxes(api: &TestApi) -> Api<Mailbox> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

fn domains(api: &TestApi) -> Api<MailDomain> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

fn secrets(api: &TestApi) -> Api<Secret> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

/// Waits until `Ready` of the Mailbox has this reason; gives its message.
pub async fn reason(api: &TestApi, name: &str, reason: &str) -> String {
    let ready = eventually(
        async || {
            let status = mailboxes(api).get(name).await.unwrap().status.unwrap_or_default();
            conditions::get(&status.conditions, "Ready").cloned()
        },
        |ready| ready.as_ref().is_some_and(|ready| ready.reason == reason),
    );
    ready.await.unwrap().message
}

pub async fn served(api: &TestApi) {
    apply(api, json!({"hostname": "mail.x.vn"})).await;
    put(api, "MailDomain", "x", json!({"domain": "x.vn", "system": {"name": "demo"}})).await;
}

fn versions(api: &TestApi) -> String {
    let kinds = "mailboxes,maildomains,secrets,roles,rolebindings";
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    api.run("kubectl", &["-n", &api.namespace, "get", kinds, "-o", path])
}

#[tokio::test]
async fn a_mailbox_converges_when_its_system_appears_and_a_restart_writes_nothing() {
    let api = harness::api("mailbox").await;
    let operator = Running::start(&api, "one").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn", "aliases": ["a@x.vn"]})).await;
    reason(&api, "an", "DomainNotFound").await;
    put(&api, "MailDomain", "x", json!({"domain": "x.vn", "system": {"name": "demo"}, "dnsCheck": false}))
        .await;
    reason(&api, "an", "SystemNotFound").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let replica = agent::start(&api, "127.9.1.1").await;
    reason(&api, "an", "Served").await;

    let generated = secrets(&api).get("an-credentials").await.unwrap();
    let password = String::from_utf8(generated.data.unwrap()["password"].0.clone()).unwrap();
    assert!(lets_in(&replica, "an@x.vn", &password) && replica.has_domain("x.vn"));
    assert_eq!(replica.find("a@x.vn").unwrap().address, "an@x.vn");

    let domain = async || domains(&api).get("x").await.unwrap().status.unwrap_or_default();
    let settled = |status: &MailDomainStatus| {
        ["Ready", "DkimKeyAvailable"].iter().all(|type_| conditions::is_true(&status.conditions, type_))
    };
    let counted = |status: &MailDomainStatus| status.dns_records.len() == 7 && status.mailboxes == 1;
    eventually(domain, |status| settled(status) && counted(status)).await;
    let map = secrets(&api).get("demo-dkim").await.unwrap().data.unwrap();
    assert_eq!(map["selectors.map"].0, b"x.vn mail\n");

    // A second domain adds its key and leaves the first one as it is.
    put(&api, "MailDomain", "z", json!({"domain": "z.vn", "system": {"name": "demo"}, "dnsCheck": false}))
        .await;
    let other = async || domains(&api).get("z").await.unwrap().status.unwrap_or_default();
    eventually(other, settled).await;
    let both = secrets(&api).get("demo-dkim").await.unwrap().data.unwrap();
    assert_eq!(both["selectors.map"].0, b"x.vn mail\nz.vn mail\n");
    assert_eq!(both["x.vn.mail.key"], map["x.vn.mail.key"]);

    operator.stop().await;
    let before = versions(&api);
    let operator = Running::start(&api, "two").await;
    let looked = async || operator.metrics().await;
    let metrics = eventually(looked, |text| text.contains("mail_directory_latency_seconds_count 1"));
    let writes = metrics.await;
    assert!(!writes.contains("mail_directory_writes_total{"), "{writes}");
    // A new object shows that everything before it was looked at.
    put(&api, "Mailbox", "stray", json!({"address": "an@nowhere.vn"})).await;
    reason(&api, "stray", "DomainNotFound").await;
    let after: Vec<_> =
        versions(&api).lines().filter(|line| !line.contains("/stray ")).map(str::to_owned).collect();
    assert_eq!(after, before.lines().collect::<Vec<_>>());

    secrets(&api).delete("demo-directory", &DeleteParams::default()).await.unwrap();
    eventually(async || secrets(&api).get_opt("demo-directory").await.unwrap().is_some(), |back| *back).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_changed_password_counts_at_once_and_a_bad_secret_is_told_apart() {
    let api = harness::api("mailbox").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.2.1").await;
    let spec = json!({"address": "an@x.vn", "passwordSecret": {"name": "pass"}});
    put(&api, "Mailbox", "an", spec).await;
    reason(&api, "an", "SecretNotFound").await;
    eventually(async || replica.find("an@x.vn").is_some(), |receives| *receives).await;
    secret(&api, "pass", json!({"pin": "x"})).await;
    reason(&api, "an", "SecretKeyMissing").await;
    secret(&api, "pass", json!({"password": ""})).await;
    reason(&api, "an", "PasswordEmpty").await;
    secret(&api, "pass", json!({"password": "first"})).await;
    reason(&api, "an", "Served").await;
    assert!(lets_in(&replica, "an@x.vn", "first"));
    let issued = replica.issued();
    let touch = json!({"metadata": {"labels": {"touched": "yes"}}});
    secrets(&api).patch("pass", &PatchParams::default(), &Patch::Merge(touch)).await.unwrap();
    // What comes after it shows that the touched Secret was looked at.
    put(&api, "Mailbox", "stray", json!({"address": "an@nowhere.vn"})).await;
    reason(&api, "stray", "DomainNotFound").await;
    assert_eq!(replica.issued(), issued, "a label is no password");
    secret(&api, "pass", json!({"password": "second"})).await;
    let started = Instant::now();
    eventually(async || lets_in(&replica, "an@x.vn", "second"), |in_| *in_).await;
    println!("changed Secret to changed answer: {:?}", started.elapsed());
    assert!(!lets_in(&replica, "an@x.vn", "first"));
    secrets(&api).delete("pass", &DeleteParams::default()).await.unwrap();
    reason(&api, "an", "SecretNotFound").await;
    operator.stop().await;
    // Nobody is locked out by what became of the Secret, also over a restart; the condition says so.
    let operator = Running::start(&api, "two").await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    reason(&api, "binh", "Served").await;
    let message = reason(&api, "an", "SecretNotFound").await;
    assert!(message.contains("keeps working") && message.contains("Create it"), "{message}");
    assert!(lets_in(&replica, "an@x.vn", "second"));
    for (data, word) in
        [(json!({"pin": "x"}), "SecretKeyMissing"), (json!({"password": ""}), "PasswordEmpty")]
    {
        secret(&api, "pass", data).await;
        reason(&api, "an", word).await;
        assert!(lets_in(&replica, "an@x.vn", "second"));
    }
    secret(&api, "pass", json!({"password": "third"})).await;
    reason(&api, "an", "Served").await;
    assert!(lets_in(&replica, "an@x.vn", "third") && !lets_in(&replica, "an@x.vn", "second"));
    operator.stop().await;
}

#[tokio::test]
async fn conflicts_name_the_winner_and_the_loser_does_not_get_its_mail_when_it_goes() {
    let api = harness::api("mailbox").await;
    let operator = Running::start(&api, "one").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.3.1").await;
    secret(&api, "c-credentials", json!({"password": "mine"})).await;
    put(&api, "Mailbox", "a", json!({"address": "an@x.vn"})).await;
    reason(&api, "a", "Served").await;
    put(&api, "Mailbox", "b", json!({"address": "an@x.vn"})).await;
    put(&api, "Mailbox", "c", json!({"address": "c@x.vn", "aliases": ["an@x.vn", "c@other.vn"]})).await;
    let message = reason(&api, "b", "AddressConflict").await;
    assert!(message.contains(&format!("{}/a", api.namespace)), "{message}");
    reason(&api, "c", "SecretConflict").await;
    secrets(&api).delete("c-credentials", &DeleteParams::default()).await.unwrap();
    let message = reason(&api, "c", "AliasConflict").await;
    assert!(message.contains("an@x.vn") && message.contains("c@other.vn"), "{message}");
    eventually(async || replica.find("c@x.vn").is_some(), |receives| *receives).await;
    mailboxes(&api).delete("a", &DeleteParams::default()).await.unwrap();
    // The address is free again, the mail is not.
    reason(&api, "b", "AddressRetired").await;

    put(&api, "MailDomain", "y", json!({"domain": "x.vn", "system": {"name": "demo"}})).await;
    let younger = async || domains(&api).get("y").await.unwrap().status.unwrap_or_default();
    eventually(younger, |status| {
        conditions::get(&status.conditions, "Ready").is_some_and(|ready| ready.reason == "DomainConflict")
    })
    .await;
    operator.stop().await;
}

#[tokio::test]
async fn many_mailboxes_cost_two_writes_each() {
    const MANY: usize = 300;
    let api = harness::api("mailbox").await;
    served(&api).await;
    let replica = agent::start(&api, "127.9.4.1").await;
    let operator = Running::start(&api, "one").await;
    let items: Vec<_> = (0..MANY)
        .map(|n| json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "Mailbox",
            "metadata": {"name": format!("u{n}"), "namespace": api.namespace}, "spec": {"address": format!("u{n}@x.vn")}}))
        .collect();
    let started = Instant::now();
    for item in items {
        let mailbox = serde_json::from_value(item).unwrap();
        mailboxes(&api).create(&kube::api::PostParams::default(), &mailbox).await.unwrap();
    }
    let created = started.elapsed();
    let ready = async || {
        let listed = mailboxes(&api).list(&kube::api::ListParams::default()).await.unwrap();
        let served = |mailbox: &&Mailbox| {
            mailbox.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, "Ready"))
        };
        listed.items.iter().filter(served).map(ResourceExt::name_any).count()
    };
    eventually(ready, |count| *count == MANY).await;
    println!("{MANY} created in {created:?}, all served after {:?}", started.elapsed());
    assert_eq!(replica.mailboxes_of_store(0).len(), MANY);
    let metrics = operator.metrics().await;
    let wrote = |kind: &str| {
        let line = format!("mail_directory_writes_total{{kind=\"{kind}\",result=\"ok\"}} ");
        metrics.lines().find_map(|text| text.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    };
    // One status for each mailbox, and a few for the domain.
    assert!((MANY..MANY + 10).contains(&wrote("status")), "{metrics}");
    println!("{} directory writes", wrote("directory"));
    operator.stop().await;
}

//! Directory services of a MailSystem: from the object and its Secrets to what the agents hold, and to the condition.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use mail_operator::{
    agent::directory::Replica,
    directory::{Ldap, Naming},
};
use serde_json::json;

use crate::{
    agent, harness,
    mailbox::{put, reason, secret},
    operator::{Running, apply, condition, eventually},
};

/// The searcher's password, as the agents know it.
fn password(ldap: &Ldap) -> Option<&str> {
    match &ldap.naming {
        Naming::Search { by, .. } => by.as_ref()?.password.as_deref(),
        Naming::Direct(_) => None,
    }
}

/// Waits until the agents know this password.
async fn known(replica: &Replica, wanted: Option<&str>) -> std::sync::Arc<Ldap> {
    let right = |ldap: &Option<std::sync::Arc<Ldap>>| ldap.as_ref().is_some_and(|it| password(it) == wanted);
    eventually(async || replica.ldap_of("an@x.vn"), right).await.unwrap()
}

#[tokio::test]
async fn a_directory_service_reaches_the_agents_with_its_secrets_and_the_last_known_stay() {
    let api = harness::api("ldap").await;
    let operator = Running::start(&api, "one").await;
    let service = json!({
        "name": "province", "domains": ["x.vn"], "urls": ["ldaps://dc1.x.vn"], "caSecret": "dc-ca",
        "bind": {"dn": "cn=mail", "passwordSecret": {"name": "dc-mail"}}, "search": {"baseDN": "dc=vn"},
    });
    apply(&api, json!({"hostname": "mail.x.vn", "authentication": {"ldap": [service]}})).await;
    put(&api, "MailDomain", "x", json!({"domain": "x.vn", "system": {"name": "demo"}, "dnsCheck": false}))
        .await;
    let replica = agent::start(&api, "127.9.28.1").await;
    put(&api, "Mailbox", "an", json!({"address": "an@x.vn"})).await;
    reason(&api, "an", "Served").await;
    secret(&api, "own", json!({"password": "given"})).await;
    put(&api, "Mailbox", "own", json!({"address": "own@x.vn", "passwordSecret": {"name": "own"}})).await;
    reason(&api, "own", "Served").await;
    assert!(replica.find("own@x.vn").unwrap().entry.own_password);
    assert!(!replica.find("an@x.vn").unwrap().entry.own_password);
    known(&replica, None).await;
    let (told, _) = condition(&api, "DirectoryServiceHealthy", "BindSecretMissing").await;
    assert!(told.message.contains("province: Secret dc-mail has no key password"), "{}", told.message);

    secret(&api, "dc-mail", json!({"password": "geheim"})).await;
    let first = known(&replica, Some("geheim")).await;
    assert_eq!(first.ca.as_deref(), Some(""), "none is trusted before it is known");
    secret(&api, "dc-ca", json!({"ca.crt": "PEM"})).await;
    eventually(async || replica.ldap_of("an@x.vn").unwrap().ca.clone(), |ca| ca.as_deref() == Some("PEM"))
        .await;
    condition(&api, "DirectoryServiceHealthy", "Reachable").await;

    // A changed one counts at once; one that is gone is told, and what was known stays, over a restart as well.
    let began = std::time::Instant::now();
    secret(&api, "dc-mail", json!({"password": "neu"})).await;
    known(&replica, Some("neu")).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    let secrets: Api<Secret> = Api::namespaced(api.client.clone(), &api.namespace);
    secrets.delete("dc-mail", &DeleteParams::default()).await.unwrap();
    condition(&api, "DirectoryServiceHealthy", "BindSecretMissing").await;
    operator.stop().await;
    let operator = Running::start(&api, "two").await;
    put(&api, "Mailbox", "binh", json!({"address": "binh@x.vn"})).await;
    reason(&api, "binh", "Served").await;
    known(&replica, Some("neu")).await;
    operator.stop().await;
}

//! Namespaces of other bodies: which may use the system, and what they can claim.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use mail_operator::{
    api::{MailDomain, MailSystem},
    conditions,
};
use serde_json::{Value, json};

use crate::world::{DOMAIN, World, eventually, parse, run, unique};

#[test]
fn a_namespace_uses_the_system_only_when_that_lists_it_and_takes_no_domain_from_others() {
    run(async |world| {
        let tenant = unique("e2e-tenant-");
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let object = json!({"metadata": {"name": tenant, "labels": {"mail-operator-e2e": ""}}});
        namespaces.create(&PostParams::default(), &parse(object)).await.unwrap();
        let own = format!("{}.example.vn", unique("tenant"));
        put(world, &tenant, "own", &own).await;
        put(world, &tenant, "stolen", DOMAIN).await;
        for name in ["own", "stolen"] {
            ready(world, &tenant, name, "SystemNotAllowed").await;
        }
        list(world, &json!([tenant])).await;
        ready(world, &tenant, "own", "Served").await;
        let message = ready(world, &tenant, "stolen", "DomainConflict").await;
        assert!(message.contains(&format!("{}/angiang", world.namespace)), "{message}");
        list(world, &json!([])).await;
        ready(world, &tenant, "own", "SystemNotAllowed").await;
        namespaces.delete(&tenant, &DeleteParams::default()).await.unwrap();
    });
}

async fn list(world: &World, tenants: &Value) {
    let patch = Patch::Merge(json!({"spec": {"tenantNamespaces": tenants}}));
    world.api::<MailSystem>().patch("mail", &PatchParams::default(), &patch).await.unwrap();
}

async fn put(world: &World, namespace: &str, name: &str, domain: &str) {
    let system = json!({"name": "mail", "namespace": world.namespace});
    let object = json!({"metadata": {"name": name}, "spec": {"system": system, "domain": domain, "organisation": "Hội Nông dân"}});
    let domains: Api<MailDomain> = Api::namespaced(world.client.clone(), namespace);
    domains.create(&PostParams::default(), &parse(object)).await.unwrap();
}

/// Waits until `Ready` of the MailDomain has this reason; gives its message.
async fn ready(world: &World, namespace: &str, name: &str, reason: &str) -> String {
    let domains: Api<MailDomain> = Api::namespaced(world.client.clone(), namespace);
    eventually(Duration::from_mins(2), &format!("{namespace}/{name} is {reason}"), async || {
        let status = domains.get(name).await.map_err(|e| e.to_string())?.status.unwrap_or_default();
        conditions::get(&status.conditions, "Ready")
            .filter(|found| found.reason == reason)
            .map(|found| found.message.clone())
            .ok_or_else(|| format!("{:?}", status.conditions))
    })
    .await
}

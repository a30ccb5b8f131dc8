//! DKIM keys: from a MailDomain to the files of the agents beside Rspamd, and what status says meanwhile.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use mail_operator::{api::MailDomain, conditions};
use serde_json::json;

use crate::{
    agent,
    harness::{self, TestApi},
    operator::{Running, apply, eventually},
};

fn domains(api: &TestApi) -> Api<MailDomain> {
    Api::namespaced(api.client.clone(), &api.namespace)
}

/// Status of the condition `DkimKeyAvailable` of the MailDomain, and its reason.
async fn signing(api: &TestApi, name: &str) -> (String, String) {
    let status = domains(api).get(name).await.unwrap().status.unwrap_or_default();
    let found = conditions::get(&status.conditions, "DkimKeyAvailable").cloned();
    found.map_or_else(Default::default, |found| (found.status, found.reason))
}

async fn domain(api: &TestApi, name: &str, selector: &str) {
    let spec =
        json!({"domain": format!("{name}.vn"), "system": {"name": "demo"}, "dkim": {"selector": selector}});
    let object = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailDomain",
        "metadata": {"name": name}, "spec": spec});
    domains(api).patch(name, &PatchParams::apply("user").force(), &Patch::Apply(object)).await.unwrap();
}

#[tokio::test]
async fn a_key_counts_as_available_when_every_anti_spam_pod_has_it() {
    let api = harness::api("signing").await;
    let operator = Running::start(&api, "one").await;
    apply(&api, json!({"hostname": "mail.x.vn"})).await;
    let _replica = agent::start_without_antispam(&api, "127.9.6.1").await;
    domain(&api, "x", "mail").await;
    let said = eventually(async || signing(&api, "x").await, |said| said.1 == "AwaitingAgents").await;
    assert_eq!(said.0, "Unknown", "no anti-spam pod has it");

    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    agent::antispam(&api, "127.9.6.2", first.path()).await;
    eventually(async || signing(&api, "x").await, |said| said.0 == "True").await;
    let selector = |folder: &tempfile::TempDir, domain: &str| {
        std::fs::read_to_string(folder.path().join(format!("{domain}.vn.selector"))).unwrap_or_default()
    };
    assert_eq!(selector(&first, "x"), "mail");

    // With a second pod: a new domain, and a new selector of the first.
    agent::antispam(&api, "127.9.6.3", second.path()).await;
    domain(&api, "y", "mail").await;
    eventually(async || signing(&api, "y").await, |said| said.0 == "True").await;
    for folder in [&first, &second] {
        assert_eq!((selector(folder, "x"), selector(folder, "y")), ("mail".into(), "mail".into()));
        assert!(folder.path().join("y.vn.mail.key").exists());
    }
    operator.stop().await;
}

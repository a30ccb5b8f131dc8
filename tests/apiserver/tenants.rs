//! What an organisation's staff may do with the chart's role for them, tried as one of them.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use mail_operator::api::{MailDomain, MailGroup, MailSystem, Mailbox};
use serde_json::{Value, json};

use crate::{
    harness::{self, TestApi},
    rbac::install,
};

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> K {
    let object = json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn forbidden<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Api(status) if status.code == 403), "{error}");
}

/// A client with the rights that the chart's role `role` gives in the test's own namespace.
fn member(api: &TestApi, role: &str) -> Client {
    let role = format!("--clusterrole={}-mail-operator-{role}", api.namespace);
    let subject = format!("--serviceaccount={}:{}", api.namespace, "staff");
    api.run("kubectl", &["-n", &api.namespace, "create", "rolebinding", "staff", &role, &subject]);
    api.as_service_account(&api.namespace, "staff")
}

#[tokio::test]
async fn an_organisations_staff_manage_their_mailboxes_and_groups_and_nothing_else() {
    let api = harness::api("tenant").await;
    install(&api, &[]);
    let (own, other) = (api.namespace.clone(), api.another_namespace("other").await);
    let (create, patch) = (PostParams::default(), PatchParams::default());
    let domain = json!({"domain": "x.vn", "system": {"name": "demo"}});
    let domains: Api<MailDomain> = Api::namespaced(api.client.clone(), &own);
    domains.create(&create, &object("MailDomain", "x", &domain)).await.unwrap();

    let staff = member(&api, "tenant");
    let mailboxes: Api<Mailbox> = Api::namespaced(staff.clone(), &own);
    mailboxes.create(&create, &object("Mailbox", "an", &json!({"address": "an@x.vn"}))).await.unwrap();
    let suspend = Patch::Merge(json!({"spec": {"state": "Suspended"}}));
    mailboxes.patch("an", &patch, &suspend).await.unwrap();
    assert_eq!(mailboxes.list(&ListParams::default()).await.unwrap().items.len(), 1);
    forbidden(mailboxes.patch_status("an", &patch, &Patch::Merge(json!({"status": {"shard": 1}}))).await);
    mailboxes.delete("an", &DeleteParams::default()).await.unwrap();

    let groups: Api<MailGroup> = Api::namespaced(staff.clone(), &own);
    let group = json!({"address": "nhom@x.vn", "members": ["an@x.vn"]});
    groups.create(&create, &object("MailGroup", "nhom", &group)).await.unwrap();
    groups.patch("nhom", &patch, &Patch::Merge(json!({"spec": {"posting": "Members"}}))).await.unwrap();
    forbidden(groups.patch_status("nhom", &patch, &Patch::Merge(json!({"status": {"reaches": 1}}))).await);
    groups.delete("nhom", &DeleteParams::default()).await.unwrap();

    let domains: Api<MailDomain> = Api::namespaced(staff.clone(), &own);
    domains.get("x").await.unwrap();
    forbidden(domains.create(&create, &object("MailDomain", "y", &domain)).await);
    forbidden(domains.patch("x", &patch, &Patch::Merge(json!({"spec": {"dnsCheck": false}}))).await);
    forbidden(domains.delete("x", &DeleteParams::default()).await);
    forbidden(Api::<MailSystem>::namespaced(staff.clone(), &own).list(&ListParams::default()).await);
    forbidden(Api::<Secret>::namespaced(staff.clone(), &own).list(&ListParams::default()).await);
    forbidden(Api::<Secret>::namespaced(staff.clone(), &own).get("an-credentials").await);

    let elsewhere: Api<Mailbox> = Api::namespaced(staff, &other);
    forbidden(elsewhere.list(&ListParams::default()).await);
    forbidden(elsewhere.create(&create, &object("Mailbox", "an", &json!({"address": "an@x.vn"}))).await);
}

#[tokio::test]
async fn whoever_may_view_a_namespace_sees_its_mail_objects_and_changes_none() {
    let api = harness::api("viewer").await;
    install(&api, &[]);
    let viewer = member(&api, "mail-view");
    let mailboxes: Api<Mailbox> = Api::namespaced(viewer.clone(), &api.namespace);
    mailboxes.list(&ListParams::default()).await.unwrap();
    Api::<MailDomain>::namespaced(viewer, &api.namespace).list(&ListParams::default()).await.unwrap();
    forbidden(
        mailboxes
            .create(&PostParams::default(), &object("Mailbox", "an", &json!({"address": "an@x.vn"})))
            .await,
    );
    forbidden(mailboxes.delete("an", &DeleteParams::default()).await);
}

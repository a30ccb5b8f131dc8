//! What the API server refuses, with which words, what it fills in and what cannot be changed: a row for every rule
//! of `src/api`. The API server's own answer counts, so that a rule which it reads differently is found.

use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use mail_operator::api::{MailBackup, MailDomain, MailGroup, MailRestore, MailSnapshot, MailSystem, Mailbox};
use serde_json::{Value, json};

use crate::harness;

mod backup;
mod changes;
mod group;
mod mailbox;
mod system;

/// `None`: accepted. Otherwise what the refusal says.
type Row = (Value, Option<&'static str>);

fn system() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailSystem", "metadata": {"name": "mail"},
           "spec": {"hostname": "mail.angiang.gov.vn"}})
}

fn domain() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailDomain", "metadata": {"name": "angiang"},
           "spec": {"system": {"name": "mail"}, "domain": "angiang.gov.vn"}})
}

fn mailbox() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "Mailbox", "metadata": {"name": "an"},
           "spec": {"address": "an.nguyen@angiang.gov.vn"}})
}

fn group() -> Value {
    json!({"apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "MailGroup", "metadata": {"name": "nhom"},
           "spec": {"address": "nhom@angiang.gov.vn", "members": ["an.nguyen@angiang.gov.vn"]}})
}

/// A row whose spec has these fields besides the base's.
fn spec(fields: &Value, refusal: Option<&'static str>) -> Row {
    (json!({"spec": fields}), refusal)
}

fn merge(base: &mut Value, with: &Value) {
    match (base, with) {
        (Value::Object(base), Value::Object(with)) => {
            for (key, value) in with {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, with) => *base = with.clone(),
    }
}

fn objects(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let resource = match kind {
        "MailSystem" => ApiResource::erase::<MailSystem>(&()),
        "MailDomain" => ApiResource::erase::<MailDomain>(&()),
        "MailGroup" => ApiResource::erase::<MailGroup>(&()),
        "MailBackup" => ApiResource::erase::<MailBackup>(&()),
        "MailSnapshot" => ApiResource::erase::<MailSnapshot>(&()),
        "MailRestore" => ApiResource::erase::<MailRestore>(&()),
        _ => ApiResource::erase::<Mailbox>(&()),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

fn refusal(result: Result<DynamicObject, Error>) -> Option<String> {
    match result {
        Ok(_) => None,
        Err(Error::Api(status)) if status.code == 422 => Some(status.message),
        Err(other) => panic!("not an answer about the object: {other}"),
    }
}

async fn check(base: Value, rows: Vec<Row>) {
    let api = harness::api("cel").await;
    let objects = objects(&api.client, &api.namespace, base["kind"].as_str().unwrap());
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut wrong = Vec::new();
    for (fields, expected) in rows {
        let mut object = base.clone();
        merge(&mut object, &fields);
        let said = refusal(objects.create(&dry_run, &serde_json::from_value(object).unwrap()).await);
        let right = match (&said, expected) {
            (None, None) => true,
            (Some(said), Some(expected)) => said.contains(expected),
            _ => false,
        };
        if !right {
            wrong.push(format!("{fields}\n  expected {expected:?}\n  said     {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Changes `changes`' fields of a stored object one after the other, starting from `base` each time.
async fn check_changes(base: Value, rows: Vec<Row>) {
    let api = harness::api("change").await;
    let objects = objects(&api.client, &api.namespace, base["kind"].as_str().unwrap());
    let name = base["metadata"]["name"].as_str().unwrap().to_owned();
    objects.create(&PostParams::default(), &serde_json::from_value(base).unwrap()).await.unwrap();
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    for (fields, expected) in rows {
        let said = refusal(objects.patch(&name, &dry_run, &Patch::Merge(&fields)).await);
        match expected {
            None => assert_eq!(said, None, "{fields}"),
            Some(expected) => {
                assert!(said.as_deref().is_some_and(|said| said.contains(expected)), "{fields}: {said:?}");
            }
        }
    }
}

async fn stored(object: Value) -> Value {
    let api = harness::api("defaults").await;
    let objects = objects(&api.client, &api.namespace, object["kind"].as_str().unwrap());
    let created =
        objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    created.data["spec"].clone()
}

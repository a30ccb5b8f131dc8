//! Writes the status of a MailSystem, when it differs from what is there, and tells changed conditions as events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use super::events::Events;
use crate::{
    api::{MailSystem, MailSystemStatus},
    names,
};

/// Writes `status` unless `system` has it already.
///
/// # Errors
/// The API server's.
pub async fn write(
    client: &Client,
    events: &Events,
    system: &MailSystem,
    status: MailSystemStatus,
) -> Result<(), Error> {
    if system.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let old = system.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let new = status.conditions.clone();
    match patch(client, &system.namespace().unwrap_or_default(), &system.name_any(), json!(status)).await {
        // It was deleted meanwhile: there is nobody left to tell.
        Err(Error::Api(status)) if status.code == 404 => return Ok(()),
        other => other?,
    }
    events.tell(&system.object_ref(&()), &old, &new).await;
    Ok(())
}

/// The conditions of an object that does not fit its type.
///
/// # Errors
/// The API server's.
pub async fn conditions_of<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Vec<Condition>>, Error> {
    let Some(object) = dynamic::<K>(client, namespace).get_opt(name).await? else { return Ok(None) };
    let conditions = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
    Ok(Some(serde_json::from_value(conditions).unwrap_or_default()))
}

/// Writes the conditions of an object that does not fit its type. The rest of its status goes: it may be what does not
/// fit.
///
/// # Errors
/// The API server's.
pub async fn write_conditions<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    name: &str,
    (generation, conditions): (Option<i64>, &[Condition]),
) -> Result<(), Error> {
    let api = dynamic::<K>(client, namespace);
    let Some(object) = api.get_opt(name).await? else { return Ok(()) };
    let old = object.data.get("status").and_then(Value::as_object);
    let mut status: Map<_, _> =
        old.into_iter().flat_map(Map::keys).map(|key| (key.clone(), Value::Null)).collect();
    status.insert("observedGeneration".to_owned(), json!(generation));
    status.insert("conditions".to_owned(), json!(conditions));
    let body = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &body).await.map(drop)
}

async fn patch(client: &Client, namespace: &str, name: &str, status: serde_json::Value) -> Result<(), Error> {
    let body = json!({
        "apiVersion": MailSystem::api_version(&()),
        "kind": MailSystem::kind(&()),
        "status": status,
    });
    let params = PatchParams::apply(names::MANAGER).force();
    // Read back without its type: another release may have written fields that this one cannot read.
    dynamic::<MailSystem>(client, namespace).patch_status(name, &params, &Patch::Apply(body)).await.map(drop)
}

fn dynamic<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

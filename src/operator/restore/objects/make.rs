//! Makes one object, in a namespace that lets it in.

use backon::Retryable;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    core::DynamicObject,
};
use serde_json::json;

use super::brought::Fate;
use crate::{
    names::{MANAGER, RECOVER, SystemName},
    operator::{
        backup::inventory::{kind::Kind, served, transient, tries},
        cluster::is_terminating,
    },
};

/// Whether a namespace besides the system's lets its objects in: it says so, or has a MailDomain of that system. Who may ask
/// for a restore in one namespace may not therefore write into others.
pub(super) async fn lets_in(
    client: &Client,
    system: &SystemName,
    namespace: &str,
) -> Result<bool, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = match (|| namespaces.get_metadata_opt(namespace)).retry(tries()).when(transient).await {
        // The operator looks at one namespace alone.
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(false),
        other => other?,
    };
    let Some(found) = found else { return Ok(false) };
    let said = found.metadata.annotations.and_then(|mut annotations| annotations.remove(RECOVER));
    if said.is_some_and(|said| said == system.to_string()) {
        return Ok(true);
    }
    let resource = Kind::Domain.resource();
    let domains: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let all = ListParams::default();
    let domains = (|| domains.list(&all)).retry(tries()).when(transient).await?;
    let served = |domain: &DynamicObject| {
        serde_json::to_value(domain).is_ok_and(|domain| served(&domain, system).is_some())
    };
    Ok(domains.items.iter().any(served))
}

/// Makes an object that is not there.
pub(super) async fn make(
    client: &Client,
    system: &SystemName,
    kind: Kind,
    object: DynamicObject,
    dry_run: bool,
) -> Result<Fate, kube::Error> {
    let (namespace, name) = (
        object.metadata.namespace.clone().unwrap_or_default(),
        object.metadata.name.clone().unwrap_or_default(),
    );
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind.resource());
    let parameters = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
    let said = |message: &str| format!("{} {namespace}/{name}: {message}", kind.name());
    match (|| api.create(&parameters, &object)).retry(tries()).when(transient).await {
        Ok(_) => Ok(Fate::Made),
        Err(error) if is_terminating(&error) => Ok(Fate::Waits(namespace)),
        Err(kube::Error::Api(status)) => match status.code {
            409 if kind == Kind::Secret && [system.journal_key(), system.dkim()].contains(&name) => {
                let there = (|| api.get_opt(&name)).retry(tries()).when(transient).await?;
                Ok(there.map_or(Fate::There, |there| compared(&there, &object, said("another one is there, and stays; what was encrypted or signed with the one of the backup needs that"))))
            }
            409 => Ok(Fate::There),
            404 => Ok(Fate::Waits(namespace)),
            _ => Ok(Fate::Failed(said(&status.message))),
        },
        Err(error) => Err(error),
    }
}

/// A key that is there instead of another.
fn compared(there: &DynamicObject, wanted: &DynamicObject, problem: String) -> Fate {
    let data = |object: &DynamicObject| object.data.get("data").cloned().unwrap_or(json!({}));
    if data(there) == data(wanted) { Fate::There } else { Fate::Differs(problem) }
}

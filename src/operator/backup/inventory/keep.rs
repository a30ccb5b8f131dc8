//! The Secrets in which objects are given to the pod of a run.

use std::collections::BTreeSet;

use backon::Retryable;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};

use super::{
    Error,
    list::{transient, tries},
    pack,
};
use crate::{
    api::MailBackup,
    job::objects::PART,
    names::{INSTANCE, MANAGED_BY, MANAGER, OBJECTS_TYPE, RUN_LABEL},
};

/// Writes what was packed for the run, and gives the names of the Secrets in their order.
///
/// # Errors
/// The API server's.
pub async fn keep(
    client: &Client,
    backup: &MailBackup,
    run: &str,
    packed: &[u8],
) -> Result<Vec<String>, Error> {
    let namespace = backup.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let parameters = PatchParams::apply(MANAGER).force();
    let mut names = Vec::new();
    for (number, part) in pack::parts(packed).enumerate() {
        let secret = secret(backup, run, number, part);
        let name = secret.name_any();
        let patch = Patch::Apply(&secret);
        (|| api.patch(&name, &parameters, &patch)).retry(tries()).when(transient).await?;
        names.push(name);
    }
    // An earlier try may have needed more of them.
    forget(client, &namespace, run, &names.iter().map(String::as_str).collect()).await?;
    Ok(names)
}

/// Deletes the Secrets of a run but for `kept`. Those that are gone are no error.
///
/// # Errors
/// The API server's.
pub async fn forget(
    client: &Client,
    namespace: &str,
    run: &str,
    kept: &BTreeSet<&str>,
) -> Result<(), kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let of_run =
        ListParams::default().labels(&format!("{RUN_LABEL}={run}")).fields(&format!("type={OBJECTS_TYPE}"));
    let secrets = (|| api.list_metadata(&of_run)).retry(tries()).when(transient).await?;
    let parameters = DeleteParams::default();
    for secret in secrets.iter().filter(|secret| !kept.contains(&*secret.name_any())) {
        let name = secret.name_any();
        let deleted = (|| api.delete(&name, &parameters)).retry(tries()).when(transient).await;
        match deleted {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(())
}

fn secret(backup: &MailBackup, run: &str, number: usize, part: &[u8]) -> Secret {
    let labels = [(MANAGED_BY, MANAGER), (INSTANCE, &backup.spec.system.name), (RUN_LABEL, run)];
    Secret {
        metadata: ObjectMeta {
            name: Some(format!("{run}-objects-{number}")),
            namespace: backup.namespace(),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            owner_references: Some(owner(backup).into_iter().collect()),
            ..ObjectMeta::default()
        },
        type_: Some(OBJECTS_TYPE.to_owned()),
        data: Some([(PART.to_owned(), ByteString(part.to_owned()))].into()),
        ..Secret::default()
    }
}

fn owner(backup: &MailBackup) -> Option<OwnerReference> {
    backup.controller_owner_ref(&()).map(|owner| OwnerReference { block_owner_deletion: None, ..owner })
}

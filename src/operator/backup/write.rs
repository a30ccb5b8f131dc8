//! The only code of backups that writes objects but Jobs' ends and Leases: Jobs, their policy, MailSnapshots, statuses.

use k8s_openapi::api::{batch::v1::Job, networking::v1::NetworkPolicy};
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{context::BackupError, snapshots::View, validated::Validated};
use crate::{
    api::{MailBackup, MailBackupStatus, MailRestore, MailRestoreStatus, MailSnapshot, MailSnapshotStatus},
    names,
    operator::desired::backup,
};

/// Makes a Job, unless it is there. It is never written over.
///
/// # Errors
/// The API server's; or the name is somebody else's.
pub async fn job(client: &Client, job: &Job) -> Result<(), BackupError> {
    let api: Api<Job> = Api::namespaced(client.clone(), &job.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(names::MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, job).await {
        Err(Error::Api(status)) if status.code == 409 => {
            let found = api.get_metadata_opt(&job.name_any()).await.map_err(BackupError::Fetch)?;
            let same =
                |found: &kube::core::PartialObjectMeta<Job>| owner(&found.metadata) == owner(job.meta());
            if found.as_ref().is_none_or(same) {
                return Ok(());
            }
            Err(BackupError::Taken(format!("Job {}", job.name_any())))
        }
        other => other.map(drop).map_err(|error| BackupError::Write("a Job", error)),
    }
}

fn owner(meta: &kube::core::ObjectMeta) -> Option<&str> {
    meta.owner_references.as_ref()?.first().map(|owner| owner.uid.as_str())
}

/// Applies the policy of the pods of Jobs.
///
/// # Errors
/// The API server's; or the name is somebody else's.
pub async fn policy(client: &Client, v: &Validated) -> Result<(), BackupError> {
    let policy = backup::policy(&v.of());
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), &v.system.namespace);
    let name = policy.name_any();
    let found = api.get_metadata_opt(&name).await.map_err(BackupError::Fetch)?;
    let ours = |meta: &kube::core::ObjectMeta| {
        let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
        label(names::MANAGED_BY) == Some(names::MANAGER)
            && label(names::BACKUP_LABEL) == Some(v.name.as_str())
    };
    if found.is_some_and(|found| !ours(&found.metadata)) {
        return Err(BackupError::Taken(format!("NetworkPolicy {name}")));
    }
    let params = PatchParams::apply(names::MANAGER).force();
    let applied = api.patch(&name, &params, &Patch::Apply(&policy)).await;
    applied.map(drop).map_err(|error| BackupError::Write("a NetworkPolicy", error))
}

/// Brings MailSnapshots in line.
///
/// # Errors
/// The API server's; or a name is somebody else's.
pub async fn view(client: &Client, namespace: &str, backup: &str, view: &View) -> Result<(), BackupError> {
    let failed = |error| BackupError::Write("a MailSnapshot", error);
    let api: Api<MailSnapshot> = Api::namespaced(client.clone(), namespace);
    for object in &view.apply {
        let name = object.name_any();
        let found =
            dynamic::<MailSnapshot>(client, namespace).get_opt(&name).await.map_err(BackupError::Fetch)?;
        let other = |found: &DynamicObject| found.data.pointer("/spec/backup") != Some(&json!(backup));
        if found.as_ref().is_some_and(other) {
            return Err(BackupError::Taken(format!("MailSnapshot {name}")));
        }
        let bare = MailSnapshot { status: None, ..object.clone() };
        let params = PatchParams::apply(names::MANAGER).force();
        api.patch(&name, &params, &Patch::Apply(&bare)).await.map_err(failed)?;
        if let Some(status) = &object.status {
            snapshot_status(client, namespace, &name, status).await.map_err(failed)?;
        }
    }
    for name in &view.delete {
        release(client, namespace, name).await.map_err(failed)?;
        match api.delete(name, &DeleteParams::default()).await {
            Err(Error::Api(status)) if status.code == 404 => {}
            other => drop(other.map_err(failed)?),
        }
    }
    Ok(())
}

/// Lets a MailSnapshot be deleted without anything being forgotten.
///
/// # Errors
/// The API server's, except for "not found".
pub async fn release(client: &Client, namespace: &str, name: &str) -> Result<(), Error> {
    let api = dynamic::<MailSnapshot>(client, namespace);
    let Some(object) = api.get_opt(name).await? else { return Ok(()) };
    let others: Vec<_> = object.finalizers().iter().filter(|it| *it != names::FORGET).cloned().collect();
    if others.len() == object.finalizers().len() {
        return Ok(());
    }
    let version = object.resource_version();
    let body = json!({"metadata": {"finalizers": others, "resourceVersion": version}});
    match api.patch(name, &PatchParams::default(), &Patch::Merge(body)).await {
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Writes the status of a MailSnapshot.
///
/// # Errors
/// The API server's.
pub async fn snapshot_status(
    client: &Client,
    namespace: &str,
    name: &str,
    status: &MailSnapshotStatus,
) -> Result<(), Error> {
    apply_status::<MailSnapshot>(client, namespace, (name, None), json!(status)).await.map(drop)
}

/// Writes the status of a MailBackup as it was read, and tells its new version.
///
/// # Errors
/// The API server's: a conflict if it was changed since.
pub async fn status(
    client: &Client,
    backup: &MailBackup,
    status: &MailBackupStatus,
) -> Result<Option<String>, Error> {
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    let version = backup.resource_version();
    apply_status::<MailBackup>(client, &namespace, (&name, version), json!(status)).await
}

/// Writes the status of a MailRestore as it was read.
///
/// # Errors
/// The API server's: a conflict if it was changed since.
pub async fn restore_status(
    client: &Client,
    restore: &MailRestore,
    status: &MailRestoreStatus,
) -> Result<(), Error> {
    let (namespace, name) = (restore.namespace().unwrap_or_default(), restore.name_any());
    let version = restore.resource_version();
    apply_status::<MailRestore>(client, &namespace, (&name, version), json!(status)).await.map(drop)
}

async fn apply_status<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    (name, version): (&str, Option<String>),
    status: Value,
) -> Result<Option<String>, Error> {
    let mut body = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status});
    if let Some(version) = version {
        body["metadata"] = json!({"resourceVersion": version});
    }
    let params = PatchParams::apply(names::MANAGER).force();
    let written = dynamic::<K>(client, namespace).patch_status(name, &params, &Patch::Apply(body)).await?;
    Ok(written.resource_version())
}

fn dynamic<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

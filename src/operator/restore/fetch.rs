//! The only reading of the cluster for a MailRestore, but for its Jobs.

use std::collections::BTreeSet;

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::Pod,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{ListParams, LogParams},
};
use serde::de::DeserializeOwned;

use super::{problem::Problem, resolve::resolve};
use crate::{
    api::{MailBackup, MailDomain, MailRestore, MailSnapshot, Mailbox},
    conditions,
    images::Images,
    names::SystemName,
    operator::{
        backup::{
            controller::api,
            fetch::{Fetched, fetch},
            validate::validate,
            validated::Validated,
        },
        guarded::Guarded,
    },
};

/// What has been wrong with a mailbox for so long does not come right by itself.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);

/// What a restore needs.
pub struct Found {
    /// The snapshot.
    pub snapshot: MailSnapshot,
    /// Its MailBackup, checked.
    pub validated: Validated,
    /// What that depends on.
    pub fetched: Fetched,
}

/// Finds what a restore needs; or what is lacking.
///
/// # Errors
/// The API server's, except for "not found".
pub async fn find(
    client: &Client,
    restore: &MailRestore,
    (images, watched): (&Images, Option<&str>),
) -> Result<Result<Found, Problem>, Error> {
    let namespace = restore.namespace().unwrap_or_default();
    let backups = all::<MailBackup>(client, &namespace).await?;
    let snapshots = all::<MailSnapshot>(client, &namespace).await?;
    let snapshot = match resolve(restore, &backups, &snapshots) {
        Ok(snapshot) => snapshot.clone(),
        Err(problem) => return Ok(Err(problem)),
    };
    let name = &snapshot.spec.backup;
    let Some(backup) = backups.into_iter().find(|backup| backup.name_any() == *name) else {
        let message = format!("MailBackup {name}, which says where the snapshot is, is not there: create it");
        return Ok(Err(Problem::waits("BackupMissing", message)));
    };
    let fetched = Box::pin(fetch(client, backup, None, watched)).await?;
    let checked = validate(&fetched, images);
    Ok(match (checked.validated, checked.problem) {
        (Some(validated), _) => Ok(Found { snapshot, validated, fetched }),
        (None, Some(problem)) => {
            Err(Problem::waits(problem.reason, format!("MailBackup {name}: {}", problem.message)))
        }
        (None, None) => Err(Problem::waits("NotChecked", format!("MailBackup {name} is not checked yet"))),
    })
}

/// The objects of a kind in a namespace that can be read.
async fn all<K>(client: &Client, namespace: &str) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<Guarded<K>> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default()).await?.into_iter().filter_map(|object| object.0.ok()).collect())
}

/// The whole log of the newest pod of a Job.
///
/// # Errors
/// The API server's.
pub async fn log(client: &Client, namespace: &str, job: &str) -> Result<Option<String>, Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let pods = api.list(&pods).await?.into_iter();
    let newest = pods.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|at| at.0));
    match newest {
        Some(pod) => {
            let params = LogParams { container: Some("job".to_owned()), ..LogParams::default() };
            api.logs(&pod.name_any(), &params).await.map(Some)
        }
        None => Ok(None),
    }
}

/// A mailbox of the system that is not served yet, if there is one: what is wrong with it for good is not waited for.
///
/// # Errors
/// The API server's.
pub async fn unready(
    client: &Client,
    system: &SystemName,
    watched: Option<&str>,
) -> Result<Option<String>, Error> {
    let domains = api::<Guarded<MailDomain>>(client, watched).list(&ListParams::default()).await?;
    let domains = domains.items.iter().filter_map(|object| object.0.as_ref().ok());
    let ours: BTreeSet<_> =
        domains.filter(|domain| is_of(domain, system)).map(|domain| domain.spec.domain.clone()).collect();
    let concerned = |mailbox: &&Mailbox| {
        let domain = mailbox.spec.address.rsplit_once('@').map_or("", |(_, domain)| domain);
        ours.contains(domain) && !is_settled(mailbox, Timestamp::now())
    };
    let api = api::<Guarded<Mailbox>>(client, watched);
    let mut page = ListParams::default().limit(500);
    loop {
        let list = api.list(&page).await?;
        let mailboxes = list.items.iter().filter_map(|object| object.0.as_ref().ok());
        if let Some(unready) = mailboxes.into_iter().find(concerned) {
            return Ok(Some(unready.spec.address.clone()));
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(None),
        }
    }
}

fn is_of(domain: &MailDomain, system: &SystemName) -> bool {
    let named = &domain.spec.system;
    let namespace = named.namespace.clone().or_else(|| domain.namespace()).unwrap_or_default();
    named.name == system.name && namespace == system.namespace
}

/// Whether a mailbox is served, or has had time to be.
fn is_settled(mailbox: &Mailbox, now: Timestamp) -> bool {
    let conditions = mailbox.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let Some(ready) = conditions::get(conditions, "Ready") else { return false };
    match ready.status.as_str() {
        "True" => true,
        "False" => now.duration_since(ready.last_transition_time.0) > SETTLED,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mailbox_that_stays_wrong_is_not_waited_for() {
        let since = "2026-12-01T00:00:00Z";
        let settled = |ready: Option<&str>, seconds| {
            let mut mailbox: Mailbox = serde_json::from_value(json!({
                "apiVersion": "mail.angiang.gov.vn/v1alpha1", "kind": "Mailbox", "metadata": {"name": "an"},
                "spec": {"address": "an@x.vn"},
            }))
            .unwrap();
            mailbox.status = ready.map(|status| {
                let ready = json!({"type": "Ready", "status": status, "reason": "X", "message": "", "lastTransitionTime": since});
                serde_json::from_value(json!({"conditions": [ready]})).unwrap()
            });
            let now: Timestamp = since.parse().unwrap();
            is_settled(&mailbox, now.checked_add(SignedDuration::from_secs(seconds)).unwrap())
        };
        assert!(settled(Some("True"), 0) && !settled(None, 999) && !settled(Some("Unknown"), 999));
        assert!(!settled(Some("False"), 10) && settled(Some("False"), 121));
    }
}

//! The Secret with a system's DKIM keys: read, completed, written back. It has no owner: like the volumes it outlives
//! its MailSystem, since the public keys stand in the DNS.

use backon::Retryable;
use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    cluster::{some_tries, transient},
    dkim::{self, Keys, Wishes},
    metrics::Metrics,
};
use crate::{
    names::SystemName,
    operator::cluster::ownership::{self, is_ours},
    signing,
};

/// Brings the Secret in line with the wishes, and says what is in it. It is made even without domains: the
/// agents beside Rspamd wait for it.
///
/// # Errors
/// The last answer of the API.
pub async fn ensure(
    client: Client,
    metrics: Metrics,
    system: &SystemName,
    wishes: &Wishes,
) -> Result<Keys, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client, &system.namespace);
    let now = Timestamp::now().as_second();
    let attempt = || async {
        let old = api.get_opt(&system.dkim()).await?;
        if let Some(secret) = old.as_ref().filter(|secret| !is_ours(&secret.metadata, system, "")) {
            let words = ownership::taken("Secret", &secret.name_any(), system);
            return Ok(dkim::taken(wishes, &words, now));
        }
        let exists = old.is_some();
        let mut secret = old.unwrap_or_else(|| empty(system));
        let had: Vec<String> = secret.data.iter().flatten().map(|(name, _)| name.clone()).collect();
        let (mut data, wanted) = (secret.data.take().unwrap_or_default(), wishes.clone());
        let made = tokio::task::spawn_blocking(move || {
            let (changed, mut keys) = dkim::complete(&mut data, &wanted, now);
            keys.marks =
                signing::signers(&data).map(|signer| (signer.domain.to_owned(), signer.mark())).collect();
            (data, changed, keys)
        });
        let (data, changed, keys) = made.await.map_err(|error| kube::Error::Service(error.into()))?;
        secret.data = Some(data);
        if !exists {
            api.create(&PostParams::default(), &secret).await?;
        } else if changed {
            // With the version that was read: a key that somebody added meanwhile is not lost.
            let mut data = json!(secret.data);
            for name in
                had.iter().filter(|name| !secret.data.as_ref().is_some_and(|data| data.contains_key(*name)))
            {
                data[name] = Value::Null;
            }
            let patch =
                json!({"metadata": {"resourceVersion": secret.metadata.resource_version}, "data": data});
            api.patch(&system.dkim(), &PatchParams::default(), &Patch::Merge(patch)).await?;
        }
        if changed {
            metrics.wrote("dkim", "ok");
        }
        Ok(keys)
    };
    let result = attempt.retry(some_tries()).when(transient).await;
    if result.is_err() {
        metrics.wrote("dkim", "failed");
    }
    result
}

fn empty(system: &SystemName) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(system.dkim()),
            labels: Some(system.labels()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    }
}

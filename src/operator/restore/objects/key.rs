//! The key for which the Job of a restore encrypts what it prints: made once, in a Secret that goes with the MailRestore.

use age::{secrecy::ExposeSecret, x25519::Identity};
use backon::Retryable;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Api, Client, Resource, ResourceExt, api::PostParams};

use crate::{
    api::MailRestore,
    names::{INSTANCE, MANAGED_BY, MANAGER},
    operator::backup::inventory::{transient, tries},
};

/// Key of the private key in the Secret.
const IDENTITY: &str = "identity";

/// The public key for the Job of this restore.
///
/// # Errors
/// The API server's.
pub async fn recipient(client: &Client, restore: &MailRestore) -> Result<String, kube::Error> {
    let attempt = || async {
        if let Some(identity) = identity(client, restore).await? {
            return Ok(identity.to_public().to_string());
        }
        let made = Identity::generate();
        let api: Api<Secret> = Api::namespaced(client.clone(), &restore.namespace().unwrap_or_default());
        api.create(&PostParams::default(), &secret(restore, &made)).await?;
        Ok(made.to_public().to_string())
    };
    attempt.retry(tries()).when(transient).await
}

/// The key, if it was made.
pub(super) async fn identity(
    client: &Client,
    restore: &MailRestore,
) -> Result<Option<Identity>, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &restore.namespace().unwrap_or_default());
    let name = name(restore);
    let found = (|| api.get_opt(&name)).retry(tries()).when(transient).await?;
    let text = found.and_then(|secret| String::from_utf8(secret.data?.remove(IDENTITY)?.0).ok());
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

/// With a part of the uid, so that no other one of the name is taken for it.
fn name(restore: &MailRestore) -> String {
    let uid = restore.uid().unwrap_or_default();
    format!("{}-objects-{}", restore.name_any(), uid.split('-').next().unwrap_or_default())
}

fn secret(restore: &MailRestore, identity: &Identity) -> Secret {
    let owner = restore.controller_owner_ref(&());
    let owner = owner.map(|owner| OwnerReference { block_owner_deletion: None, ..owner });
    let labels = [(MANAGED_BY, MANAGER), (INSTANCE, &restore.spec.system.name)];
    let key = identity.to_string().expose_secret().as_bytes().to_owned();
    Secret {
        metadata: ObjectMeta {
            name: Some(name(restore)),
            namespace: restore.namespace(),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            owner_references: Some(owner.into_iter().collect()),
            ..ObjectMeta::default()
        },
        data: Some([(IDENTITY.to_owned(), ByteString(key))].into()),
        ..Secret::default()
    }
}

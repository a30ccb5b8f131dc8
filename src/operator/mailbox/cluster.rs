//! The few calls to the API that several parts of the controller share, and which errors are worth another try.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client, Error,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{api::GROUP, names::MANAGER};

/// Whether the same request may succeed later without anybody mending an object.
#[must_use]
pub fn transient(error: &Error) -> bool {
    match error {
        Error::Api(status) => matches!(status.code, 408 | 409 | 429) || status.code >= 500,
        Error::SerdeError(_) | Error::BuildRequest(_) => false,
        _ => true,
    }
}

/// Whether the API answered with this code.
#[must_use]
pub fn is_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api(status) if status.code == code)
}

/// Some seconds of tries.
#[must_use]
pub fn some_tries() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(6)
        .with_jitter()
}

/// Tries without end, at most ten seconds apart.
#[must_use]
pub fn endless_tries() -> ExponentialBuilder {
    some_tries().with_max_delay(Duration::from_secs(10)).without_max_times()
}

/// Applies `object` as the operator's, with some tries.
///
/// # Errors
/// The last answer of the API.
pub async fn apply<K>(client: &Client, namespace: &str, name: &str, object: &K) -> Result<(), Error>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Serialize
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let parameters = PatchParams::apply(MANAGER).force();
    let patch = Patch::Apply(object);
    (|| api.patch(name, &parameters, &patch)).retry(some_tries()).when(transient).await.map(drop)
}

/// A reference to an owner of the project's own kinds.
#[must_use]
pub fn owner(kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/v1alpha1"),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

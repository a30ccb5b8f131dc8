//! Reads objects a page at a time.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use kube::{Api, Client, api::ListParams, core::DynamicObject};
use serde_json::Value;

use super::{Error, bare::bare, kind::Kind};
use crate::names::OBJECTS_TYPE;

/// Objects are read so many at a time; Secrets may be a thousand times as large as Mailboxes.
const PAGE: u32 = 500;
const PAGE_OF_SECRETS: u32 = 50;

/// What there may be many of and nobody names.
const OTHER_SECRETS: [&str; 4] = [
    "mail.angiang.gov.vn/directory",
    OBJECTS_TYPE,
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
];

/// Gives each object of the kind, bare, in the order of the API server, which is that of namespaces and names.
pub(super) async fn each(
    client: &Client,
    kind: Kind,
    namespace: Option<&str>,
    mut take: impl FnMut(Value) -> std::io::Result<()>,
) -> Result<(), Error> {
    let resource = kind.resource();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut page = ListParams::default().limit(PAGE);
    if kind == Kind::Secret {
        let fields = OTHER_SECRETS.map(|type_| format!("type!={type_}")).join(",");
        page = ListParams::default().limit(PAGE_OF_SECRETS).fields(&fields);
    }
    loop {
        let list = (|| api.list(&page)).retry(tries()).when(transient).await?;
        for object in &list.items {
            if let Some(object) = bare(kind, object) {
                take(object)?;
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// Some seconds of tries.
#[must_use]
pub fn tries() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(6)
        .with_jitter()
}

/// Whether the API server may answer otherwise in a moment.
#[must_use]
pub fn transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 429) || status.code >= 500,
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => false,
        _ => true,
    }
}

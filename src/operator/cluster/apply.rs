//! Server-side apply of a system's objects, in an order in which each finds what it needs. Fields that others manage are
//! left alone; ours are taken back. What the API server refuses is told and does not keep the rest from being applied.

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    names,
    operator::{
        desired::{Configuration, Desired},
        system::workloads::Workloads,
    },
};

/// What came of an apply.
#[derive(Debug)]
pub struct Applied {
    /// The workloads as the API server has them now, their status included.
    pub workloads: Workloads,
    /// What the API server refused, in words.
    pub refused: Vec<String>,
}

/// Applies everything in `namespace`.
///
/// # Errors
/// The API server cannot be reached. What it refuses is no error here: see [`Applied::refused`].
pub async fn apply(client: &Client, namespace: &str, desired: Desired) -> Result<Applied, Error> {
    let Desired {
        internal,
        gateway_login,
        tls,
        accounts,
        signing_role,
        signing_binding,
        configuration,
        policies,
        services,
        budgets,
        cache,
        antivirus,
        antispam,
        stores,
        gateway,
    } = desired;
    let mut to = Applier { client, namespace, refused: Vec::new() };
    if let Some(internal) = internal {
        to.create(&internal).await?;
    }
    to.apply(&gateway_login).await?;
    to.apply(&tls).await?;
    to.all(&accounts).await?;
    to.apply(&signing_role).await?;
    to.apply(&signing_binding).await?;
    let Configuration { postfix, nginx, cyrus, rspamd, clamav, valkey } = configuration;
    to.all(&[postfix, nginx, cyrus, rspamd, clamav, valkey]).await?;
    to.all(&policies).await?;
    to.all(&services).await?;
    to.all(&budgets).await?;
    let cache = to.optional(cache.as_ref()).await?;
    let antivirus = to.apply(&antivirus).await?;
    let antispam = to.apply(&antispam).await?;
    let mut sets = Vec::with_capacity(stores.len());
    for store in &stores {
        sets.push(to.optional(store.as_ref()).await?);
    }
    let gateway = to.optional(gateway.as_ref()).await?;
    let workloads = Workloads { gateway, stores: sets, antispam, antivirus, cache };
    Ok(Applied { workloads, refused: to.refused })
}

struct Applier<'a> {
    client: &'a Client,
    namespace: &'a str,
    refused: Vec<String>,
}

impl Applier<'_> {
    fn api<K: Object>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// Applies one object; `None` if it was refused.
    async fn apply<K: Object>(&mut self, object: &K) -> Result<Option<K>, Error> {
        let params = PatchParams::apply(names::MANAGER).force();
        let result = self.api::<K>().patch(&object.name_any(), &params, &Patch::Apply(object)).await;
        self.unless_refused(object, result)
    }

    async fn optional<K: Object>(&mut self, object: Option<&K>) -> Result<Option<K>, Error> {
        match object {
            Some(object) => self.apply(object).await,
            None => Ok(None),
        }
    }

    async fn all<K: Object>(&mut self, objects: &[K]) -> Result<(), Error> {
        for object in objects {
            self.apply(object).await?;
        }
        Ok(())
    }

    /// Creates what may never be written over.
    async fn create<K: Object>(&mut self, object: &K) -> Result<Option<K>, Error> {
        let params = PostParams { field_manager: Some(names::MANAGER.to_owned()), ..PostParams::default() };
        let result = self.api::<K>().create(&params, object).await;
        self.unless_refused(object, result)
    }

    fn unless_refused<K: Object>(
        &mut self,
        object: &K,
        result: Result<K, Error>,
    ) -> Result<Option<K>, Error> {
        match result {
            Ok(applied) => Ok(Some(applied)),
            Err(error) if super::is_terminating(&error) => Err(error),
            // Overload refuses nothing: it is like not reaching the server.
            Err(Error::Api(status)) if !matches!(status.code, 429 | 503 | 504) => {
                self.refused.push(format!("{} {}: {}", K::kind(&()), object.name_any(), status.message));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What can be applied.
trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
{
}

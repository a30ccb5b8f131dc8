//! Applies one object after another for a system, and leaves alone what is somebody else's.

use std::collections::HashSet;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{PersistentVolumeClaim, PodSpec},
    },
};
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    apply::{Applied, Whose},
    is_terminating,
    ownership::{is_our_claim, is_ours, taken},
};
use crate::{names, operator::system::workloads::Workloads};

/// See the module.
pub(super) struct Applier<'a> {
    client: &'a Client,
    whose: Whose<'a>,
    refused: Vec<String>,
    taken: Vec<String>,
    /// Kind and name of what is somebody else's.
    names: HashSet<(String, String)>,
}

/// What is under a name.
enum Found {
    Nothing,
    Ours(Option<String>),
    Theirs,
}

impl<'a> Applier<'a> {
    pub fn new(client: &'a Client, whose: Whose<'a>) -> Self {
        let (refused, taken, names) = Default::default();
        Self { client, whose, refused, taken, names }
    }

    pub fn end(self, workloads: Workloads) -> Applied {
        Applied { workloads, refused: self.refused, taken: self.taken }
    }

    fn api<K: Object>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.whose.system.namespace)
    }

    /// Applies one object; `None` if it was refused, or is somebody else's.
    pub async fn apply<K: Object>(&mut self, object: &K) -> Result<Option<K>, Error> {
        let (kind, name) = (K::kind(&()), object.name_any());
        let mut uid = self.whose.known.get(self.whose.system, &kind, &name);
        if uid.is_none() {
            match self.look::<K>(&name).await? {
                Found::Nothing => {}
                Found::Ours(known) => uid = known,
                Found::Theirs => return Ok(self.leave(&kind, &name)),
            }
        }
        let mut result = self.patch(object, uid.clone()).await;
        if uid.is_some() && matches!(&result, Err(Error::Api(status)) if matches!(status.code, 409 | 422)) {
            // It may be another object than the one that was known: a uid cannot be changed.
            self.whose.known.forget(self.whose.system, &kind, &name);
            result = match self.look::<K>(&name).await? {
                Found::Nothing => self.patch(object, None).await,
                Found::Ours(uid) => self.patch(object, uid).await,
                Found::Theirs => return Ok(self.leave(&kind, &name)),
            };
        }
        if let Ok(applied) = &result
            && let Some(uid) = applied.uid()
        {
            self.whose.known.learn(self.whose.system, &kind, &name, uid);
        }
        self.unless_refused(object, result)
    }

    async fn patch<K: Object>(&self, object: &K, uid: Option<String>) -> Result<K, Error> {
        let mut object = object.clone();
        object.meta_mut().uid = uid;
        let params = PatchParams::apply(names::MANAGER).force();
        self.api::<K>().patch(&object.name_any(), &params, &Patch::Apply(&object)).await
    }

    async fn look<K: Object>(&self, name: &str) -> Result<Found, Error> {
        let found = self.api::<K>().get_metadata_opt(name).await?;
        Ok(match found.map(|found| found.metadata) {
            None => Found::Nothing,
            Some(meta) if is_ours(&meta, self.whose.system, self.whose.uid) => Found::Ours(meta.uid),
            Some(_) => Found::Theirs,
        })
    }

    /// Notes that a name is taken.
    fn leave<K>(&mut self, kind: &str, name: &str) -> Option<K> {
        self.taken.push(taken(kind, name, self.whose.system));
        self.names.insert((kind.to_owned(), name.to_owned()));
        None
    }

    pub async fn deployment(&mut self, object: &Deployment) -> Result<Option<Deployment>, Error> {
        let pod = object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        if self.uses_taken(pod) { Ok(None) } else { self.apply(object).await }
    }

    pub async fn set(&mut self, object: Option<&StatefulSet>) -> Result<Option<StatefulSet>, Error> {
        let Some(object) = object else { return Ok(None) };
        let pod = object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        if self.uses_taken(pod) || !self.volumes_are_ours(object).await? {
            return Ok(None);
        }
        self.apply(object).await
    }

    /// Whether a pod would run with somebody else's files or rights.
    fn uses_taken(&self, pod: Option<&PodSpec>) -> bool {
        pod.is_some_and(|pod| {
            used(pod)
                .iter()
                .any(|(kind, name)| self.names.contains(&((*kind).to_owned(), (*name).to_owned())))
        })
    }

    /// Whether no volume claim that the set would use is somebody else's. They are looked at before it is first applied.
    async fn volumes_are_ours(&mut self, set: &StatefulSet) -> Result<bool, Error> {
        let name = set.name_any();
        if self.whose.known.get(self.whose.system, "StatefulSet", &name).is_some() {
            return Ok(true);
        }
        let spec = set.spec.clone().unwrap_or_default();
        let mut ours = true;
        for template in spec.volume_claim_templates.iter().flatten() {
            for ordinal in 0..spec.replicas.unwrap_or(1) {
                let claim = format!("{}-{name}-{ordinal}", template.name_any());
                let found = self.api::<PersistentVolumeClaim>().get_metadata_opt(&claim).await?;
                if found.is_some_and(|found| !is_our_claim(&found.metadata, self.whose.system)) {
                    self.leave::<()>("PersistentVolumeClaim", &claim);
                    ours = false;
                }
            }
        }
        Ok(ours)
    }

    pub async fn all<K: Object>(&mut self, objects: &[K]) -> Result<(), Error> {
        for object in objects {
            self.apply(object).await?;
        }
        Ok(())
    }

    /// Creates what may never be written over.
    pub async fn create<K: Object>(&mut self, object: &K) -> Result<Option<K>, Error> {
        let params = PostParams { field_manager: Some(names::MANAGER.to_owned()), ..PostParams::default() };
        let result = self.api::<K>().create(&params, object).await;
        let exists = matches!(&result, Err(Error::Api(status)) if status.code == 409);
        if exists && matches!(self.look::<K>(&object.name_any()).await?, Found::Theirs) {
            return Ok(self.leave(&K::kind(&()), &object.name_any()));
        }
        self.unless_refused(object, result)
    }

    fn unless_refused<K: Object>(
        &mut self,
        object: &K,
        result: Result<K, Error>,
    ) -> Result<Option<K>, Error> {
        match result {
            Ok(applied) => Ok(Some(applied)),
            Err(error) if is_terminating(&error) => Err(error),
            // Overload refuses nothing: it is like not reaching the server.
            Err(Error::Api(status)) if !matches!(status.code, 429 | 503 | 504) => {
                self.refused.push(format!("{} {}: {}", K::kind(&()), object.name_any(), status.message));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Kind and name of what a pod mounts and acts as.
fn used(pod: &PodSpec) -> Vec<(&'static str, &str)> {
    let volumes = pod.volumes.iter().flatten();
    let mounted = volumes.filter_map(|volume| match (&volume.config_map, &volume.secret) {
        (Some(map), _) => Some(("ConfigMap", map.name.as_str())),
        (_, Some(secret)) => Some(("Secret", secret.secret_name.as_deref()?)),
        _ => None,
    });
    let account = pod.service_account_name.iter().map(|name| ("ServiceAccount", name.as_str()));
    mounted.chain(account).collect()
}

/// What can be applied.
pub(super) trait Object:
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

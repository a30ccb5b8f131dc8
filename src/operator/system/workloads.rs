//! What runs: the workload objects of a system as they were read or applied, and how many of their pods are ready. Values
//! only.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, PodSpec},
};

use super::validated::Volume;

/// The workload objects of a system; `None` is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workloads {
    /// Gateways.
    pub gateway: Option<StatefulSet>,
    /// Stores by shard, as many as are wanted.
    pub stores: Vec<Option<StatefulSet>>,
    /// Rspamd.
    pub antispam: Option<Deployment>,
    /// clamd.
    pub antivirus: Option<Deployment>,
    /// Valkey.
    pub cache: Option<StatefulSet>,
}

/// How a workload does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name of the object.
    pub name: String,
    /// Image of its daemon.
    pub image: String,
    /// Pods that are wanted.
    pub desired: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Whether its controller has looked at it at all. Without that the figures say nothing.
    pub observed: bool,
    /// Whether every pod is as the object says now.
    pub settled: bool,
}

impl Workload {
    /// Whether every pod that is wanted is ready.
    #[must_use]
    pub const fn full(&self) -> bool {
        self.observed && self.ready >= self.desired
    }
}

impl From<&StatefulSet> for Workload {
    fn from(set: &StatefulSet) -> Self {
        let (spec, status) = (set.spec.as_ref(), set.status.as_ref());
        let pod = spec.and_then(|spec| spec.template.spec.as_ref());
        let desired = count(spec.and_then(|spec| spec.replicas).or(Some(1)));
        let updated = count(status.and_then(|status| status.updated_replicas));
        let seen = status.and_then(|status| status.observed_generation);
        Self {
            name: set.metadata.name.clone().unwrap_or_default(),
            image: image(pod),
            desired,
            ready: count(status.and_then(|status| status.ready_replicas)),
            observed: seen.is_some_and(|seen| seen > 0),
            settled: seen >= set.metadata.generation && updated >= desired,
        }
    }
}

impl From<&Deployment> for Workload {
    fn from(deployment: &Deployment) -> Self {
        let (spec, status) = (deployment.spec.as_ref(), deployment.status.as_ref());
        let pod = spec.and_then(|spec| spec.template.spec.as_ref());
        let desired = count(spec.and_then(|spec| spec.replicas).or(Some(1)));
        let updated = count(status.and_then(|status| status.updated_replicas));
        let seen = status.and_then(|status| status.observed_generation);
        Self {
            name: deployment.metadata.name.clone().unwrap_or_default(),
            image: image(pod),
            desired,
            ready: count(status.and_then(|status| status.ready_replicas)),
            observed: seen.is_some_and(|seen| seen > 0),
            settled: seen >= deployment.metadata.generation && updated >= desired,
        }
    }
}

/// The daemon's container is the first one.
fn image(pod: Option<&PodSpec>) -> String {
    let container = pod.and_then(|pod| pod.containers.first());
    container.and_then(|container| container.image.clone()).unwrap_or_default()
}

fn count(number: Option<i32>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// The volume that a StatefulSet gives its pods. It was settled when the set was made: Kubernetes lets nobody change it.
#[must_use]
pub fn volume(set: &StatefulSet) -> Option<Volume> {
    let template: &PersistentVolumeClaim = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?;
    let spec = template.spec.as_ref()?;
    let size = spec.resources.as_ref()?.requests.as_ref()?.get("storage")?.clone();
    Some(Volume { size, class: spec.storage_class_name.clone() })
}

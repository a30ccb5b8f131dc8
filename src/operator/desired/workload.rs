//! The shells of Deployments and StatefulSets. Pure.

use k8s_openapi::{
    api::{
        apps::v1::{
            Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment, StatefulSet,
            StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
        },
        core::v1::{
            PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use crate::operator::system::validated::Volume;

/// A Deployment that starts a new pod before it ends an old one: capacity never falls below what was asked for.
pub fn deployment(
    metadata: ObjectMeta,
    selector: LabelSelector,
    replicas: i32,
    template: PodTemplateSpec,
) -> Deployment {
    let rolling = RollingUpdateDeployment {
        max_surge: Some(IntOrString::Int(1)),
        max_unavailable: Some(IntOrString::Int(0)),
    };
    let strategy =
        DeploymentStrategy { rolling_update: Some(rolling), type_: Some("RollingUpdate".to_owned()) };
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            revision_history_limit: Some(3),
            selector,
            strategy: Some(strategy),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// A StatefulSet whose pods each have the volume `claim`. The volumes outlive pods, scaling and the StatefulSet itself:
/// mail is on them.
pub fn stateful_set(
    metadata: ObjectMeta,
    selector: LabelSelector,
    (service, replicas): (String, i32),
    claim: PersistentVolumeClaim,
    template: PodTemplateSpec,
) -> StatefulSet {
    let retain = Some("Retain".to_owned());
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: retain.clone(),
                when_scaled: retain,
            }),
            // With OrderedReady a pod that cannot start would hold up its own repair.
            pod_management_policy: Some("Parallel".to_owned()),
            replicas: Some(replicas),
            revision_history_limit: Some(3),
            selector,
            service_name: Some(service),
            template,
            volume_claim_templates: Some(vec![claim]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// The claim for a pod's volume. It has no labels: nothing in it may ever change.
pub fn claim(name: &str, volume: &Volume) -> PersistentVolumeClaim {
    let requests = Some([("storage".to_owned(), volume.size.clone())].into());
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements { requests, limits: None }),
            storage_class_name: volume.class.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

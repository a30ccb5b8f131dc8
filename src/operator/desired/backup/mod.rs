//! The Jobs that work on the repositories of backups, each of one pod, and what such pods may reach. Pure.
//!
//! A pod runs Cyrus's image with the agent's binary brought along, as Cyrus's user and without any capability. It has no
//! token, and its credentials as files. A Job of a backup mounts a store's volume, and so is bound to that store's node.

mod mounts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{
            Affinity, Container, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
            PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, VolumeMount,
        },
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{network, pod, store};
use crate::{
    images::Images,
    job::{self, Work},
    names::{BACKUP_LABEL, RUN_LABEL, SHARD_LABEL, SystemName},
    operator::{backup::Place, system::validated},
};

/// What the label of a component says of these pods.
pub const COMPONENT: &str = "backup";
/// Cyrus's user.
const CYRUS: i64 = 101;
/// How often a pod that ended without having done its work is followed by another.
const TRIES: i32 = 3;
/// Exit codes of the agent after which trying again is of no use.
const HOPELESS: [i32; 2] = [2, 3];

/// Whose repositories they are: what all Jobs of a MailBackup, or on it, have in common.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The mail system; Jobs are in its namespace.
    pub system: &'a SystemName,
    /// Name of the MailBackup.
    pub backup: &'a str,
    /// Whose the Job is: the MailBackup, or a MailRestore.
    pub owner: &'a OwnerReference,
    /// Where the repositories are.
    pub place: &'a Place,
    /// The Secret with the password.
    pub encryption: &'a str,
    /// What pods run.
    pub images: &'a Images,
}

/// What a Job has for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// The run or restore that it is a part of; it labels the Job.
    pub run: String,
    /// The shard.
    pub shard: u32,
    /// A store's volume, to be backed up.
    pub data: Option<Data>,
    /// Secrets with objects that go along, in the order of their numbers.
    pub objects: Vec<String>,
    /// A volume that is there as long as the pod; a folder of the node if absent.
    pub scratch: Option<validated::Volume>,
    /// Whether the stores' key is mounted at `/etc/gateway-login`.
    pub login: bool,
    /// Memory that is set aside, and its bound.
    pub memory: Option<(String, String)>,
}

/// A store's volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Its claim.
    pub claim: String,
    /// The node of the store, with which it is shared.
    pub node: Option<String>,
}

/// Labels of a MailBackup's Jobs and their pods.
#[must_use]
pub fn labels(system: &SystemName, backup: &str) -> BTreeMap<String, String> {
    let mut labels = system.labels();
    labels.extend([
        ("app.kubernetes.io/component".to_owned(), COMPONENT.to_owned()),
        (BACKUP_LABEL.to_owned(), backup.to_owned()),
    ]);
    labels
}

/// The Job `name` that does `work`.
#[must_use]
pub fn job(of: &Of<'_>, name: String, work: &Work, extra: &Extra) -> Job {
    let mut labels = labels(of.system, of.backup);
    labels.extend([
        (RUN_LABEL.to_owned(), extra.run.clone()),
        (SHARD_LABEL.to_owned(), extra.shard.to_string()),
    ]);
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels.clone()), ..ObjectMeta::default() }),
        spec: Some(spec(of, work, extra)),
    };
    Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(of.system.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![of.owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(TRIES),
            completions: Some(1),
            parallelism: Some(1),
            pod_failure_policy: Some(failures()),
            template,
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// A pod that says that its work is hopeless ends the Job; one that had to leave its node is no failure.
fn failures() -> PodFailurePolicy {
    let codes = PodFailurePolicyOnExitCodesRequirement {
        container_name: Some("job".to_owned()),
        operator: "In".to_owned(),
        values: HOPELESS.to_vec(),
    };
    let disrupted = PodFailurePolicyOnPodConditionsPattern {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
    };
    let hopeless = PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(codes),
        on_pod_conditions: None,
    };
    let left = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![disrupted]),
    };
    PodFailurePolicy { rules: vec![hopeless, left] }
}

fn spec(of: &Of<'_>, work: &Work, extra: &Extra) -> PodSpec {
    let (volumes, mounts) = mounts::mounted(of, extra).into_iter().unzip();
    let spec = PodSpec {
        affinity: extra.data.as_ref().and_then(|data| data.node.as_deref()).map(on_node),
        automount_service_account_token: Some(false),
        containers: vec![container(of, work, extra, mounts)],
        enable_service_links: Some(false),
        init_containers: Some(vec![store::agent_binary(of.images)]),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        // It ends Cyrus, empties its volume, and removes its lock.
        termination_grace_period_seconds: Some(60),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    pod::in_group(spec, store::MAIL_GROUP)
}

fn container(of: &Of<'_>, work: &Work, extra: &Extra, mounts: Vec<VolumeMount>) -> Container {
    let text = serde_json::to_string(work).unwrap_or_default();
    let (request, limit) =
        extra.memory.as_ref().map_or(("256Mi", "3Gi"), |(request, limit)| (request, limit));
    let mut container = Container {
        command: Some(["/agent/mail-agent", "job"].map(str::to_owned).into()),
        env: Some(vec![pod::env("RUST_LOG", "info"), pod::env(job::WORK, text)]),
        resources: Some(pod::resources(None, "100m", request, limit)),
        volume_mounts: Some(mounts),
        ..pod::container("job", &of.images.cyrus, CYRUS)
    };
    if let Some(security) = &mut container.security_context {
        security.run_as_group = Some(store::MAIL_GROUP);
    }
    container
}

/// Beside the store: a volume is mounted on one node at a time.
fn on_node(name: &str) -> Affinity {
    let field = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![name.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: None, match_fields: Some(vec![field]) };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![term],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// What these pods may reach: object storage, and the stores' desk, where mail comes back.
#[must_use]
pub fn policy(of: &Of<'_>) -> k8s_openapi::api::networking::v1::NetworkPolicy {
    let port = match of.place {
        Place::Bucket { port, .. } => Some(*port),
        Place::Volume { .. } => None,
    };
    let metadata = ObjectMeta {
        name: Some(policy_name(of.backup)),
        namespace: Some(of.system.namespace.clone()),
        labels: Some(labels(of.system, of.backup)),
        owner_references: Some(vec![of.owner.clone()]),
        ..ObjectMeta::default()
    };
    network::of_jobs(metadata, labels(of.system, of.backup), of.system, port)
}

/// Name of that policy.
#[must_use]
pub fn policy_name(backup: &str) -> String {
    format!("{backup}-backup-jobs")
}

//! What the pods of every component have in common: names, probes, security, spreading, resources. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Lifecycle,
        LifecycleHandler, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
        ResourceRequirements, SeccompProfile, SecurityContext, SleepAction, TopologySpreadConstraint, Volume,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use crate::{
    names::{self, Component, ports},
    operator::system::validated::Validated,
};

/// Labels of the objects of a component.
pub fn labels(v: &Validated, component: Component) -> BTreeMap<String, String> {
    v.name.labels().into_iter().chain(v.name.selector(component)).collect()
}

/// Selects the pods of a component.
pub fn selector(v: &Validated, component: Component) -> LabelSelector {
    LabelSelector { match_labels: Some(v.name.selector(component)), ..LabelSelector::default() }
}

/// Metadata of an object: its name, its namespace, the labels of its component, its owner.
pub fn meta(v: &Validated, name: String, component: Option<Component>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(v.name.namespace.clone()),
        labels: Some(component.map_or_else(|| v.name.labels(), |component| labels(v, component))),
        owner_references: Some(vec![v.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// A container with a read-only root file system, without capabilities, as this user.
pub fn container(name: &str, image: &str, uid: i64) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            run_as_user: Some(uid),
            run_as_group: Some(uid),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// A container that starts as root with these capabilities only: its daemon gives root up by itself.
pub fn root_container(name: &str, image: &str, capabilities: &[&str]) -> Container {
    let mut container = container(name, image, 0);
    if let Some(security) = &mut container.security_context {
        security.run_as_non_root = Some(false);
        let add = capabilities.iter().map(|capability| (*capability).to_owned()).collect();
        security.capabilities = Some(Capabilities { add: Some(add), drop: Some(vec!["ALL".to_owned()]) });
    }
    container
}

/// The spec of a pod; the caller adds what is its own. Only agents get a token: theirs is `account`.
pub fn pod(v: &Validated, component: Component, containers: Vec<Container>, volumes: Vec<Volume>) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers,
        volumes: Some(volumes),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(60),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selector(v, component)),
            ..TopologySpreadConstraint::default()
        }]),
        ..PodSpec::default()
    }
}

/// Lets the pod's daemon write to its volumes as this group. A large volume is walked through once, not at each start.
pub fn in_group(mut spec: PodSpec, gid: i64) -> PodSpec {
    if let Some(security) = &mut spec.security_context {
        security.fs_group = Some(gid);
        security.fs_group_change_policy = Some("OnRootMismatch".to_owned());
    }
    spec
}

/// A template of these pods, which are replaced when `hash` changes.
pub fn template(labels: BTreeMap<String, String>, hash: String, spec: PodSpec) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some([(names::CONFIG_HASH.to_owned(), hash)].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(spec),
    }
}

/// Asks the daemon by the image's command `health`, every `period` seconds; `failures` in a row count.
pub fn health(period: i32, failures: i32) -> Probe {
    Probe {
        exec: Some(ExecAction { command: Some(vec!["health".to_owned()]) }),
        period_seconds: Some(period),
        timeout_seconds: Some(6),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// Asks the agent at `path`.
pub fn ask_agent(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(ports::HTTP.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// Waits before the daemon is told to end, so that Services and proxies have forgotten the pod by then.
pub fn linger() -> Lifecycle {
    Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction { seconds: 5 }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    }
}

/// What is set aside for a container, and its bound of memory; what the user wrote comes first.
pub fn resources(
    user: Option<&ResourceRequirements>,
    cpu: &str,
    memory: &str,
    limit: &str,
) -> ResourceRequirements {
    let quantity = |name: &str, text: &str| (name.to_owned(), Quantity(text.to_owned()));
    let over = |defaults: Vec<(String, Quantity)>, user: Option<&BTreeMap<String, Quantity>>| {
        let mut all: BTreeMap<_, _> = defaults.into_iter().collect();
        all.extend(user.cloned().unwrap_or_default());
        Some(all)
    };
    let (requests, limits) = user.map_or((None, None), |user| (user.requests.as_ref(), user.limits.as_ref()));
    // A user who sets one of the two may cross the other's default, which the API server would refuse.
    let memory_of =
        |wishes: Option<&BTreeMap<String, Quantity>>| wishes.and_then(|w| w.get("memory")).cloned();
    let limit =
        memory_of(limits).or_else(|| memory_of(requests)).unwrap_or_else(|| Quantity(limit.to_owned()));
    let memory = match (memory_of(requests), memory_of(limits)) {
        (Some(memory), _) | (None, Some(memory)) => memory,
        (None, None) => Quantity(memory.to_owned()),
    };
    ResourceRequirements {
        claims: None,
        requests: over(vec![quantity("cpu", cpu), ("memory".to_owned(), memory)], requests),
        limits: over(vec![("memory".to_owned(), limit)], limits),
    }
}

/// An environment variable with a value.
pub fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// An environment variable with a field of the pod.
pub fn env_field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() };
    let source = EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

/// User of an agent that runs beside a daemon.
pub const AGENT: i64 = 65_532;

/// What every agent is told.
pub fn agent_env(v: &Validated, own: Vec<EnvVar>) -> Vec<EnvVar> {
    let mut all = vec![
        env_field("POD_NAME", "metadata.name"),
        env_field("POD_NAMESPACE", "metadata.namespace"),
        env("MAIL_SYSTEM", &v.name.name),
        env("MAIL_HOSTNAME", v.hostname.as_str()),
        env("RUST_LOG", "info"),
    ];
    all.extend(own);
    all
}

/// A named TCP port of a container.
pub fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

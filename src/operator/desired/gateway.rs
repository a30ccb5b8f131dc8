//! The gateway StatefulSet: the agent, Postfix and the IMAP and POP proxy. Pure.
//!
//! The agent starts first, as a native sidecar, and ends last: the others ask it. Postfix's master needs root, so no group
//! is set on the volumes: Postfix sets the owners in its queue itself and refuses others.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, EnvVar, PodSpec},
};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    names::{Component, ports},
    operator::system::{
        journal::Journal,
        validated::{Validated, Volume},
    },
};

/// The gateways, each with its queue on a volume like `queue`.
pub fn stateful_set(v: &Validated, queue: &Volume, hashes: &Hashes) -> StatefulSet {
    let component = Component::Gateway;
    let mut all = vec![
        volumes::scratch("run-agent"),
        volumes::scratch("postfix-data"),
        volumes::scratch("postfix-tmp"),
        volumes::scratch("nginx-tmp"),
        volumes::config_volume("postfix-config", v.name.config("postfix")),
        volumes::config_volume("nginx-config", v.name.config("nginx")),
        volumes::secret_volume("tls", v.name.tls()),
        volumes::secret_volume("internal", v.name.internal()),
    ];
    all.extend(
        v.journal
            .iter()
            .map(|journal| volumes::optional_secret_volume("journal", journal.credentials.clone())),
    );
    let spec = PodSpec {
        automount_service_account_token: Some(true),
        service_account_name: Some(v.name.component(component)),
        init_containers: Some(vec![own_folder(v), agent(v)]),
        ..pod::pod(v, component, vec![postfix(v), nginx(v)], all)
    };
    workload::stateful_set(
        pod::meta(v, v.name.component(component), Some(component)),
        pod::selector(v, component),
        (v.name.gateway_pods(), v.gateway.replicas),
        workload::claim("queue", queue),
        pod::template(pod::labels(v, component), hashes.gateway.clone(), spec),
    )
}

/// Gives the agent its folder on the queue's volume, which is root's when it is new.
fn own_folder(v: &Validated) -> Container {
    Container {
        command: Some(["chown", "65532:65532", "/var/lib/agent"].map(str::to_owned).into()),
        resources: Some(pod::resources(None, "10m", "16Mi", "64Mi")),
        volume_mounts: Some(vec![volumes::mount_folder("queue", "agent", "/var/lib/agent")]),
        ..pod::root_container("agent-folder", &v.images.operator, &["CHOWN"])
    }
}

fn agent(v: &Validated) -> Container {
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let mut own = vec![
        pod::env("STORE_HOST_PATTERN", v.name.store_host_pattern()),
        pod::env("STORE_SHARDS", v.store.shards.len().to_string()),
        pod::env("STORE_REPLICAS", v.store.replicas.to_string()),
        pod::env(
            "CLAMD_HOST",
            format!("{}.{}.svc", v.name.component(Component::Antivirus), v.name.namespace),
        ),
        pod::env(
            "CACHE_ADDRESS",
            format!("{}.{}.svc:{}", v.name.component(Component::Cache), v.name.namespace, ports::CACHE),
        ),
        pod::env("ANTIVIRUS_ON_FAILURE", name(&v.antivirus.on_failure)),
        pod::env("ANTIVIRUS_ON_DETECTION", name(&v.antivirus.on_detection)),
    ];
    own.extend(v.journal.iter().flat_map(journal));
    let mut mounts = vec![
        volumes::mount("run-agent", "/run/agent"),
        volumes::mount_folder("queue", "agent", "/var/lib/agent"),
        volumes::mount_read_only("tls", "/etc/tls"),
        volumes::mount_read_only("internal", "/etc/internal"),
    ];
    mounts.extend(v.journal.iter().map(|_| volumes::mount_read_only("journal", "/etc/journal")));
    Container {
        command: Some(["mail-agent", "gateway"].map(str::to_owned).into()),
        env: Some(pod::agent_env(v, own)),
        ports: Some(vec![pod::port("http", ports::HTTP), pod::port("sieve", ports::SIEVE)]),
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(pod::ask_agent("/readyz", 1, 600)),
        readiness_probe: Some(pod::ask_agent("/readyz", 5, 2)),
        liveness_probe: Some(pod::ask_agent("/healthz", 10, 6)),
        // Messages that are being received (256Mi at most), and the journal's segments of them.
        resources: Some(pod::resources(
            None,
            "30m",
            "64Mi",
            if v.journal.is_some() { "1Gi" } else { "512Mi" },
        )),
        volume_mounts: Some(mounts),
        ..pod::container("agent", &v.images.operator, pod::AGENT)
    }
}

/// What the agent is told of the journal.
fn journal(journal: &Journal) -> Vec<EnvVar> {
    let location = &journal.location;
    let mut all = vec![
        pod::env("JOURNAL_DURABILITY", format!("{:?}", journal.durability)),
        pod::env("JOURNAL_REGION", location.region.clone()),
        pod::env("JOURNAL_BUCKET", location.bucket.clone()),
        pod::env("JOURNAL_PREFIX", location.prefix.clone()),
        pod::env("JOURNAL_KEYS", journal.keys.join(",")),
        pod::env("JOURNAL_BACKLOG", journal.backlog.to_string()),
    ];
    all.extend(journal.retention.map(|days| pod::env("JOURNAL_RETENTION_DAYS", days.to_string())));
    all.extend(location.endpoint.iter().map(|endpoint| pod::env("JOURNAL_ENDPOINT", endpoint.clone())));
    all
}

fn postfix(v: &Validated) -> Container {
    const CAPABILITIES: [&str; 7] =
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];
    Container {
        ports: Some(vec![
            pod::port("smtp", ports::SMTP),
            pod::port("submissions", ports::SUBMISSIONS),
            pod::port("submission", ports::SUBMISSION),
            pod::port("store-smtp", ports::STORE_SMTP),
        ]),
        lifecycle: Some(pod::linger()),
        readiness_probe: Some(pod::health(10, 2)),
        liveness_probe: Some(pod::health(30, 6)),
        resources: Some(pod::resources(v.gateway.resources.as_ref(), "50m", "128Mi", "1Gi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("postfix-config", "/config"),
            volumes::mount_read_only("tls", "/etc/tls"),
            volumes::mount("run-agent", "/run/agent"),
            volumes::mount("postfix-tmp", "/tmp"),
            volumes::mount("postfix-data", "/var/lib/postfix"),
            volumes::mount_folder("queue", "postfix", "/var/spool/postfix"),
            // Made by the agent, which starts first.
            volumes::mount_folder("queue", "agent/log", "/var/log/mail"),
        ]),
        ..pod::root_container("postfix", &v.images.postfix, &CAPABILITIES)
    }
}

fn nginx(v: &Validated) -> Container {
    Container {
        ports: Some(vec![pod::port("imaps", ports::PROXY_IMAPS), pod::port("pop3s", ports::PROXY_POP3S)]),
        lifecycle: Some(pod::linger()),
        readiness_probe: Some(pod::health(10, 2)),
        liveness_probe: Some(pod::health(30, 6)),
        resources: Some(pod::resources(None, "20m", "32Mi", "256Mi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("nginx-config", "/config"),
            volumes::mount_read_only("tls", "/etc/tls"),
            volumes::mount("run-agent", "/run/agent"),
            volumes::mount("nginx-tmp", "/tmp"),
        ]),
        ..pod::container("nginx", &v.images.nginx, 33)
    }
}

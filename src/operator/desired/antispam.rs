//! The Rspamd Deployment: Rspamd, and the agent that gives it the DKIM keys. Pure.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, PodSpec},
};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    names::{Component, ports},
    operator::system::validated::Validated,
};

/// User and group of Rspamd.
const RSPAMD: i64 = 101;

/// The spam filter.
pub fn deployment(v: &Validated, hashes: &Hashes) -> Deployment {
    let component = Component::Antispam;
    let all = vec![
        volumes::scratch("data"),
        volumes::scratch("run"),
        volumes::scratch("tmp"),
        volumes::config_volume("config", v.name.config("rspamd")),
        volumes::secret_volume("internal", v.name.internal()),
        volumes::memory("dkim"),
    ];
    // Rspamd reads the keys as their group.
    let spec = PodSpec {
        automount_service_account_token: Some(true),
        service_account_name: Some(v.name.component(component)),
        init_containers: Some(vec![agent(v)]),
        ..pod::in_group(pod::pod(v, component, vec![rspamd(v)], all), RSPAMD)
    };
    workload::deployment(
        pod::meta(v, v.name.component(component), Some(component)),
        pod::selector(v, component),
        v.antispam.replicas,
        pod::template(pod::labels(v, component), hashes.antispam.clone(), spec),
    )
}

/// It is there before Rspamd: without keys mail would leave unsigned.
fn agent(v: &Validated) -> Container {
    Container {
        command: Some(["mail-agent", "antispam"].map(str::to_owned).into()),
        env: Some(pod::agent_env(v, Vec::new())),
        ports: Some(vec![pod::port("http", ports::HTTP)]),
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(pod::ask_agent("/readyz", 1, 600)),
        readiness_probe: Some(pod::ask_agent("/readyz", 5, 2)),
        liveness_probe: Some(pod::ask_agent("/healthz", 10, 6)),
        resources: Some(pod::resources(None, "10m", "32Mi", "128Mi")),
        volume_mounts: Some(vec![volumes::mount("dkim", "/etc/dkim")]),
        ..pod::container("agent", &v.images.operator, pod::AGENT)
    }
}

fn rspamd(v: &Validated) -> Container {
    Container {
        ports: Some(vec![pod::port("milter", ports::ANTISPAM)]),
        lifecycle: Some(pod::linger()),
        // The first start compiles its expressions.
        startup_probe: Some(pod::health(3, 100)),
        readiness_probe: Some(pod::health(10, 2)),
        liveness_probe: Some(pod::health(30, 6)),
        resources: Some(pod::resources(v.antispam.resources.as_ref(), "50m", "256Mi", "1Gi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("config", "/config"),
            volumes::mount_read_only("dkim", "/etc/dkim"),
            volumes::mount_read_only("internal", "/etc/internal"),
            volumes::mount("data", "/var/lib/rspamd"),
            volumes::mount("run", "/run/rspamd"),
            volumes::mount("tmp", "/tmp"),
        ]),
        ..pod::container("rspamd", &v.images.rspamd, RSPAMD)
    }
}

//! A shard's StatefulSet: the agent with Cyrus as its child. Pure.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Container, PodSpec},
};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    names::{Component, SHARD_LABEL, ports},
    operator::system::validated::{Validated, Volume},
};

/// Group of the mail, in the volumes too.
const MAIL_GROUP: i64 = 8;

/// The store of shard `shard`, whose mail is on `volume`.
pub fn stateful_set(v: &Validated, shard: u32, volume: &Volume, hashes: &Hashes) -> StatefulSet {
    let component = Component::Store;
    let all = vec![
        volumes::scratch("agent"),
        volumes::scratch("run"),
        volumes::scratch("run-agent"),
        volumes::scratch("tmp"),
        volumes::config_volume("config", v.name.config("cyrus")),
        volumes::secret_volume("gateway-login", v.name.gateway_login()),
    ];
    let spec = PodSpec {
        automount_service_account_token: Some(true),
        service_account_name: Some(v.name.component(component)),
        init_containers: Some(vec![agent_binary(v)]),
        ..pod::in_group(pod::pod(v, component, vec![cyrus(v, shard)], all), MAIL_GROUP)
    };
    let own = (SHARD_LABEL.to_owned(), shard.to_string());
    let mut metadata = pod::meta(v, v.name.store(shard), Some(component));
    metadata.labels.get_or_insert_default().extend([own.clone()]);
    let mut selector = pod::selector(v, component);
    selector.match_labels.get_or_insert_default().extend([own.clone()]);
    let mut labels = pod::labels(v, component);
    labels.extend([own]);
    workload::stateful_set(
        metadata,
        selector,
        (v.name.store(shard), 1),
        workload::claim("data", volume),
        pod::template(labels, hashes.store.clone(), spec),
    )
}

/// The agent runs in Cyrus's image, since Cyrus is its child: its binary is brought along.
fn agent_binary(v: &Validated) -> Container {
    Container {
        command: Some(["cp", "/usr/local/bin/mail-agent", "/agent/mail-agent"].map(str::to_owned).into()),
        resources: Some(pod::resources(None, "10m", "16Mi", "128Mi")),
        volume_mounts: Some(vec![volumes::mount("agent", "/agent")]),
        ..pod::container("agent-binary", &v.images.operator, 65_532)
    }
}

fn cyrus(v: &Validated, shard: u32) -> Container {
    Container {
        env: Some(pod::agent_env(
            v,
            vec![pod::env("SHARD", shard.to_string()), pod::env("GATEWAY_HOST", v.name.gateway_pods_host())],
        )),
        ports: Some(vec![
            pod::port("lmtp", ports::DOOR),
            pod::port("imap", ports::CYRUS_IMAP),
            pod::port("pop3", ports::CYRUS_POP3),
            pod::port("sieve", ports::CYRUS_SIEVE),
            pod::port("http", ports::HTTP),
        ]),
        // A store with much mail may have to check its databases first.
        startup_probe: Some(pod::ask_agent("/healthz", 2, 300)),
        readiness_probe: Some(pod::ask_agent("/readyz", 5, 2)),
        liveness_probe: Some(pod::ask_agent("/healthz", 10, 6)),
        resources: Some(pod::resources(v.store.resources.as_ref(), "50m", "256Mi", "2Gi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("agent", "/agent"),
            volumes::mount_read_only("config", "/config"),
            volumes::mount_read_only("gateway-login", "/etc/gateway-login"),
            volumes::mount("data", "/data"),
            volumes::mount("run", "/run"),
            volumes::mount("run-agent", "/run/agent"),
            volumes::mount("tmp", "/tmp"),
        ]),
        ..pod::root_container("cyrus", &v.images.cyrus, &["CHOWN", "SETGID", "SETPCAP", "SETUID"])
    }
}

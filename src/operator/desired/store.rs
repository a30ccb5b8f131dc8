//! A shard's StatefulSet, the agent with Cyrus as its child, and its Lease. Pure.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        coordination::v1::Lease,
        core::v1::{Container, EnvVar, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    images::Images,
    names::{Component, SHARD_LABEL, ports},
    operator::system::validated::{Validated, Volume},
};

/// Group of the mail, in the volumes too.
pub const MAIL_GROUP: i64 = 8;

/// The stores of shard `shard`, whose mail is on volumes like `volume`.
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
    let mut spec = PodSpec {
        automount_service_account_token: Some(true),
        service_account_name: Some(v.name.component(component)),
        init_containers: Some(vec![agent_binary(&v.images)]),
        ..pod::in_group(pod::pod(v, component, vec![cyrus(v, shard)], all), MAIL_GROUP)
    };
    // Two stores on one node would be lost together.
    for spread in spec.topology_spread_constraints.iter_mut().flatten() {
        spread.label_selector = Some(selector(v, shard));
        "DoNotSchedule".clone_into(&mut spread.when_unsatisfiable);
    }
    let mut labels = pod::labels(v, component);
    labels.extend([own(shard)]);
    workload::stateful_set(
        meta(v, shard),
        selector(v, shard),
        (v.name.store(shard), v.store.replicas),
        workload::claim("data", volume),
        pod::template(labels, hashes.store.clone(), spec),
    )
}

/// The label of what belongs to one shard.
fn own(shard: u32) -> (String, String) {
    (SHARD_LABEL.to_owned(), shard.to_string())
}

/// Selects the pods of a shard.
pub fn selector(v: &Validated, shard: u32) -> LabelSelector {
    let mut selector = pod::selector(v, Component::Store);
    selector.match_labels.get_or_insert_default().extend([own(shard)]);
    selector
}

/// Metadata of an object that a shard has for itself.
pub fn meta(v: &Validated, shard: u32) -> ObjectMeta {
    let mut metadata = pod::meta(v, v.name.store(shard), Some(Component::Store));
    metadata.labels.get_or_insert_default().extend([own(shard)]);
    metadata
}

/// The Lease over which it is decided which of the shard's stores serves; what is in it is the agents'.
pub fn lease(v: &Validated, shard: u32) -> Lease {
    Lease { metadata: meta(v, shard), spec: None }
}

/// What the agent is told.
fn environment(v: &Validated, shard: u32) -> Vec<EnvVar> {
    let mut own =
        vec![pod::env("SHARD", shard.to_string()), pod::env("GATEWAY_HOST", v.name.gateway_pods_host())];
    if v.store.replicas > 1 {
        own.push(pod::env("STORE_REPLICAS", v.store.replicas.to_string()));
        own.push(pod::env("STORE_PEER_PATTERN", v.name.store_peer_pattern(shard)));
        own.extend(v.store.stale_after.map(|after| pod::env("STALE_AFTER_SECONDS", after.to_string())));
        let retention = v.journal.as_ref().and_then(|journal| journal.retention);
        own.extend(retention.map(|days| pod::env("JOURNAL_RETENTION_DAYS", days.to_string())));
    }
    pod::agent_env(v, own)
}

/// The agent runs in Cyrus's image, since Cyrus is its child: its binary is brought along.
pub fn agent_binary(images: &Images) -> Container {
    Container {
        command: Some(["cp", "/usr/local/bin/mail-agent", "/agent/mail-agent"].map(str::to_owned).into()),
        resources: Some(pod::resources(None, "10m", "16Mi", "128Mi")),
        volume_mounts: Some(vec![volumes::mount("agent", "/agent")]),
        ..pod::container("agent-binary", &images.operator, 65_532)
    }
}

fn cyrus(v: &Validated, shard: u32) -> Container {
    Container {
        env: Some(environment(v, shard)),
        ports: Some(vec![
            pod::port("lmtp", ports::DOOR),
            pod::port("imap", ports::CYRUS_IMAP),
            pod::port("pop3", ports::CYRUS_POP3),
            pod::port("sieve", ports::CYRUS_SIEVE),
            pod::port("http", ports::HTTP),
            pod::port("role", ports::ROLE),
            pod::port("sync", ports::CYRUS_SYNC),
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

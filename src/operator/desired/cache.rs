//! The Valkey StatefulSet: what Rspamd remembers. Mail does not wait for it. Pure.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Container};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    names::{Component, ports},
    operator::system::validated::{Validated, Volume},
};

/// User and group of Valkey.
const VALKEY: i64 = 101;

/// The cache, whose memory is on `volume`.
pub fn stateful_set(v: &Validated, volume: &Volume, hashes: &Hashes) -> StatefulSet {
    let component = Component::Cache;
    let all = vec![volumes::config_volume("config", v.name.config("valkey"))];
    let spec = pod::in_group(pod::pod(v, component, vec![valkey(v)], all), VALKEY);
    workload::stateful_set(
        pod::meta(v, v.name.component(component), Some(component)),
        pod::selector(v, component),
        (v.name.component(component), 1),
        workload::claim("data", volume),
        pod::template(pod::labels(v, component), hashes.cache.clone(), spec),
    )
}

fn valkey(v: &Validated) -> Container {
    Container {
        ports: Some(vec![pod::port("valkey", ports::CACHE)]),
        readiness_probe: Some(pod::health(10, 2)),
        liveness_probe: Some(pod::health(30, 6)),
        resources: Some(pod::resources(None, "20m", "32Mi", "512Mi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("config", "/config"),
            volumes::mount("data", "/data"),
        ]),
        ..pod::container("valkey", &v.images.valkey, VALKEY)
    }
}

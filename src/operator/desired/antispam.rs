//! The Rspamd Deployment. Pure.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};

use super::{configuration::Hashes, pod, workload};
use crate::{
    names::{Component, ports},
    operator::system::validated::Validated,
};

/// User and group of Rspamd.
const RSPAMD: i64 = 101;

/// The spam filter.
pub fn deployment(v: &Validated, hashes: &Hashes) -> Deployment {
    let component = Component::Antispam;
    let volumes = vec![
        pod::scratch("data"),
        pod::scratch("run"),
        pod::scratch("tmp"),
        pod::config_volume("config", v.name.config("rspamd")),
        pod::secret_volume("internal", v.name.internal(), false),
        // Made when there is a domain; until then nothing is signed.
        pod::secret_volume("dkim", v.name.dkim(), true),
    ];
    let spec = pod::in_group(pod::pod(v, component, vec![rspamd(v)], volumes), RSPAMD);
    workload::deployment(
        pod::meta(v, v.name.component(component), Some(component)),
        pod::selector(v, component),
        v.antispam.replicas,
        pod::template(pod::labels(v, component), hashes.antispam.clone(), spec),
    )
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
            pod::mount_read_only("config", "/config"),
            pod::mount_read_only("dkim", "/etc/dkim"),
            pod::mount_read_only("internal", "/etc/internal"),
            pod::mount("data", "/var/lib/rspamd"),
            pod::mount("run", "/run/rspamd"),
            pod::mount("tmp", "/tmp"),
        ]),
        ..pod::container("rspamd", &v.images.rspamd, RSPAMD)
    }
}

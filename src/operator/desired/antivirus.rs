//! The clamd Deployment, with freshclam beside it unless the user brings the signatures. Pure.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};

use super::{configuration::Hashes, pod, volumes, workload};
use crate::{
    names::{Component, ports},
    operator::system::validated::{Signatures, Validated},
};

/// User and group of clamd and freshclam.
const CLAMAV: i64 = 101;
/// Folder of the signatures.
const SIGNATURES: &str = "/var/lib/clamav";

/// The virus scanner. With a Secret that is missing its pods wait for it; those that run go on running.
pub fn deployment(v: &Validated, hashes: &Hashes) -> Deployment {
    let component = Component::Antivirus;
    let (signatures, containers) = match &v.antivirus.signatures {
        Signatures::Secret(name) => (volumes::secret_volume("signatures", name.clone()), vec![clamd(v)]),
        Signatures::Mirrors(_) => (volumes::scratch("signatures"), vec![clamd(v), freshclam(v)]),
    };
    let all =
        vec![signatures, volumes::scratch("tmp"), volumes::config_volume("config", v.name.config("clamav"))];
    let spec = pod::in_group(pod::pod(v, component, containers, all), CLAMAV);
    workload::deployment(
        pod::meta(v, v.name.component(component), Some(component)),
        pod::selector(v, component),
        v.antivirus.replicas,
        pod::template(pod::labels(v, component), hashes.antivirus.clone(), spec),
    )
}

fn clamd(v: &Validated) -> Container {
    let (request, limit) = match v.antivirus.signatures {
        Signatures::Secret(_) => ("64Mi", "1Gi"),
        Signatures::Mirrors(_) => ("1600Mi", "3Gi"),
    };
    Container {
        ports: Some(vec![pod::port("clamd", ports::ANTIVIRUS)]),
        lifecycle: Some(pod::linger()),
        // It waits for freshclam's first download; to restart it meanwhile would not help.
        startup_probe: Some(pod::health(5, 720)),
        readiness_probe: Some(pod::health(10, 2)),
        // Loading signatures stops it for a while.
        liveness_probe: Some(pod::health(30, 10)),
        resources: Some(pod::resources(v.antivirus.resources.as_ref(), "50m", request, limit)),
        volume_mounts: Some(vec![
            volumes::mount_read_only("config", "/config"),
            volumes::mount_read_only("signatures", SIGNATURES),
            volumes::mount("tmp", "/tmp"),
        ]),
        ..pod::container("clamd", &v.images.clamav, CLAMAV)
    }
}

fn freshclam(v: &Validated) -> Container {
    Container {
        command: Some(vec!["freshclam-entry".to_owned()]),
        resources: Some(pod::resources(None, "20m", "64Mi", "512Mi")),
        volume_mounts: Some(vec![
            volumes::mount_read_only("config", "/config"),
            volumes::mount("signatures", SIGNATURES),
            volumes::mount("tmp", "/tmp"),
        ]),
        ..pod::container("freshclam", &v.images.clamav, CLAMAV)
    }
}

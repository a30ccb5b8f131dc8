//! What the pod of a Job mounts. Pure.

use k8s_openapi::api::core::v1::{
    EphemeralVolumeSource, PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource, Volume,
    VolumeMount,
};

use super::{Extra, Of};
use crate::{
    job,
    operator::{
        backup::Place,
        desired::{volumes, workload},
        system::validated,
    },
};

/// Volumes, and where they are mounted.
pub fn mounted(of: &Of<'_>, extra: &Extra) -> Vec<(Volume, VolumeMount)> {
    let secret = |name: &str, secret: &str, path: &str| {
        (volumes::secret_volume(name, secret.to_owned()), volumes::mount_read_only(name, path))
    };
    let scratch = extra.scratch.as_ref().map_or_else(|| volumes::scratch("scratch"), ephemeral);
    let mut all = vec![
        (volumes::scratch("agent"), volumes::mount_read_only("agent", "/agent")),
        (volumes::scratch("tmp"), volumes::mount("tmp", "/tmp")),
        (scratch, volumes::mount("scratch", job::SCRATCH)),
        secret("encryption", of.encryption, job::ENCRYPTION),
    ];
    all.push(match of.place {
        Place::Bucket { credentials, .. } => secret("storage", credentials, job::STORAGE),
        Place::Volume { claim, .. } => {
            (claimed("repository", claim), volumes::mount("repository", job::REPOSITORY))
        }
    });
    if let Some(data) = &extra.data {
        all.push((claimed("data", &data.claim), volumes::mount("data", job::VOLUME)));
    }
    if extra.login {
        all.push(secret("gateway-login", &of.system.gateway_login(), "/etc/gateway-login"));
    }
    all.extend((0..).zip(&extra.objects).map(|(number, name): (u32, _)| {
        secret(&format!("objects-{number}"), name, &format!("{}/{number}", job::OBJECTS))
    }));
    all
}

/// A volume that exists.
fn claimed(name: &str, claim: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_owned(), read_only: None };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// A volume that comes and goes with the pod.
fn ephemeral(volume: &validated::Volume) -> Volume {
    let spec = workload::claim("scratch", volume).spec.unwrap_or_default();
    let template = PersistentVolumeClaimTemplate { metadata: None, spec };
    let source = EphemeralVolumeSource { volume_claim_template: Some(template) };
    Volume { name: "scratch".to_owned(), ephemeral: Some(source), ..Volume::default() }
}

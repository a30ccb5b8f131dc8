//! Volumes of pods, and where containers mount them. Pure.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, SecretVolumeSource, Volume, VolumeMount,
};

/// Mounts a volume.
pub fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// Mounts a folder of a volume.
pub fn mount_folder(volume: &str, folder: &str, path: &str) -> VolumeMount {
    VolumeMount { sub_path: Some(folder.to_owned()), ..mount(volume, path) }
}

/// Mounts a volume for reading.
pub fn mount_read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(volume, path) }
}

/// A folder that lives as long as the pod.
pub fn scratch(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// A folder in memory that lives as long as the pod, for what must not be on a disk.
pub fn memory(name: &str) -> Volume {
    let source = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: None };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

/// The files in a ConfigMap.
pub fn config_volume(name: &str, config_map: String) -> Volume {
    let source = ConfigMapVolumeSource { name: config_map, ..ConfigMapVolumeSource::default() };
    Volume { name: name.to_owned(), config_map: Some(source), ..Volume::default() }
}

/// The same of a Secret that may be missing: the pod starts without its files and gets them later.
pub fn optional_secret_volume(name: &str, secret: String) -> Volume {
    let mut volume = secret_volume(name, secret);
    if let Some(source) = &mut volume.secret {
        source.optional = Some(true);
    }
    volume
}

/// The files in a Secret, readable by every user in the pod.
pub fn secret_volume(name: &str, secret: String) -> Volume {
    let source = SecretVolumeSource {
        secret_name: Some(secret),
        default_mode: Some(0o444),
        ..SecretVolumeSource::default()
    };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

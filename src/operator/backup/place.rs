//! Where the repositories of a MailBackup are: one for each shard, side by side. Pure.

use sha2::{Digest, Sha256};

use crate::{
    api::backup::{MailBackupSpec, Repository},
    job,
    journal::storage::Location,
    names::SystemName,
    operator::system::journal,
};

/// Where all repositories of a MailBackup are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In object storage.
    Bucket {
        /// What the names of all of them begin with is its prefix.
        location: Location,
        /// The port of the server.
        port: u16,
        /// The Secret with the credentials.
        credentials: String,
    },
    /// On a volume.
    Volume {
        /// Its claim.
        claim: String,
        /// The folder in it.
        path: String,
    },
}

impl Place {
    /// The place that a spec names; `None` if it names none or is not understood.
    #[must_use]
    pub fn of(namespace: &str, spec: &MailBackupSpec) -> Option<Self> {
        match &spec.repository {
            Repository { object_storage: Some(storage), volume: None } => {
                let own = SystemName::new(namespace, &spec.system.name);
                let prefix = storage.prefix.clone().unwrap_or_else(|| format!("{own}/backup"));
                let location = Location {
                    endpoint: storage.endpoint.as_deref().map(|it| it.trim_end_matches('/').to_owned()),
                    region: storage.region.clone(),
                    bucket: storage.bucket.clone(),
                    prefix,
                };
                let port = journal::port(storage.endpoint.as_deref())?;
                Some(Self::Bucket { location, port, credentials: storage.credentials_secret.clone() })
            }
            Repository { object_storage: None, volume: Some(volume) } => {
                Some(Self::Volume { claim: volume.claim.clone(), path: volume.path.clone() })
            }
            _ => None,
        }
    }

    /// The repository of one shard, as its Jobs are told.
    #[must_use]
    pub fn repository(&self, system: &SystemName, shard: u32) -> job::Repository {
        let place = match self.clone() {
            Self::Bucket { location: Location { endpoint, region, bucket, prefix }, .. } => {
                job::Place::Bucket { endpoint, region, bucket, prefix: format!("{prefix}/{shard}") }
            }
            Self::Volume { path, .. } => job::Place::Folder(format!("{path}/{shard}")),
        };
        job::Repository { place, system: system.to_string(), host: system.store(shard) }
    }

    /// Names the place. Of two with overlapping places one name begins with the other.
    #[must_use]
    pub fn key(&self, namespace: &str) -> String {
        match self {
            Self::Bucket { location, .. } => {
                let endpoint = location.endpoint.as_deref().unwrap_or("amazon").to_ascii_lowercase();
                format!("{endpoint}/{}/{}/", location.bucket, location.prefix)
            }
            Self::Volume { claim, path } => format!("volume:{namespace}/{claim}/{path}/"),
        }
    }

    /// Name of the Lease over which it is agreed who works on it.
    #[must_use]
    pub fn lease(&self, namespace: &str) -> String {
        let hash = Sha256::digest(self.key(namespace).as_bytes());
        let hash: Vec<_> = hash.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        format!("backup-{}", hash.concat())
    }
}

/// Whether two places, by their keys, are one, or one is within the other.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(repository: &str) -> Option<Place> {
        let spec = format!("{{system: {{name: demo}}, encryptionSecret: e, repository: {repository}}}");
        Place::of("mail", &serde_saphyr::from_str(&spec).unwrap())
    }

    fn bucket(more: &str) -> Place {
        place(&format!("{{objectStorage: {{bucket: b-1, credentialsSecret: s3{more}}}}}")).unwrap()
    }

    #[test]
    fn each_shard_has_a_repository_of_its_own() {
        let system = SystemName::new("mail", "demo");
        let of = bucket(", endpoint: 'http://s3.x.vn:9000/'");
        assert!(matches!(of, Place::Bucket { port: 9000, .. }));
        let repository = of.repository(&system, 2);
        assert_eq!((repository.system.as_str(), repository.host.as_str()), ("mail/demo", "demo-store-2"));
        let job::Place::Bucket { prefix, endpoint, .. } = repository.place else { panic!("no bucket") };
        assert_eq!(
            (prefix.as_str(), endpoint.as_deref()),
            ("mail/demo/backup/2", Some("http://s3.x.vn:9000"))
        );
        let volume = place("{volume: {claim: nfs}}").unwrap();
        assert_eq!(volume.repository(&system, 0).place, job::Place::Folder("backup/0".into()));
        assert_eq!(place("{}"), None);
    }

    #[test]
    fn one_place_has_one_lease_and_what_lies_within_it_is_noticed() {
        let (one, same) = (bucket(""), bucket(", prefix: mail/demo/backup"));
        assert_eq!(one.lease("mail"), same.lease("elsewhere"));
        assert_eq!(one.lease("mail").len(), "backup-".len() + 20);
        let overlaps = |a: &Place, b: &Place| overlap(&a.key("mail"), &b.key("mail"));
        assert!(overlaps(&one, &same) && overlaps(&one, &bucket(", prefix: mail/demo")));
        assert!(!overlaps(&one, &bucket(", prefix: mail/demo/backup2")), "a longer name is not within it");
        let volume = place("{volume: {claim: nfs, path: a}}").unwrap();
        assert!(!overlap(&volume.key("mail"), &volume.key("elsewhere")), "claims are those of a namespace");
    }
}

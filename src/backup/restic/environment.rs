//! What restic is told in its environment: where the repository is, and what opens it.

use std::{ffi::OsString, path::PathBuf};

use super::{Engine, Place, Repository};
use crate::journal::storage::Location;

/// What proves who we are to object storage.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub id: String,
    /// What proves it.
    pub secret: String,
    /// A session's token.
    pub token: Option<String>,
    /// A file with the authority that signed the server's certificate.
    pub ca: Option<PathBuf>,
}

/// The environment, in which nothing else is.
#[must_use]
pub fn environment(
    repository: &Repository,
    engine: &Engine,
    credentials: &Credentials,
) -> Vec<(&'static str, OsString)> {
    let mut all: Vec<(&'static str, OsString)> = vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        ("HOME", engine.cache.clone().into()),
        ("TMPDIR", engine.temporary.clone().into()),
        ("RESTIC_PASSWORD_FILE", repository.password.clone().into()),
        ("RESTIC_CACHE_DIR", engine.cache.clone().into()),
        // Else it tells its progress sixty times a second.
        ("RESTIC_PROGRESS_FPS", "1".into()),
        ("GOGC", engine.gogc.to_string().into()),
        ("GOMAXPROCS", engine.processors.max(1).to_string().into()),
    ];
    match &repository.place {
        Place::Folder(path) => all.push(("RESTIC_REPOSITORY", path.clone().into())),
        Place::Bucket(location, _) => {
            all.push(("RESTIC_REPOSITORY", address(location).into()));
            all.push(("AWS_DEFAULT_REGION", location.region.clone().into()));
            all.push(("AWS_ACCESS_KEY_ID", credentials.id.clone().into()));
            all.push(("AWS_SECRET_ACCESS_KEY", credentials.secret.clone().into()));
            all.extend(credentials.token.clone().map(|token| ("AWS_SESSION_TOKEN", token.into())));
            all.extend(credentials.ca.clone().map(|ca| ("RESTIC_CACERT", ca.into())));
        }
    }
    all
}

/// `s3:https://host:port/bucket/prefix`.
fn address(location: &Location) -> String {
    let endpoint = match &location.endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => format!("https://s3.{}.amazonaws.com", location.region),
    };
    let address = format!("s3:{endpoint}/{}/{}", location.bucket, location.prefix);
    address.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_the_environment_alone_and_the_password_in_its_file() {
        let location = |endpoint: Option<&str>, prefix: &str| Location {
            endpoint: endpoint.map(Into::into),
            region: "r1".into(),
            bucket: "backups".into(),
            prefix: prefix.into(),
        };
        let environment = |location| {
            let repository = Repository {
                place: Place::Bucket(location, "/c".into()),
                password: "/secret/password".into(),
            };
            let credentials =
                Credentials { id: "i".into(), secret: "s".into(), token: None, ca: Some("/c/ca.crt".into()) };
            let all = environment(&repository, &Engine::default(), &credentials);
            let lines: Vec<_> =
                all.into_iter().map(|(name, value)| format!("{name}={}\n", value.display())).collect();
            lines.concat()
        };
        insta::assert_snapshot!(environment(location(Some("https://s3.x.vn:9000/"), "mail/province/0")), @r"
        PATH=/usr/local/bin:/usr/bin:/bin
        HOME=/var/cache/restic
        TMPDIR=/tmp
        RESTIC_PASSWORD_FILE=/secret/password
        RESTIC_CACHE_DIR=/var/cache/restic
        RESTIC_PROGRESS_FPS=1
        GOGC=20
        GOMAXPROCS=2
        RESTIC_REPOSITORY=s3:https://s3.x.vn:9000/backups/mail/province/0
        AWS_DEFAULT_REGION=r1
        AWS_ACCESS_KEY_ID=i
        AWS_SECRET_ACCESS_KEY=s
        RESTIC_CACERT=/c/ca.crt
        ");
        let amazon = environment(location(None, ""));
        assert!(amazon.contains("RESTIC_REPOSITORY=s3:https://s3.r1.amazonaws.com/backups\n"), "{amazon}");
    }
}

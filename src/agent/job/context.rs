//! What each work has at hand: where things are, who can end it, whom it tells how far it is, and restic on a repository.

use tokio_util::sync::CancellationToken;

use super::{settings::Folders, told::Told};
use crate::{
    backup::restic::{self, Control, Engine, Restic},
    job::{Place, Repository},
    journal::storage::Location,
};

/// The file with the password.
const PASSWORD: &str = "password";

/// What a work has at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where things are.
    pub folders: Folders,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Whom it tells how far it is.
    pub told: Told,
}

impl Context {
    /// In these folders.
    #[must_use]
    pub fn new(folders: Folders, cancel: CancellationToken) -> Self {
        Self { folders, cancel, told: Told::default() }
    }

    /// Restic on a repository. Nothing is opened yet.
    #[must_use]
    pub fn restic(&self, repository: &Repository) -> Restic {
        let Folders { encryption, storage, repository: volume, scratch, restic: program, .. } = &self.folders;
        let place = match &repository.place {
            Place::Folder(folder) => restic::Place::Folder(volume.join(folder.trim_start_matches('/'))),
            Place::Bucket { endpoint, region, bucket, prefix } => {
                let location = Location {
                    endpoint: endpoint.clone(),
                    region: region.clone(),
                    bucket: bucket.clone(),
                    prefix: prefix.trim_matches('/').to_owned(),
                };
                restic::Place::Bucket(location, storage.clone())
            }
        };
        Restic {
            repository: restic::Repository { place, password: encryption.join(PASSWORD) },
            engine: Engine {
                program: program.clone(),
                cache: scratch.join("cache"),
                temporary: scratch.clone(),
                ..Engine::default()
            },
        }
    }

    /// Follows a run of restic.
    #[must_use]
    pub fn control<'a>(&self, progress: &'a mut (dyn FnMut(restic::Progress) + Send)) -> Control<'a> {
        Control { cancel: self.cancel.clone(), progress }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_folder_of_the_volume_or_a_part_of_a_bucket() {
        let folders = Folders {
            encryption: "/e".into(),
            storage: "/s".into(),
            repository: "/repository".into(),
            volume: "/data".into(),
            objects: "/objects".into(),
            login: "/login".into(),
            scratch: "/scratch".into(),
            restic: "restic".into(),
        };
        let context = Context::new(folders, CancellationToken::new());
        let of = |place| {
            let repository = Repository { place, system: "mail/province".into(), host: "h".into() };
            context.restic(&repository)
        };
        let folder = of(Place::Folder("/mail/province/0".into()));
        assert_eq!(folder.repository.place, restic::Place::Folder("/repository/mail/province/0".into()));
        assert_eq!(folder.repository.password, std::path::Path::new("/e/password"));
        assert_eq!(folder.engine.cache, std::path::Path::new("/scratch/cache"));
        let bucket = of(Place::Bucket {
            endpoint: None,
            region: "r".into(),
            bucket: "b".into(),
            prefix: "mail/0/".into(),
        });
        let restic::Place::Bucket(location, credentials) = bucket.repository.place else {
            panic!("not a bucket")
        };
        assert_eq!((location.prefix.as_str(), credentials), ("mail/0", "/s".into()));
    }
}

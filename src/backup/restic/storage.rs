//! Asks object storage itself. Restic looks for a repository with requests whose answers have no words, so that a wrong key, a
//! missing bucket and a missing repository may look alike; and it tells of a server that is away only after a while.

use std::{fs, io, path::Path};

use super::{
    Place, Restic,
    outcome::{Ended, Failure, Reason, judged},
};
use crate::journal::storage::{Storage, StorageError};

impl Restic {
    /// Whether a run did all that was asked; if not, with the reason that object storage gives, where it gives one.
    pub(super) async fn judged(&self, ended: &Ended) -> Result<(), Failure> {
        match judged(ended) {
            Err(failure) if is_vague(failure.reason) => Err(self.refused().await.err().unwrap_or(failure)),
            other => other,
        }
    }

    /// Bytes that the repository takes, as its volume or object storage lists them: restic would read the trees of all
    /// snapshots to tell it.
    ///
    /// # Errors
    /// It cannot be listed.
    pub async fn size(&self) -> Result<u64, Failure> {
        match &self.repository.place {
            Place::Folder(folder) => {
                let folder = folder.clone();
                let counted = tokio::task::spawn_blocking(move || bytes(&folder)).await;
                let counted = counted.unwrap_or_else(|error| Err(io::Error::other(error)));
                counted.map_err(|error| Failure::new(Reason::Failed, error.to_string()))
            }
            Place::Bucket(location, credentials) => {
                let size = Storage::new(location.clone(), credentials.clone()).size().await;
                size.map_err(|error| Failure::new(reason(&error), error.to_string()))
            }
        }
    }

    /// Makes sure that object storage lets us list.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn refused(&self) -> Result<(), Failure> {
        let Place::Bucket(location, credentials) = &self.repository.place else { return Ok(()) };
        // Where nothing is, so that one request is enough.
        let storage = Storage::new(location.clone(), credentials.clone()).within("nothing");
        let listed = storage.list(None, 1).await.map(drop);
        listed.map_err(|error| Failure::new(reason(&error), error.to_string()))
    }
}

/// Bytes of the files below a folder.
fn bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(about) if about.is_dir() => sum += bytes(&entry.path())?,
            Ok(about) => sum += about.len(),
            // A lock, or what was being written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

fn is_vague(reason: Reason) -> bool {
    matches!(reason, Reason::RepositoryMissing | Reason::Stalled | Reason::Unreachable | Reason::Failed)
}

/// S3's codes, and versitygw's for a key that it does not know.
fn reason(error: &StorageError) -> Reason {
    match error.reason.as_str() {
        "NoSuchBucket" => Reason::BucketMissing,
        "AccessDenied"
        | "AllAccessDisabled"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "Unauthenticated"
        | "XAdminUserNotFound" => Reason::CredentialsRefused,
        _ => Reason::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_s3_have_their_reasons() {
        let expected = [
            ("NoSuchBucket", Reason::BucketMissing),
            ("InvalidAccessKeyId", Reason::CredentialsRefused),
            ("ExpiredToken", Reason::CredentialsRefused),
            ("XAdminUserNotFound", Reason::CredentialsRefused),
            ("Timeout", Reason::Unreachable),
            ("SlowDown", Reason::Unreachable),
        ];
        for (code, reason_of) in expected {
            let error = StorageError { reason: code.into(), message: String::new() };
            assert_eq!(reason(&error), reason_of, "{code}");
        }
    }
}

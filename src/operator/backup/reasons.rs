//! The words for which conditions have reasons: those that Jobs say, as a condition carries them.

/// Every reason that a Job may give. `docs/backup-format.md` says what they mean.
const KNOWN: &[&str] = &[
    "BucketMissing",
    "Cancelled",
    "CredentialsMissing",
    "CredentialsRefused",
    "CyrusDoesNotStart",
    "Empty",
    "EngineUnusable",
    "Failed",
    "FewerFiles",
    "FilesDiffer",
    "FilesMissing",
    "Incomplete",
    "JobFailed",
    "Killed",
    "MailboxesDiffer",
    "ManifestDamaged",
    "MessagesDiffer",
    "NoSpace",
    "NotListed",
    "NothingMatches",
    "PartiallyFailed",
    "RepositoryDamaged",
    "RepositoryExists",
    "RepositoryLocked",
    "RepositoryMissing",
    "RepositoryOfAnotherSystem",
    "SelectorMatchesNothing",
    "SnapshotMissing",
    "Stalled",
    "StoreNotReady",
    "Succeeded",
    "Unreachable",
    "WrongPassword",
];

/// The word; `Failed` for one that is not known.
#[must_use]
pub fn word(reason: &str) -> &'static str {
    KNOWN.iter().find(|known| **known == reason).copied().unwrap_or("Failed")
}

/// What a person can do about it.
#[must_use]
pub fn remedy(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "BucketMissing" => "create the bucket, or make another MailBackup",
        "CredentialsRefused" | "CredentialsMissing" => "correct the credentials' Secret",
        "WrongPassword" => {
            "bring back the Secret with the password that the repository was made with; nothing is written over it"
        }
        "RepositoryOfAnotherSystem" => "make another MailBackup with a prefix or path of its own",
        "RepositoryMissing" => "see what became of the repository: snapshots were in it",
        "RepositoryDamaged" => {
            "keep it as it is, and begin a new one with another MailBackup at once; `restic check --read-data` tells what is lost"
        }
        "RepositoryLocked" => "see who else uses the repository",
        "NoSpace" => "make room in the repository, or keep fewer snapshots",
        "Unreachable" | "Stalled" => "see to object storage, and to the way there",
        "SelectorMatchesNothing" => "correct spec.mailboxes",
        _ => return None,
    })
}

//! Restic's words for what went wrong, and those of the libraries below it.

use super::outcome::Reason;

/// The reason that words tell, the first that fits.
pub(super) fn by_words(text: &str) -> Option<Reason> {
    const WORDS: [(Reason, &[&str]); 8] = [
        (
            Reason::NoSpace,
            &[
                "no space left on device",
                "disk quota exceeded",
                "QuotaExceeded",
                "StorageFull",
                "Insufficient Storage",
            ],
        ),
        (Reason::RepositoryExists, &["config file already exists"]),
        (Reason::SnapshotMissing, &["failed to find snapshot", "no matching ID found"]),
        (Reason::BucketMissing, &["client.MakeBucket"]),
        (
            Reason::RepositoryDamaged,
            &[
                "ciphertext verification failed",
                "repository contains errors",
                "repository is damaged",
                "repository could be damaged",
                "not found in repository",
                "not found in index",
                "invalid data returned",
                "unexpected pack id",
                "unexpected file size",
                "hash mismatch",
                "does not match id",
                "config file has zero size",
                "invalid repository",
                "ReadFull(<data/",
                "Load(<data/",
                "Load(<index/",
            ],
        ),
        (
            Reason::CredentialsRefused,
            &[
                "Access Denied",
                "AccessDenied",
                "403 Forbidden",
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "ExpiredToken",
                "InvalidToken",
                "The Access Key Id you provided",
                "request signature we calculated",
                "token has expired",
            ],
        ),
        (
            Reason::Unreachable,
            &[
                "connection refused",
                "connection reset",
                "no such host",
                "no route to host",
                "network is unreachable",
                "i/o timeout",
                "timeout awaiting",
                "TLS handshake",
                "x509:",
                "server misbehaving",
                "use of closed network connection",
                "BucketExists",
                " 400 Bad Request",
                " 500 Internal Server Error",
                " 502 Bad Gateway",
                " 503 Service Unavailable",
                " 504 Gateway Timeout",
                "SlowDown",
                ": EOF",
                "unexpected EOF",
            ],
        ),
        (Reason::NothingMatches, &[": not found"]),
    ];
    WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(reason, _)| *reason)
}

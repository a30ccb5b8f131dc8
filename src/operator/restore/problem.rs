//! Why a restore cannot begin, and the words for which conditions have reasons.

use crate::operator::backup::reasons;

/// What keeps a restore from being carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In a word.
    pub reason: &'static str,
    /// In a sentence, with what to do.
    pub message: String,
    /// Whether it ends with that, and is not waited for.
    pub ends: bool,
}

impl Problem {
    /// It ends.
    #[must_use]
    pub fn ends(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), ends: true }
    }

    /// It may come by itself.
    #[must_use]
    pub fn waits(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), ends: false }
    }
}

/// What is said of restores, besides what all Jobs say.
const KNOWN: &[&str] = &[
    "AnotherSystem",
    "BackupMissing",
    "Damaged",
    "InvalidSpec",
    "KeyMissing",
    "LogIncomplete",
    "NamespacesMissing",
    "NoObjects",
    "NoScratch",
    "NoSuchMailbox",
    "NotChecked",
    "ObjectsDamaged",
    "ObjectsRefused",
    "ObjectsUnavailable",
    "PartiallyRestored",
    "QuotaExceeded",
    "Refused",
    "SelectorTooLarge",
    "SnapshotNotVerified",
    "StoreUnavailable",
];

/// The word; `Failed` for one that is not known.
#[must_use]
pub fn word(reason: &str) -> &'static str {
    KNOWN.iter().find(|known| **known == reason).copied().unwrap_or_else(|| reasons::word(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_known_is_the_condition_s_own() {
        for reason in
            ["SnapshotNotVerified", "SnapshotMissing", "AnotherSystem", "QuotaExceeded", "WrongPassword"]
        {
            assert_eq!(word(reason), reason);
        }
        assert_eq!(word("made up"), "Failed");
    }
}

//! What is wrong with a snapshot, and in which mailboxes: gathered here, and told in one reason and a sentence or two. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{backup::restic::Failure, job::Failed};

/// So many mailboxes are named; all that is wrong is counted.
pub const MOST: usize = 1000;
/// So many examples of each kind are told.
const EXAMPLES: usize = 3;

/// Kinds of what may be wrong. The first of them is the reason: what comes later often follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A manifest cannot be read, so that nobody knows what should be there.
    Manifest,
    /// A message has no file.
    FileMissing,
    /// A message's file is another one.
    FileDiffers,
    /// Cyrus does not run on what was restored.
    Cyrus,
    /// A folder is not served as the manifest has it.
    Folder,
    /// A message is not served as the manifest has it.
    Message,
}

impl Kind {
    /// The reason in a condition.
    const fn reason(self) -> &'static str {
        match self {
            Self::Manifest => "ManifestDamaged",
            Self::FileMissing => "FilesMissing",
            Self::FileDiffers => "FilesDiffer",
            Self::Cyrus => "CyrusDoesNotStart",
            Self::Folder => "MailboxesDiffer",
            Self::Message => "MessagesDiffer",
        }
    }

    /// So many of it.
    fn counted(self, count: u64) -> String {
        let (one, several) = match self {
            // There is one.
            Self::Cyrus => return "Cyrus does not serve what was restored".to_owned(),
            Self::Manifest => ("manifest cannot be read", "manifests cannot be read"),
            Self::FileMissing => ("message has no file", "messages have no file"),
            Self::FileDiffers => ("message has another file", "messages have another file"),
            Self::Folder => (
                "folder or mailbox is not served as it was",
                "folders or mailboxes are not served as they were",
            ),
            Self::Message => ("message is not served as it was", "messages are not served as they were"),
        };
        format!("{count} {}", if count == 1 { one } else { several })
    }
}

/// How often, and some of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: u64,
    examples: Vec<String>,
}

/// All that is wrong.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    engine: Option<Failure>,
    tallies: BTreeMap<Kind, Tally>,
    mailboxes: BTreeSet<String>,
}

impl Findings {
    /// Restic failed.
    pub fn engine(&mut self, failure: Failure) {
        self.engine.get_or_insert(failure);
    }

    /// Something is wrong with a mailbox, or with what belongs to nobody.
    pub fn add(&mut self, kind: Kind, mailbox: Option<&str>, what: impl fmt::Display) {
        let tally = self.tallies.entry(kind).or_default();
        tally.count += 1;
        if tally.examples.len() < EXAMPLES {
            let whose = mailbox.map_or_else(String::new, |mailbox| format!("{mailbox}: "));
            tally.examples.push(format!("{whose}{what}"));
        }
        if let Some(mailbox) = mailbox
            && self.mailboxes.len() < MOST
        {
            self.mailboxes.insert(mailbox.to_owned());
        }
    }

    /// Adds what somebody else found.
    pub fn merge(&mut self, other: Self) {
        if let Some(failure) = other.engine {
            self.engine(failure);
        }
        for (kind, tally) in other.tallies {
            let mine = self.tallies.entry(kind).or_default();
            mine.count += tally.count;
            let room = EXAMPLES - mine.examples.len().min(EXAMPLES);
            mine.examples.extend(tally.examples.into_iter().take(room));
        }
        let room = MOST - self.mailboxes.len();
        self.mailboxes.extend(other.mailboxes.into_iter().take(room));
    }

    /// Whether there is something of this kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.tallies.contains_key(&kind)
    }

    /// The mailboxes with which something is wrong, at most [`MOST`].
    #[must_use]
    pub fn mailboxes(&self) -> &BTreeSet<String> {
        &self.mailboxes
    }

    /// Why the snapshot is not proven, if it is not.
    #[must_use]
    pub fn verdict(&self) -> Option<Failed> {
        let engine = self.engine.iter().map(|failure| (failure.reason.to_string(), failure.message.clone()));
        let tallies = self.tallies.iter().map(|(kind, tally)| (kind.reason().to_owned(), tally.told(*kind)));
        let (reasons, words): (Vec<_>, Vec<_>) = engine.chain(tallies).unzip();
        Some(Failed { reason: reasons.into_iter().next()?, message: words.join(". ") })
    }
}

impl Tally {
    fn told(&self, kind: Kind) -> String {
        let more = if self.count > self.examples.len() as u64 { "; …" } else { "" };
        format!("{} ({}{more})", kind.counted(self.count), self.examples.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::restic::Reason;

    #[test]
    fn the_first_cause_is_the_reason_and_what_follows_from_it_is_told_too() {
        let mut findings = Findings::default();
        assert_eq!(findings.verdict(), None);
        findings.add(Kind::Message, Some("an@x.vn"), "UID 1 of f1 has other flags");
        assert_eq!(findings.verdict().unwrap().reason, "MessagesDiffer");
        for uid in 1..=4 {
            findings.add(Kind::FileMissing, Some("binh@x.vn"), format!("{uid}. of f2"));
        }
        findings.add(Kind::FileMissing, None, "1. of f3");
        let failed = findings.verdict().unwrap();
        assert_eq!(failed.reason, "FilesMissing");
        assert_eq!(
            failed.message,
            "5 messages have no file (binh@x.vn: 1. of f2; binh@x.vn: 2. of f2; binh@x.vn: 3. of f2; …). \
             1 message is not served as it was (an@x.vn: UID 1 of f1 has other flags)"
        );
        assert_eq!(findings.mailboxes().iter().collect::<Vec<_>>(), ["an@x.vn", "binh@x.vn"]);
        let mut other = Findings::default();
        other.add(Kind::Cyrus, None, "it ended: 1");
        assert_eq!(other.verdict().unwrap().message, "Cyrus does not serve what was restored (it ended: 1)");
        findings.engine(Failure::new(Reason::RepositoryDamaged, "a pack is gone"));
        findings.engine(Failure::new(Reason::NoSpace, "later"));
        let failed = findings.verdict().unwrap();
        assert!(
            failed.reason == "RepositoryDamaged" && failed.message.starts_with("a pack is gone. 5 messages")
        );
    }

    #[test]
    fn what_several_found_is_counted_together_and_names_end_somewhere() {
        let found = |mailbox: &str| {
            let mut findings = Findings::default();
            findings.add(Kind::Folder, Some(mailbox), "f1");
            findings
        };
        let mut all = Findings::default();
        for n in 0..MOST + 5 {
            all.merge(found(&format!("u{n}@x.vn")));
        }
        assert_eq!(all.mailboxes().len(), MOST);
        assert!(
            all.verdict().unwrap().message.starts_with("1005 folders or mailboxes are not served"),
            "all are counted"
        );
        let mut engine = Findings::default();
        engine.engine(Failure::new(Reason::Stalled, "s"));
        all.merge(engine);
        assert_eq!(all.verdict().unwrap().reason, "Stalled");
    }
}

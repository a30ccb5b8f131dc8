//! What came back of the objects, and what is said of what did not. Pure.

use std::collections::BTreeSet;

use crate::names::{RECOVER, SystemName};

/// So many problems are told.
const MOST: usize = 20;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The system.
    system: SystemName,
    /// Objects that were made.
    pub made: u64,
    /// Objects that were there already, and are as they were.
    pub there: u64,
    /// Objects that were not made for other reasons than their namespace.
    pub failed: u64,
    /// Objects whose namespace is not there or does not let them in.
    pub waiting: u64,
    /// Those namespaces.
    pub namespaces: BTreeSet<String>,
    /// What is wrong, a line for each; at most twenty.
    pub problems: Vec<String>,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was made.
    Made,
    /// It was there.
    There,
    /// Another one was there, which matters.
    Differs(String),
    /// Its namespace is not there, or does not let it in.
    Waits(String),
    /// It cannot be made.
    Failed(String),
}

impl Brought {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(system: SystemName) -> Self {
        let (namespaces, problems) = Default::default();
        Self { system, made: 0, there: 0, failed: 0, waiting: 0, namespaces, problems }
    }

    /// Notes what became of an object.
    pub fn note(&mut self, fate: Fate) {
        match fate {
            Fate::Made => self.made += 1,
            Fate::There => self.there += 1,
            Fate::Differs(problem) => {
                self.there += 1;
                self.problem(problem);
            }
            Fate::Waits(namespace) => {
                self.waiting += 1;
                self.namespaces.insert(namespace);
            }
            Fate::Failed(problem) => {
                self.failed += 1;
                self.problem(problem);
            }
        }
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        }
    }

    /// A reason and a message, if not all is there. Those that wait can be brought back when their namespaces are there.
    #[must_use]
    pub fn trouble(&self) -> Option<(&'static str, String)> {
        if !self.namespaces.is_empty() {
            let names: Vec<&str> = self.namespaces.iter().map(String::as_str).collect();
            let names = names.join(" ");
            let (waiting, system) = (self.waiting, &self.system);
            return Some((
                "NamespacesMissing",
                format!(
                    "{waiting} objects wait for namespaces that are not there, or do not let objects of {system} in: for n in {names}; do kubectl create namespace $n; kubectl annotate namespace $n {RECOVER}={system}; done"
                ),
            ));
        }
        (self.failed > 0).then(|| {
            let problems = self.problems.join("; ");
            ("ObjectsRefused", format!("{} objects could not be made: {problems}", self.failed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_said_as_a_command() {
        let mut brought = Brought::nothing(SystemName::new("mail", "province"));
        brought.note(Fate::Made);
        brought.note(Fate::There);
        brought.note(Fate::Differs("Secret mail/province-journal-key: another one is there".into()));
        assert_eq!((brought.trouble(), brought.made, brought.there), (None, 1, 2));
        for number in 0..30 {
            brought.note(Fate::Failed(format!("Mailbox n/m{number}: no")));
        }
        let (reason, message) = brought.trouble().unwrap();
        assert_eq!((reason, brought.problems.len()), ("ObjectsRefused", MOST));
        assert!(message.starts_with("30 objects could not be made: Secret mail/"), "{message}");
        brought.note(Fate::Waits("so-y-te".into()));
        brought.note(Fate::Waits("health".into()));
        let (reason, message) = brought.trouble().unwrap();
        assert_eq!(reason, "NamespacesMissing");
        assert!(message.ends_with("for n in health so-y-te; do kubectl create namespace $n; kubectl annotate namespace $n mail.angiang.gov.vn/recover=mail/province; done"), "{message}");
    }
}

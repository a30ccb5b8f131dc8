//! How many mailboxes and domains each mail system serves: what the MailSystem controller copies into status.

use std::collections::BTreeMap;

use super::{controller::Controller, departures::confirmation, system_work::SystemWork};
use crate::{api::system::ReviewSummary, names::SystemName};

/// Counts of every MailSystem that exists, zeros included. A system that is missing has not been counted yet.
pub type Census = BTreeMap<SystemName, Counts>;

/// What one system serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mailboxes whose own address is in the directory.
    pub mailboxes: u32,
    /// MailDomains whose domain is in the directory.
    pub domains: u32,
    /// Mailboxes that vanished in such numbers that their mail stays in place.
    pub vanished: u32,
    /// The word by which their deletion is confirmed; empty without any.
    pub confirmation: String,
    /// Which mailboxes are to be looked at, once all agents were read.
    pub review: Option<ReviewSummary>,
    /// Why the agents may not have the directory, if it is not only a matter of seconds.
    pub trouble: Option<DirectoryTrouble>,
}

/// Why agents do not have a system's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryTrouble {
    /// The API server had an older one than they, and they do not have the new issue yet.
    Restored,
    /// Somebody else has an object of a name that it needs.
    NameTaken(String),
    /// The API server refuses it, with these words.
    Refused(String),
}

impl Controller {
    /// Tells the counts where they differ, and how much is under way.
    pub(super) fn count(&self) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.pending.set(gauge(self.waiting.objects()));
        self.metrics.credentials.set(gauge(self.passwords));
        self.metrics.unreadable.set(gauge(self.unread.len()));
        self.metrics.usage.set(gauge(self.usage.waiting()));
        let counts = self.index.systems().filter(|(_, system)| system.loaded).map(|(name, system)| {
            let gone = self.index.vanished(name);
            let counts = Counts {
                mailboxes: system.mailboxes,
                domains: system.domain_count(),
                vanished: u32::try_from(gone.len()).unwrap_or(u32::MAX),
                review: self.usage.summary(name),
                trouble: self.systems.get(name).and_then(SystemWork::trouble),
                confirmation: if gone.is_empty() { String::new() } else { confirmation(&gone) },
            };
            ((**name).clone(), counts)
        });
        let counts: Census = counts.collect();
        self.census.send_if_modified(|census| {
            let differs = *census != counts;
            *census = counts;
            differs
        });
    }
}

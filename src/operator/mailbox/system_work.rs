//! What is under way for one system: when its directory is issued next, and its DKIM keys. Input is what changed and
//! the time; nothing here knows a client.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    census::DirectoryTrouble,
    dkim::{Keys, Wishes},
    issue::Issued,
    statuses::Target,
};
use crate::names::SystemName;

/// A change waits no longer than this for others.
const LONGEST: Duration = Duration::from_millis(200);
/// A change that no other follows is issued after this.
const QUIET: Duration = Duration::from_millis(40);
/// After an issue the next one waits this many times as long as that took, within [`BREATH`]: while thousands of objects
/// arrive, writing the same shards five times a second serves nobody.
const REST: u32 = 3;
/// The longest such wait.
const BREATH: Duration = Duration::from_millis(600);
/// Parts of a former number of shards stay this long, for agents that are about to read them.
pub const FORMER: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub struct SystemWork {
    /// Of the MailSystem.
    pub uid: Box<str>,
    /// What is written.
    pub issued: Issued,
    /// The number of the last issue.
    pub number: u64,
    /// Why the last issue failed, if not for a passing reason.
    pub failure: Option<DirectoryTrouble>,
    /// Numbers up to this one are not used any more: agents hold parts under them.
    pub floor: u64,
    /// Whether the API server had an older directory than the agents, who do not have the new issue yet.
    pub restored: bool,
    /// Objects that changed since the last issue began.
    pub touched: HashSet<Target>,
    /// Objects that the issue under way contains.
    pub included: Option<HashSet<Target>>,
    /// Parts that vanished while an issue was under way.
    pub lost: Vec<String>,
    /// When the issue under way was started.
    started: Option<Instant>,
    /// When the issue under way was first wanted.
    pub began: Option<Instant>,
    /// When former parts may be deleted.
    pub former: Option<Instant>,
    /// Its DKIM keys.
    pub dkim: Dkim,
    first: Option<Instant>,
    last: Option<Instant>,
    failures: u32,
    not_before: Option<Instant>,
}

/// The DKIM keys of a system.
#[derive(Debug, Default)]
pub struct Dkim {
    /// Whether the wishes may have changed.
    pub stale: bool,
    /// The wishes that were seen to; `None` before the first time.
    pub done: Option<Wishes>,
    /// When time alone may change something.
    pub due: Option<Instant>,
    /// What is in the Secret.
    pub keys: Keys,
    /// The marks that every Rspamd in service is known to sign with, by domain.
    pub confirmed: HashMap<String, String>,
    /// Whether they are being seen to.
    pub running: bool,
    /// When to try again.
    pub not_before: Option<Instant>,
}

impl SystemWork {
    /// For a system that was just seen.
    #[must_use]
    pub fn new(uid: Box<str>) -> Self {
        Self {
            uid,
            issued: Issued::default(),
            number: 0,
            failure: None,
            floor: 0,
            restored: false,
            touched: HashSet::new(),
            included: None,
            lost: Vec::new(),
            started: None,
            began: None,
            former: None,
            dkim: Dkim { stale: true, ..Dkim::default() },
            first: None,
            last: None,
            failures: 0,
            not_before: None,
        }
    }

    /// Its directory changed.
    pub fn changed(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Whether there is nothing to issue and nothing being issued.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.first.is_none() && self.included.is_none()
    }

    /// When the directory is to be issued: a moment after the last change, while no password is under way, and at the
    /// latest 200 ms after the first.
    #[must_use]
    pub fn issue_at(&self, passwords: usize) -> Option<Instant> {
        let (Some(first), Some(last), None) = (self.first, self.last, &self.included) else { return None };
        let latest = first + LONGEST;
        let wanted = if passwords == 0 { latest.min(last + QUIET) } else { latest };
        Some(self.not_before.map_or(wanted, |not_before| wanted.max(not_before)))
    }

    /// When anything is due at the latest.
    #[must_use]
    pub fn due(&self, passwords: usize) -> Option<Instant> {
        let dkim = self.dkim.not_before.filter(|_| self.dkim.stale);
        let dkim = [dkim, self.dkim.due].into_iter().flatten().min().filter(|_| !self.dkim.running);
        [self.issue_at(passwords), dkim, self.former].into_iter().flatten().min()
    }

    /// Why agents may not have the directory.
    #[must_use]
    pub fn trouble(&self) -> Option<DirectoryTrouble> {
        self.failure.clone().or_else(|| self.restored.then_some(DirectoryTrouble::Restored))
    }

    /// All parts count as not written, and are written under numbers above `number`.
    pub fn write_anew(&mut self, number: u64) {
        (self.floor, self.restored) = (self.floor.max(number), true);
        for part in self.issued.parts.values_mut() {
            part.digest = [0; 32];
        }
    }

    /// Parts that vanished count as not written, and nobody may be told that they were.
    pub fn strike_lost(&mut self) {
        for name in self.lost.drain(..) {
            self.issued.parts.remove(&name);
        }
    }

    /// Written parts that belong to another number of shards than `count`.
    pub fn former_parts<'a>(
        &'a self,
        name: &SystemName,
        count: u32,
    ) -> impl Iterator<Item = &'a String> + use<'a> {
        let index = name.directory();
        let current = format!("{index}-{count}-");
        self.issued.parts.keys().filter(move |part| **part != index && !part.starts_with(&current))
    }

    /// An issue begins: what was touched is in it.
    pub fn begin(&mut self, now: Instant) {
        self.started = Some(now);
        self.began = self.first.take();
        self.last = None;
        self.included = Some(std::mem::take(&mut self.touched));
    }

    /// An issue ended. Gives what it contained, unless it failed: then that is in the next one, which waits the longer
    /// the more failed.
    pub fn end(&mut self, succeeded: bool, now: Instant) -> HashSet<Target> {
        let included = self.included.take().unwrap_or_default();
        if succeeded {
            self.failures = 0;
            let took = self.started.map_or(Duration::ZERO, |started| now - started);
            self.not_before = Some(now + (took * REST).min(BREATH));
            return included;
        }
        self.touched.extend(included);
        self.first = self.began.or(self.first);
        self.last = Some(now);
        let pause = Duration::from_millis(500 << self.failures.min(6));
        self.failures += 1;
        self.not_before = Some(now + pause);
        HashSet::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_gathered_for_a_moment_and_never_longer_than_the_limit() {
        let mut work = SystemWork::new("u".into());
        let start = Instant::now();
        assert_eq!(work.issue_at(0), None);
        work.changed(start);
        assert_eq!(work.issue_at(0), Some(start + QUIET));
        assert_eq!(work.issue_at(1), Some(start + LONGEST), "a password is under way");
        work.changed(start + LONGEST);
        assert_eq!(work.issue_at(0), Some(start + LONGEST));
        work.begin(start + LONGEST);
        work.changed(start + LONGEST);
        assert_eq!(work.issue_at(0), None, "one at a time");
    }

    #[test]
    fn an_issue_that_took_long_is_followed_by_a_rest() {
        let mut work = SystemWork::new("u".into());
        let start = Instant::now();
        for (took, rest) in [(20, 60), (1000, 600)] {
            let (took, rest) = (Duration::from_millis(took), Duration::from_millis(rest));
            work.changed(start);
            work.begin(start);
            work.end(true, start + took);
            work.changed(start);
            assert_eq!(work.issue_at(0), Some((start + QUIET).max(start + took + rest)));
        }
    }

    #[test]
    fn what_a_failed_issue_contained_is_in_the_next_one() {
        let mut work = SystemWork::new("u".into());
        let start = Instant::now();
        let target = Target::Domain(crate::operator::mailbox::index::ObjectName::new("n", "d").into());
        work.touched.insert(target.clone());
        work.changed(start);
        work.begin(start);
        assert!(work.end(false, start).is_empty());
        assert_eq!(work.issue_at(0), Some(start + Duration::from_millis(500)));
        work.begin(start);
        assert!(work.end(true, start).contains(&target) && work.is_quiet());
    }
}

//! The controller's part: asking agents, taking what they say, writing what is due.

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{
    EVERY, SOON, When,
    read::{Read, Said, Source, read},
    summary::Told,
};
use crate::operator::mailbox::{
    agents::Beside,
    controller::Controller,
    index::{Key, Published},
    outcome::Outcome,
    statuses::{Target, Word},
};

/// A write that failed is tried again after so many seconds.
const AGAIN: i64 = 60;

impl Controller {
    /// Asks the agents, if it is time.
    pub(in crate::operator::mailbox) fn ask_usage(&mut self, now: Instant) {
        if self.usage.due.is_none_or(|due| due > now) {
            return;
        }
        self.usage.due = None;
        let agents = &self.agents;
        self.usage.cursors.keep(|pod| agents.system_of(pod).is_some());
        let sources = agents.tellers().filter_map(|(pod, about)| {
            let ip = about.ip.clone()?;
            let cursor = self.usage.cursors.of(pod, &ip);
            Some(Source { pod: pod.clone(), ip, beside: about.beside, cursor })
        });
        let sources: Vec<_> = sources.collect();
        let ips = sources.iter().map(|source| (source.pod.clone(), source.ip.clone())).collect();
        self.tasks.spawn(async move { Outcome::Usage(ips, read(sources).await) });
    }

    /// Takes what agents said.
    pub(in crate::operator::mailbox) fn usage_read(&mut self, ips: &BTreeMap<Key, String>, reads: Vec<Read>) {
        let clock = Timestamp::now().as_second();
        let more = reads.iter().any(|read| read.more);
        self.usage.due = Some(Instant::now() + if more { SOON } else { EVERY });
        let mut touched = HashSet::new();
        for Read { pod, cursor, said, .. } in reads {
            let Some(system) = self.agents.system_of(&pod) else { continue };
            for said in said {
                let (address, owner) = said.whose();
                let Some(key) = self.index.owned(&system, address, owner).cloned() else { continue };
                if let Some(entry) = self.usage.entries.get_mut(&key) {
                    entry.known = match &said {
                        Said::Store(told) => entry.known.with_store(told),
                        Said::Gateway(told) => entry.known.with_gateway(&told.account),
                    };
                    touched.insert(key);
                }
            }
            if let Some(ip) = ips.get(&pod) {
                self.usage.cursors.set(pod, ip.clone(), cursor);
            }
        }
        if self.note_told() {
            self.usage.sweep = Instant::now();
        }
        // Members read what they share.
        let shared: Vec<Key> = touched.iter().flat_map(|key| self.index.shared_by(key)).cloned().collect();
        touched.extend(shared);
        self.usage.look(&touched, &self.index, Instant::now(), clock);
    }

    /// Which systems' agents have all been read. Whether one more has.
    fn note_told(&mut self) -> bool {
        let mut news = false;
        let systems: Vec<_> = self.index.system_names();
        for name in systems {
            let mut told = Told { kept: Some(i64::MAX), stores: true };
            let (mut gateways, mut stores) = (0, 0);
            for (pod, about) in self.agents.tellers().filter(|(_, about)| about.system == *name) {
                let cursor = about.ip.as_ref().map(|ip| self.usage.cursors.of(pod, ip)).unwrap_or_default();
                if about.beside == Beside::Gateway {
                    gateways += 1;
                    told.kept = told.kept.filter(|_| cursor.complete).map(|at| at.min(cursor.began.into()));
                } else {
                    stores += 1;
                    told.stores &= cursor.complete;
                }
            }
            let wanted = self.index.system(&name).map_or(1, |system| system.fact.stores);
            told.kept = told.kept.filter(|_| gateways > 0);
            told.stores &= stores >= wanted;
            news |= self.usage.summary.tell(&name, told);
        }
        news
    }

    /// Looks at mailboxes that changed, and writes what is due.
    pub(in crate::operator::mailbox) fn tend_usage(&mut self, now: Instant) {
        let clock = Timestamp::now().as_second();
        self.ask_usage(now);
        if now >= self.usage.sweep {
            self.usage.look(&HashSet::new(), &self.index, now, clock);
        }
        while let Some(key) = self.usage.pace.next(now, clock) {
            self.say_usage(&key, clock);
        }
        self.usage.summary.count(&self.index, now);
    }

    /// Mailboxes changed otherwise.
    pub(in crate::operator::mailbox) fn review_usage(&mut self, changed: &HashSet<Key>, now: Instant) {
        if !changed.is_empty() {
            self.usage.summary.touch();
            self.usage.look(changed, &self.index, now, Timestamp::now().as_second());
        }
    }

    /// Writes the use of a mailbox, and has it reviewed if its marks differ.
    fn say_usage(&mut self, key: &Key, clock: i64) {
        if let Some(entry) = self.usage.entries.get_mut(key) {
            entry.place = super::Place::None;
        }
        let Some(mailbox) = self.index.mailbox(key) else { return };
        let marks = self.usage.marks(key, mailbox, &self.index, clock);
        let (shared, uid) = (mailbox.fact.has_members(), mailbox.fact.meta.uid.to_string());
        if let Some(entry) = self.usage.entries.get_mut(key) {
            let known = entry.known;
            if known.told(shared) != entry.told.told(shared) && entry.writing.is_none() {
                entry.writing = Some(known);
                let status = known.patch(shared);
                // Every write is one of its own: no digest is another's.
                let published =
                    Published { digest: super::mark(&status.to_string()), ..Published::default() };
                let word = Word { uid, status, published, trouble: Vec::new() };
                self.statuses.push(Target::Usage(key.clone()), word);
                if marks != mailbox.marks {
                    // Its conditions are another write.
                    self.usage.pace.charge();
                }
            }
        }
        if marks != mailbox.marks {
            self.index.mark(key, marks);
            self.usage.summary.touch();
        }
    }

    /// What became of a write.
    pub(in crate::operator::mailbox) fn usage_written(&mut self, key: &Key, done: bool) {
        let clock = Timestamp::now().as_second();
        let Some(entry) = self.usage.entries.get_mut(key) else { return };
        match entry.writing.take().filter(|_| done) {
            Some(written) => {
                (entry.told, entry.told_at) = (written, clock);
                self.usage.put(key, &self.index, clock);
            }
            None => entry.place = self.usage.pace.put(key, entry.place, When::At(clock + AGAIN)),
        }
    }
}

//! An API server that was restored from a backup has an older directory than the agents, who refuse it: what is written
//! there reaches nobody, and looks as if it had. It shows in what they report, and in the Secrets when their watch has to
//! start over. The directory is then issued again under higher numbers, and nothing counts as served until they have that.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    controller::Controller,
    index::{ObjectName, System},
    load::{self, Loaded},
    outcome::Outcome,
    statuses::Target,
    system_work::SystemWork,
};
use crate::names::SystemName;

impl Controller {
    /// Whether the agents of the system may hold a directory of before a restore.
    pub(super) fn is_restored(&self, name: &SystemName) -> bool {
        self.systems.get(name).is_some_and(|work| work.restored)
    }

    /// Asks the agents of the system what they hold: it, or one of them, has just come.
    pub(super) fn audit(&mut self, name: &SystemName) {
        if !self.index.system(name).is_some_and(|system| system.loaded) {
            return;
        }
        let now = Instant::now();
        let target = target(name);
        self.waiting.wait(target.clone(), now);
        self.waiting.issued(&target, 0, now);
    }

    /// Compares what agents hold with what is written.
    pub(super) fn notice_restored(&mut self) {
        let names: Vec<_> =
            self.index.systems().filter(|(_, it)| it.loaded).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(work) = self.systems.get(&name).filter(|work| work.included.is_none()) else { continue };
            // While an issue is under way, agents may have it before we know that it is written.
            let highest =
                work.issued.parts.values().map(|part| part.issued).max().unwrap_or_default().max(work.floor);
            let known =
                |part: &str| work.issued.parts.get(part).map_or(highest, |part| part.issued.max(work.floor));
            if let Some(number) = self.agents.beyond(&name, known) {
                self.issue_anew(&name, number);
            }
        }
    }

    /// Issues all of a directory under numbers above `number`.
    fn issue_anew(&mut self, name: &Arc<SystemName>, number: u64) {
        let Some(work) = self.systems.get_mut(name) else { return };
        tracing::warn!(system = %name, number, "the API server has an older directory than the agents, as after a restore; it is issued again");
        self.metrics.restored.inc();
        work.write_anew(number);
        self.index.rewrite(name);
        let mut mailboxes = self.index.mailbox_keys();
        mailboxes.retain(|key| self.index.listed_in(key).is_some_and(|it| it == *name));
        for key in mailboxes {
            self.wait_anew(name, Target::Mailbox(key.clone()));
            self.review_mailbox(&key);
        }
        let mut groups = self.index.group_keys();
        groups.retain(|key| self.index.group_in(key).is_some_and(|it| it == *name));
        for key in groups {
            self.wait_anew(name, Target::Group(key.clone()));
            self.review_group(&key);
        }
        let now = Instant::now();
        let mut domains = self.index.domain_keys();
        domains.retain(|key| self.index.standing(key) == Ok(name));
        for key in domains {
            self.wait_anew(name, Target::Domain(key.clone()));
            self.due_domains.insert(key, now);
        }
        self.audit(name);
    }

    fn wait_anew(&mut self, name: &SystemName, target: Target) {
        self.waiting.restart(&target);
        if let Some(work) = self.systems.get_mut(name) {
            work.touched.insert(target);
        }
    }

    /// Whether every agent in service has answered, and holds what was issued anew, if it was.
    pub(super) fn is_audited(&self, name: &SystemName) -> bool {
        let (Some(system), Some(work)) = (self.index.system(name), self.systems.get(name)) else {
            return true;
        };
        if !work.restored {
            return self.agents.all_answered(name);
        }
        let count = system.count();
        let shards = (0..count).map(|shard| name.directory_shard(count, shard));
        let issued = |part: String| Some((part.clone(), work.issued.parts.get(&part)?.issued));
        let parts: Option<Vec<_>> = shards.chain([name.directory()]).map(issued).collect();
        let Some(parts) = parts.filter(|_| is_issued(system, work)) else { return false };
        (0..system.fact.stores).all(|store| self.agents.hold(name, Some(store), &parts))
    }

    /// The agents of the system have what is written.
    pub(super) fn audited(&mut self, target: &Target) {
        let name = self.system_of(target);
        if let Some(work) = name.and_then(|name| self.systems.get_mut(&name)) {
            work.restored = false;
        }
    }

    /// The watch of the directories' Secrets had to start over: they may be others than those that were written.
    pub(super) fn read_again(&mut self) {
        for (name, work) in &self.systems {
            self.tasks.spawn(read(self.client.clone(), name.clone(), work.uid.clone(), work.number));
        }
    }

    /// Compares what the Secrets are with what was written.
    pub(super) fn reread(
        &mut self,
        name: &Arc<SystemName>,
        uid: &str,
        number: u64,
        loaded: Result<Loaded, kube::Error>,
    ) {
        let Some(work) = self.systems.get(name).filter(|work| *work.uid == *uid) else { return };
        let Some(system) = self.index.system(name).filter(|system| system.loaded) else { return };
        if work.number != number || !is_issued(system, work) {
            // It was written meanwhile.
            self.tasks.spawn(read(self.client.clone(), name.clone(), work.uid.clone(), work.number));
            return;
        }
        let Ok(Loaded { issued, .. }) = loaded else { return };
        let differs = work.issued.parts.iter().any(|(part, written)| issued.parts.get(part) != Some(written));
        if differs {
            let numbers = work.issued.parts.values().chain(issued.parts.values()).map(|part| part.issued);
            let highest = numbers.max().unwrap_or_default();
            self.issue_anew(name, highest);
        }
    }
}

async fn read(client: kube::Client, name: Arc<SystemName>, uid: Box<str>, number: u64) -> Outcome {
    tokio::time::sleep(super::controller::LATER / 6).await;
    let loaded = load::load(&client, &name, &uid).await;
    Outcome::Reread(name, uid, number, loaded)
}

/// Whether nothing is to be issued and nothing is being issued.
fn is_issued(system: &System, work: &SystemWork) -> bool {
    !system.is_dirty() && work.is_quiet()
}

fn target(name: &SystemName) -> Target {
    Target::System(ObjectName::new(&name.namespace, &name.name).into())
}

//! Starting what is due: issues of directories, questions to agents, and the end of former parts.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::DeleteParams};
use tokio::time::Instant;

use super::{
    agents, controller::Controller, index::System, issue::Issue, outcome::Outcome, statuses::Target,
};
use crate::names::SystemName;

impl Controller {
    /// Begins the issues whose time has come.
    pub(super) fn issue_due(&mut self, now: Instant) {
        let names: Vec<_> = self.systems.keys().cloned().collect();
        for name in names {
            let Some(work) = self.systems.get_mut(&name) else { continue };
            let dirty =
                self.listings.secrets.complete && self.index.system(&name).is_some_and(System::is_dirty);
            if dirty && self.index.take_fresh(&name) {
                work.changed(now);
            }
            if work.is_quiet() {
                for target in std::mem::take(&mut work.touched) {
                    self.waiting.issued(&target, work.number, now);
                }
            }
            if work.issue_at(self.passwords).is_some_and(|at| at <= now) {
                self.issue(&name, now);
            }
            self.sign_due(&name, now);
            self.delete_former(&name, now);
        }
    }

    fn issue(&mut self, name: &std::sync::Arc<SystemName>, now: Instant) {
        let (Some(work), Some(compiled)) = (self.systems.get_mut(name), self.index.compile(name)) else {
            return;
        };
        work.begin(now);
        let issue = Issue {
            client: self.client.clone(),
            metrics: self.metrics.clone(),
            system: (**name).clone(),
            uid: work.uid.to_string(),
            floor: work.floor,
            compiled,
        };
        let (name, uid, mut issued) = (name.clone(), work.uid.clone(), work.issued.clone());
        self.tasks.spawn(async move {
            let result = issue.run(&mut issued).await;
            Outcome::Issued(name, uid, issued, result)
        });
    }

    /// Deletes the parts of a former number of shards.
    fn delete_former(&mut self, name: &SystemName, now: Instant) {
        let Some(work) = self.systems.get_mut(name) else { return };
        if work.included.is_some() || work.former.is_none_or(|at| at > now) {
            return;
        }
        work.former = None;
        let count = self.index.system(name).map_or(1, System::count);
        let former: Vec<String> = work.former_parts(name, count).cloned().collect();
        for part in former {
            work.issued.parts.remove(&part);
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &name.namespace);
            let metrics = self.metrics.clone();
            self.tasks.spawn(async move {
                let deleted = api.delete(&part, &DeleteParams::default()).await;
                metrics.wrote("directory", if deleted.is_ok() { "ok" } else { "failed" });
                Outcome::Nothing
            });
        }
    }

    /// Asks the agents, if something waits and it is time.
    pub(super) fn poll_due(&mut self, now: Instant) {
        if self.waiting.due().is_none_or(|due| due > now) {
            return;
        }
        let wanted: HashSet<_> = self
            .waiting
            .iter()
            .filter(|(_, wait)| wait.number.is_some())
            .filter_map(|(target, _): (&Target, _)| self.system_of(target))
            .collect();
        let pods = self.agents.to_ask(|system| wanted.contains(system));
        self.waiting.asking = true;
        self.tasks.spawn(async move { Outcome::Answers(agents::ask(pods).await) });
    }
}

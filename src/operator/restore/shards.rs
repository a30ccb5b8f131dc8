//! The Jobs of a restore, one for each shard: what they are told, and how far they are in words.

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};

use super::{fetch::Found, turn::Turn};
use crate::{
    api::MailRestore,
    job::{RestoreWork, Stores, Work},
    names::ports,
    operator::{
        backup::{
            context::BackupError,
            jobs::{ShardJob, State},
            lease::Claim,
            write,
        },
        desired::backup::{self as desired, Extra, Of},
    },
};

impl Turn<'_> {
    pub(super) fn claim(&self, found: &Found) -> Claim {
        let (namespace, name) = (self.restore.namespace().unwrap_or_default(), self.restore.name_any());
        let lease = found.validated.place.lease(&namespace);
        Claim::new(&namespace, lease, ("MailRestore", &name), &name)
    }

    pub(super) fn work(
        &self,
        found: &Found,
        (shard, id): (u32, &str),
        stores: &BTreeMap<u32, Stores>,
    ) -> Work {
        let spec = &self.restore.spec;
        let fold = |address: &String| address.to_lowercase();
        let target = spec.target.clone().map(|mut target| {
            target.mailbox = target.mailbox.as_ref().map(fold);
            target
        });
        Work::Restore(RestoreWork {
            repository: found.validated.place.repository(&found.validated.system, shard),
            snapshot: id.to_owned(),
            addresses: spec.mailboxes.addresses.iter().map(fold).collect(),
            filter: spec.messages.clone().unwrap_or_default(),
            target,
            dry_run: spec.dry_run,
            shard,
            stores: stores.clone(),
        })
    }

    /// Makes a Job, and what its pod may reach.
    pub(super) async fn create(
        &self,
        found: &Found,
        name: String,
        shard: u32,
        work: &Work,
    ) -> Result<(), BackupError> {
        let client = &self.context.settings.client;
        let Some(owner) = self.restore.controller_owner_ref(&()) else { return Ok(()) };
        let of = Of { owner: &owner, ..found.validated.of() };
        let login = matches!(work, Work::Restore(_));
        let extra = Extra { run: self.restore.name_any(), shard, login, ..Extra::default() };
        write::policy(client, &found.validated).await?;
        write::job(client, &desired::job(&of, name, work, &extra)).await
    }
}

/// The mailbox, or how many.
pub(super) fn what(restore: &MailRestore) -> String {
    match restore.spec.mailboxes.addresses.as_slice() {
        [] => "all".to_owned(),
        [one] => one.clone(),
        several => format!("{} mailboxes", several.len()),
    }
}

/// The stores of each shard; none without a MailSystem.
pub(super) fn stores(found: &Found) -> Option<BTreeMap<u32, Stores>> {
    let spec = &found.fetched.system.as_ref()?.spec.store;
    let name = &found.validated.system;
    let pods = spec.replicas.max(1);
    let of = |shard| (shard, Stores { host: name.store_peer_pattern(shard), pods, port: ports::ROLE });
    Some((0..spec.shards).map(of).collect())
}

/// How far it is, and what a pod waits for.
pub(super) fn progress(jobs: &[ShardJob], parts: usize) -> (String, Option<String>) {
    let ended = jobs.iter().filter(|job| matches!(job.state, State::Ended(_))).count();
    let several = parts > 1;
    let mut words: Vec<_> =
        several.then(|| format!("{ended} of {parts} shards are done")).into_iter().collect();
    let mut why = None;
    for job in jobs {
        let shard = if several { format!("shard {}: ", job.shard) } else { String::new() };
        match &job.state {
            State::Running(at) => words.push(format!(
                "{shard}{} {} %, {} mailboxes, {} messages",
                at.phase, at.percent, at.mailboxes, at.messages
            )),
            State::Pending(reason) => {
                words.push(format!("{shard}its pod starts"));
                why = why.or_else(|| reason.clone());
            }
            State::Ended(_) => {}
        }
    }
    (words.join("; "), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Progress;

    #[test]
    fn progress_is_told_in_words() {
        let job = |shard, state| crate::operator::backup::testing::job(shard, state);
        let running =
            Progress { phase: "Restoring".into(), percent: 42, mailboxes: 3, messages: 7, bytes: 0 };
        let jobs = [job(0, State::Running(running)), job(1, State::Pending(Some("no node".into())))];
        let (text, why) = progress(&jobs, 3);
        assert_eq!(
            text,
            "0 of 3 shards are done; shard 0: Restoring 42 %, 3 mailboxes, 7 messages; shard 1: its pod starts"
        );
        assert_eq!(why.as_deref(), Some("no node"));
        assert!(progress(&jobs[..1], 1).0.starts_with("Restoring 42 %"));
    }
}

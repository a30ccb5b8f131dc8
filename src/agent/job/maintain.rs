//! Keeps a repository in order: lists its snapshots, forgets those that are named, removes what none needs, reads all data if it
//! is asked to, and says how large it is. A repository is never made here.
//!
//! Whoever runs this knows that nobody else uses the repository: locks that killed Jobs left are removed before it is changed.

use std::collections::BTreeSet;

use super::context::Context;
use crate::{
    backup::{
        restic::{self, CheckReport, Failure, Restic, SnapshotId, Subset},
        snapshots::{another, ours},
    },
    job::{MaintainDone, MaintainWork, Progress, Stored},
};

/// Keeps it in order.
pub(super) async fn run(work: MaintainWork, context: &Context) -> MaintainDone {
    let restic = context.restic(&work.repository);
    let mut order = Order { work: &work, context, restic: &restic, snapshots: Vec::new(), size: None };
    let failed = order.keep().await.err().map(Into::into);
    MaintainDone { snapshots: order.snapshots, size: order.size, failed }
}

struct Order<'a> {
    work: &'a MaintainWork,
    context: &'a Context,
    restic: &'a Restic,
    /// Those that were listed last.
    snapshots: Vec<Stored>,
    size: Option<u64>,
}

impl Order<'_> {
    async fn keep(&mut self) -> Result<(), Failure> {
        self.tell("Listing", 0);
        self.restic.version(&mut self.context.control(&mut |_| ())).await?;
        self.list().await?;
        if !self.work.forget.is_empty() {
            self.forget().await?;
        }
        if self.work.read {
            self.read().await?;
        }
        self.tell("Measuring", 99);
        self.size = Some(self.restic.size().await?);
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Failure> {
        let all = self.restic.snapshots(&mut self.context.control(&mut |_| ())).await?;
        another(&all, &self.work.repository.system).map_or(Ok(()), Err)?;
        self.snapshots = ours(&all, &self.work.repository);
        Ok(())
    }

    /// A try that was killed may have forgotten some of them: then what is left is done.
    async fn forget(&mut self) -> Result<(), Failure> {
        self.restic.unlock(true, &mut self.context.control(&mut |_| ())).await?;
        let ids = there(&self.snapshots, &self.work.forget);
        if !ids.is_empty() {
            self.tell("Forgetting", 10);
            self.restic.forget(&ids, &mut self.context.control(&mut |_| ())).await?;
            self.list().await?;
        }
        self.tell("Pruning", 20);
        self.restic.prune(&mut self.context.control(&mut |_| ())).await
    }

    async fn read(&mut self) -> Result<(), Failure> {
        self.tell("Reading", 50);
        // A lock of a killed Job would hinder it as well.
        self.restic.unlock(true, &mut self.context.control(&mut |_| ())).await?;
        let context = self.context;
        let mut told = |at: restic::Progress| {
            let bytes = at.bytes;
            context.told.progress(Progress { bytes, ..progress("Reading", 50) });
        };
        let report = self.restic.check(Subset::Everything, &mut context.control(&mut told)).await?;
        found(report)
    }

    fn tell(&self, phase: &str, percent: u32) {
        self.context.told.progress(progress(phase, percent));
    }
}

fn progress(phase: &str, percent: u32) -> Progress {
    Progress { phase: phase.to_owned(), percent, ..Progress::default() }
}

/// Those of the ids that are listed as ours. Others are not touched.
fn there(listed: &[Stored], wanted: &BTreeSet<String>) -> Vec<SnapshotId> {
    let named = listed.iter().filter(|stored| wanted.contains(&stored.id));
    named.filter_map(|stored| SnapshotId::parse(&stored.id)).collect()
}

/// A repository that is damaged is told with its packs.
fn found(report: CheckReport) -> Result<(), Failure> {
    report.outcome.map_err(|failure| match report.broken_packs.as_slice() {
        [] => failure,
        packs => {
            let message =
                format!("{}; {} packs are damaged, {} is one", failure.message, packs.len(), packs[0]);
            Failure::new(failure.reason, message)
        }
    })
}

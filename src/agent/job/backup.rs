//! Backs up a store's volume: what a Job is told becomes a job of the engine, what it came to becomes what a Job says.

use std::sync::{Arc, Mutex, PoisonError};

use super::context::Context;
use crate::{
    agent::store::backup::{
        check::Depth,
        run::{self as engine, Job, Phase, Report},
    },
    backup::{manifest::Head, restic::SnapshotId, snapshots::stored},
    job::{BackupDone, BackupWork, Failed, Progress},
};

/// Backs up.
pub(super) async fn run(work: BackupWork, context: &Context) -> BackupDone {
    let report = engine::run(job(&work, context), context.cancel.clone(), follower(context)).await;
    done(report)
}

fn job(work: &BackupWork, context: &Context) -> Job {
    let BackupWork { repository, run, shard, pod, lag, create, expected, mailboxes, objects } = work.clone();
    Job {
        volume: context.folders.volume.clone(),
        head: Head { system: repository.system.clone(), shard, pod, run, frozen: 0, lag },
        restic: context.restic(&repository),
        host: repository.host,
        create,
        // The operator has one Job at a time on a repository.
        alone: true,
        expected: expected.iter().filter_map(|id| SnapshotId::parse(id)).collect(),
        depth: Depth::Digest,
        mailboxes,
        objects: objects.then(|| context.folders.objects.clone()),
    }
}

fn done(report: Report) -> BackupDone {
    let Report { verdict, snapshot, lacking, took, .. } = report;
    let stored = snapshot.as_ref().map(stored);
    let failed = verdict.outcome.as_ref().err();
    BackupDone {
        snapshot: stored.filter(|stored| verdict.outcome.as_ref().is_ok_and(|id| id.as_str() == stored.id)),
        failed: failed
            .map(|(reason, message)| Failed { reason: reason.to_string(), message: message.clone() }),
        vanished: verdict.vanished.iter().map(ToString::to_string).collect(),
        lacking,
        took: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn follower(context: &Context) -> engine::Progress {
    let (told, last) = (context.told.clone(), Mutex::new(Progress::default()));
    Arc::new(move |phase| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = next(&last, phase);
        told.progress(last.clone());
    })
}

/// How far it is, after what is known of before. Storing is most of the work; what is to be stored is counted while it is
/// stored, and no figure gets less for it.
fn next(last: &Progress, phase: Phase) -> Progress {
    let of = |part: u64, all: u64, width: u64| (part.min(all) * width).checked_div(all).unwrap_or(0);
    let (name, percent) = match phase {
        Phase::Opening => ("Opening", 0),
        Phase::Waiting => ("Waiting", 1),
        Phase::Freezing => ("Freezing", 2),
        Phase::Surveying(at) => ("Surveying", 5 + of(at.mailboxes, at.of, 15)),
        Phase::Storing(at) => ("Storing", 20 + of(at.bytes, at.total_bytes, 75)),
        Phase::Checking => ("Checking", 96),
    };
    let mut next = Progress {
        phase: name.to_owned(),
        percent: last.percent.max(u32::try_from(percent).unwrap_or_default()),
        ..*last
    };
    match phase {
        Phase::Surveying(at) => (next.mailboxes, next.messages) = (at.mailboxes, at.messages),
        Phase::Storing(at) => next.bytes = next.bytes.max(at.bytes),
        _ => {}
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::store::backup::survey, backup::restic};

    #[test]
    fn figures_only_rise() {
        let storing = |bytes, total_bytes| {
            Phase::Storing(restic::Progress { bytes, total_bytes, ..restic::Progress::default() })
        };
        let phases = [
            Phase::Opening,
            Phase::Waiting,
            Phase::Freezing,
            Phase::Surveying(survey::Progress { mailboxes: 2, of: 4, messages: 11 }),
            storing(0, 0),
            storing(50, 100),
            storing(60, 200),
            storing(200, 200),
            Phase::Checking,
        ];
        let told = phases.iter().scan(Progress::default(), |last, phase| {
            *last = next(last, *phase);
            Some((last.percent, last.mailboxes, last.messages, last.bytes))
        });
        let expected = [
            (0, 0, 0, 0),
            (1, 0, 0, 0),
            (2, 0, 0, 0),
            (12, 2, 11, 0),
            (20, 2, 11, 0),
            (57, 2, 11, 50),
            (57, 2, 11, 60),
            (95, 2, 11, 200),
            (96, 2, 11, 200),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

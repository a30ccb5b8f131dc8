//! How far a run is. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    jobs::{Answer, ShardJob, State},
    work::estimate,
};
use crate::{api::backup::Running, job::Progress};

/// What is said of a run now. Figures alone change only when `due`.
#[must_use]
pub fn progress(before: &Running, jobs: &[ShardJob], shards: u32, due: bool, now: Timestamp) -> Running {
    let percent: u64 = jobs.iter().map(|job| u64::from(percent(&job.state))).sum();
    let percent = u32::try_from(percent / u64::from(shards.max(1))).unwrap_or_default().min(99);
    let text = text(jobs, shards, percent);
    if !due && percent == before.percent && text == before.progress {
        return before.clone();
    }
    let started = before.started.as_ref().map(|at| at.0);
    let (mailboxes, bytes) = jobs.iter().map(counted).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    Running {
        progress: text,
        percent,
        mailboxes: mailboxes.max(before.mailboxes),
        bytes: bytes.max(before.bytes),
        estimated: started.and_then(|started| estimate(started, now, percent)).map(Time),
        ..before.clone()
    }
}

fn percent(state: &State) -> u32 {
    match state {
        State::Pending(_) => 0,
        State::Running(progress) => progress.percent.min(99),
        State::Ended(_) => 100,
    }
}

fn counted(job: &ShardJob) -> (u64, u64) {
    match &job.state {
        State::Running(Progress { mailboxes, bytes, .. }) => (*mailboxes, *bytes),
        State::Ended(Ok(Answer::Backup(done))) => {
            let stored = done.snapshot.as_ref();
            (stored.and_then(|stored| stored.mailboxes).unwrap_or_default(), 0)
        }
        State::Ended(Ok(Answer::Verify(done))) => (done.counted.mailboxes, 0),
        _ => (0, 0),
    }
}

fn text(jobs: &[ShardJob], shards: u32, percent: u32) -> String {
    let going = jobs.iter().filter(|job| !matches!(job.state, State::Ended(_)));
    let said: Vec<_> = going
        .map(|job| {
            let shard = if shards > 1 { format!("shard {}: ", job.shard) } else { String::new() };
            let what = match &job.state {
                State::Pending(Some(why)) => why.clone(),
                State::Running(progress) if !progress.phase.is_empty() => progress.phase.clone(),
                _ => "Starting".to_owned(),
            };
            format!("{shard}{what}")
        })
        .collect();
    let what = if said.is_empty() { "Starting".to_owned() } else { said.join(", ") };
    format!("{what} ({percent} %)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::backup::testing::{job, stored};

    #[test]
    fn percent_is_of_all_shards_and_figures_wait_for_their_turn() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let running = |percent, bytes| {
            State::Running(Progress {
                phase: "Storing".into(),
                percent,
                bytes,
                mailboxes: 7,
                ..Progress::default()
            })
        };
        let before = Running { started: Some(Time(at(0))), ..Running::default() };
        let done = State::Ended(Ok(Answer::Backup(stored(0, "r"))));
        let first = progress(&before, &[job(0, done.clone()), job(1, running(50, 10))], 2, false, at(75));
        assert_eq!((first.progress.as_str(), first.percent), ("shard 1: Storing (75 %)", 75));
        assert_eq!((first.mailboxes, first.bytes), (9, 10));
        assert_eq!(first.estimated, Some(Time(at(100))));
        let jobs = [job(0, done), job(1, running(50, 11))];
        assert_eq!(progress(&first, &jobs, 2, false, at(80)), first, "only a figure");
        assert_eq!(progress(&first, &jobs, 2, true, at(80)).bytes, 11);
        let slow = [job(0, State::Pending(Some("pod x is not scheduled".into())))];
        assert_eq!(progress(&before, &slow, 1, false, at(9)).progress, "pod x is not scheduled (0 %)");
    }
}

//! Who serves, asked of both stores all the time. From answers come periods in which a store certainly served: an epoch is
//! never resumed, so a store that served it at two moments did so all the time between. That two such periods of different
//! stores meet is proof of the worst that can happen here.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::pair::Pair;

/// Between two questions to a store.
const PERIOD: Duration = Duration::from_millis(100);

/// A store certainly served all this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) ordinal: usize,
    pub(crate) epoch: u64,
    /// When the first answer that said so had come.
    from: Instant,
    /// When the last question was sent whose answer said so.
    to: Instant,
}

/// Both stores are being asked, until this is dropped.
pub(crate) struct Watch {
    stop: DropGuard,
    observers: [JoinHandle<Vec<Period>>; 2],
}

impl Watch {
    /// Begins to ask.
    pub(crate) fn start(pair: &Pair) -> Self {
        let stop = CancellationToken::new();
        let observers = [0, 1].map(|ordinal| tokio::spawn(observe(pair.clone(), ordinal, stop.clone())));
        Self { stop: stop.drop_guard(), observers }
    }

    /// Ends asking.
    pub(crate) async fn end(self) -> Periods {
        drop(self.stop);
        let mut periods = Vec::new();
        for observer in self.observers {
            periods.extend(observer.await.unwrap());
        }
        periods.sort_by_key(|period| period.from);
        Periods(periods)
    }
}

async fn observe(pair: Pair, ordinal: usize, stop: CancellationToken) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    while !stop.is_cancelled() {
        let sent = Instant::now();
        if let Ok(report) = pair.report(ordinal).await
            && report.serving
        {
            let came = Instant::now();
            match periods.iter_mut().find(|period| period.epoch == report.epoch) {
                Some(period) => period.to = sent,
                None => periods.push(Period { ordinal, epoch: report.epoch, from: came, to: sent }),
            }
        }
        sleep(PERIOD).await;
    }
    periods
}

/// All periods of service, by their beginning.
pub(crate) struct Periods(Vec<Period>);

impl Periods {
    /// Of a store beside whose period there was one of the other; none, if all is well.
    pub(crate) fn overlap(&self) -> Option<(Period, Period)> {
        self.0.iter().enumerate().find_map(|(number, one)| {
            let meets = |other: &&Period| {
                one.ordinal != other.ordinal && one.from.max(other.from) < one.to.min(other.to)
            };
            self.0[number + 1..].iter().find(meets).map(|other| (*one, *other))
        })
    }

    /// A pair of periods of which the later has an epoch that is not later, or is of the wrong pod.
    pub(crate) fn disorder(&self) -> Option<(Period, Period)> {
        self.0.windows(2).map(|two| (two[0], two[1])).find(|(former, later)| former.epoch >= later.epoch)
    }

    /// The longest time between two periods of service.
    pub(crate) fn longest_break(&self) -> Duration {
        let breaks = self.0.windows(2).map(|two| two[1].from.saturating_duration_since(two[0].to));
        breaks.max().unwrap_or_default()
    }
}

impl fmt::Display for Periods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return f.write_str("nobody served") };
        for period in &self.0 {
            let at = |time: Instant| time.saturating_duration_since(first.from).as_secs_f32();
            let (from, to) = (at(period.from), at(period.to));
            write!(f, "store {} epoch {} from {from:.1} to {to:.1} s; ", period.ordinal, period.epoch)?;
        }
        Ok(())
    }
}

#[test]
fn two_stores_that_served_at_once_are_found_and_two_that_took_turns_are_not() {
    let start = Instant::now();
    let period = |ordinal, epoch, from, to| {
        let at = |seconds| start + Duration::from_secs(seconds);
        Period { ordinal, epoch, from: at(from), to: at(to) }
    };
    let turns = Periods(vec![period(0, 2, 0, 5), period(1, 3, 7, 9), period(0, 4, 10, 11)]);
    assert!(turns.overlap().is_none() && turns.disorder().is_none());
    assert_eq!(turns.longest_break(), Duration::from_secs(2));
    let both = Periods(vec![period(0, 2, 0, 5), period(1, 3, 4, 9)]);
    assert_eq!(both.overlap().map(|(one, other)| (one.epoch, other.epoch)), Some((2, 3)));
    let again = Periods(vec![period(0, 4, 0, 5), period(1, 3, 6, 9)]);
    assert!(again.overlap().is_none() && again.disorder().is_some());
    // One answer alone proves no time.
    let moment = Periods(vec![period(0, 2, 0, 5), period(1, 3, 4, 3)]);
    assert!(moment.overlap().is_none());
}

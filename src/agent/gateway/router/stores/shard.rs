//! A shard with two stores: what probes brought of them, and where that leads.
//!
//! Probes tell it what they brought; whoever waits for a primary is woken when there is one. It does not ask by itself.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    choice::{Known, Primary, Probe, Route, Times, choose},
    metrics::Metrics,
};

/// How many stores a shard has that are probed.
pub(super) const PODS: u32 = 2;

/// What is known of a store, for `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probed {
    /// Number of the shard.
    pub shard: u32,
    /// Ordinal of the pod.
    pub pod: u32,
    /// What it said last; absent if it never answered.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// What a store said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Its epoch.
    pub epoch: u64,
    /// It serves.
    pub serving: bool,
    /// How long ago that was.
    pub age_millis: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shard {
    number: u32,
    times: Times,
    known: Mutex<[Known; PODS as usize]>,
    route: watch::Sender<Route>,
    metrics: Metrics,
}

impl Shard {
    pub(super) fn new(number: u32, times: Times, metrics: Metrics) -> Self {
        let route = watch::Sender::new(Route::Nowhere { since: Instant::now() });
        for pod in 0..PODS {
            metrics.begin(number, pod);
        }
        Self { number, times, known: Mutex::default(), route, metrics }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn times(&self) -> &Times {
        &self.times
    }

    /// Takes what a probe of `pod` brought by `now`.
    pub(super) fn learn(&self, pod: u32, probe: Probe, now: Instant) {
        let mut known = self.known();
        if let Some(known) = known.get_mut(pod as usize) {
            known.learn(probe);
        }
        let chosen = choose(&*known, now, &self.times);
        match probe {
            Probe::Answered(answer) => self.metrics.answered(self.number, pod, answer.epoch),
            Probe::Busy { .. } | Probe::Ended | Probe::Silent => self.metrics.failed(self.number, pod),
        }
        // Still under the lock, so that an older choice never replaces a newer one.
        let before = *self.route.borrow();
        let route = before.then(chosen, now);
        if route != before {
            self.route.send_replace(route);
            self.told(before.primary(), chosen);
        }
    }

    /// Says in the log and in the metrics where it goes now.
    fn told(&self, before: Option<Primary>, now: Option<Primary>) {
        let shard = self.number;
        if let Some(Primary { pod, epoch, address }) = now {
            tracing::info!(shard, pod, epoch, %address, "mail and readers go to this store");
        } else {
            let pod = before.map(|primary| primary.pod);
            tracing::warn!(shard, before = ?pod, "no store of the shard says that it serves");
        }
        for pod in 0..PODS {
            self.metrics.routed(shard, pod, now.is_some_and(|primary| primary.pod == pod));
        }
    }

    /// Where the primary is, once there is one; nothing if there is none `until` then, or the wait is in vain.
    pub(super) async fn primary(&self, until: Instant) -> Option<IpAddr> {
        let mut route = self.route.subscribe();
        let end = route.borrow().waits_until(until, &self.times);
        let found = timeout_at(end, route.wait_for(|route| route.primary().is_some())).await;
        found.ok()?.ok()?.primary().map(|primary| primary.address)
    }

    /// How long ago the store beside `pod` answered, if it ever did.
    pub(super) fn other_answered(&self, pod: u32, now: Instant) -> Option<Duration> {
        let known = self.known();
        let mut others = known.iter().zip(0..).filter(|(_, ordinal)| *ordinal != pod);
        let answer = others.next()?.0.answer()?;
        Some(now.saturating_duration_since(answer.at))
    }

    /// What is known of each store.
    pub(super) fn probed(&self, now: Instant) -> Vec<Probed> {
        let said = |known: &Known| {
            known.answer().map(|answer| Said {
                epoch: answer.epoch,
                serving: answer.serving,
                age_millis: millis(now.saturating_duration_since(answer.at)),
            })
        };
        let known = self.known();
        known.iter().zip(0..).map(|(it, pod)| Probed { shard: self.number, pod, said: said(it) }).collect()
    }

    fn known(&self) -> MutexGuard<'_, [Known; PODS as usize]> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The route, as it changes.
    #[cfg(test)]
    pub(super) fn routes(&self) -> watch::Receiver<Route> {
        self.route.subscribe()
    }

    #[cfg(test)]
    pub(super) fn is_waited_for(&self) -> bool {
        self.route.receiver_count() > 0
    }
}

/// In whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! Which of a shard's two stores is routed to. What the probes brought comes in, with the time; the primary goes out. Pure.
//!
//! The primary is the store with the highest epoch that says it serves. A word holds for [`Times::fresh`]: three probes. A
//! store that takes the connection, and then answers late, keeps its word for longer ([`Times::busy`]): its machine lives,
//! and Cyrus works without the agent's help.
//!
//! A store of which *nothing* comes back loses it, even if it is only the network that is cut and even if the other does
//! not serve either. Nothing would be won by going on to it: mail and log-ins take the same way as the probe. But each
//! delivery would hold one of Postfix' places, which other shards need, until its connection times out, and nginx would keep
//! clients waiting for a minute, while the other store may serve within seconds. What is not delivered is in the queue, and
//! the first answer that arrives wakes whoever waits. So silence costs mail a delay, and never costs it a message.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Between two probes of a store.
    pub every: Duration,
    /// Longest wait for a store's connection.
    pub connected: Duration,
    /// Longest wait for its answer on that connection.
    pub answered: Duration,
    /// How long an answer holds, from when it was asked for.
    pub fresh: Duration,
    /// How long it holds while the store takes connections. A hung agent's Cyrus is killed before that.
    pub busy: Duration,
    /// How long after the loss of a primary the next is waited for: a failover that takes longer is an outage, and those
    /// who wait are in the way of mail for others.
    pub outage: Duration,
}

impl Times {
    /// What gateways do.
    pub const USUAL: Self = Self {
        every: Duration::from_secs(1),
        connected: Duration::from_secs(1),
        answered: Duration::from_secs(2),
        fresh: Duration::from_secs(3),
        busy: Duration::from_secs(10),
        outage: Duration::from_secs(30),
    };
}

/// What a store said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its epoch.
    pub epoch: u64,
    /// It serves.
    pub serving: bool,
    /// Where it was reached.
    pub address: IpAddr,
    /// When it was asked.
    pub at: Instant,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answered.
    Answered(Answer),
    /// It took the connection, and did not answer in time.
    Busy {
        /// When it was asked.
        at: Instant,
    },
    /// Nobody listens there: the agent has ended, and Cyrus, its child, with it.
    Ended,
    /// Nothing came back that could be understood.
    Silent,
}

/// What is known of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    answer: Option<Answer>,
    busy: Option<Instant>,
}

impl Known {
    /// Takes what a probe brought. Probes of a store follow one another, so that the last is the newest.
    pub fn learn(&mut self, probe: Probe) {
        match probe {
            Probe::Answered(answer) => *self = Self { answer: Some(answer), busy: None },
            Probe::Busy { at } => self.busy = Some(at),
            Probe::Ended => {
                self.busy = None;
                if let Some(answer) = &mut self.answer {
                    answer.serving = false;
                }
            }
            Probe::Silent => {}
        }
    }

    /// The last answer, however old.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// The last answer, if it still holds.
    #[must_use]
    pub fn word(&self, now: Instant, times: &Times) -> Option<&Answer> {
        let within = |at: Instant, most| now.saturating_duration_since(at) <= most;
        let reached = self.busy.is_some_and(|at| within(at, times.fresh));
        self.answer.as_ref().filter(|it| within(it.at, times.fresh) || reached && within(it.at, times.busy))
    }
}

/// The store that is routed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Ordinal of the pod.
    pub pod: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Where it was reached.
    pub address: IpAddr,
}

/// The store with the highest epoch that says it serves; `stores` are those of a shard by ordinal.
#[must_use]
pub fn choose(stores: &[Known], now: Instant, times: &Times) -> Option<Primary> {
    let serving = stores.iter().zip(0..).filter_map(|(known, pod)| {
        let word = known.word(now, times).filter(|word| word.serving)?;
        Some(Primary { pod, epoch: word.epoch, address: word.address })
    });
    // Two stores never have the same epoch: its parity names the pod.
    serving.max_by_key(|primary| primary.epoch)
}

/// Where a shard's mail and readers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the primary.
    To(Primary),
    /// Nowhere: there is none.
    Nowhere {
        /// Since when.
        since: Instant,
    },
}

impl Route {
    /// The route now that `chosen` is the primary.
    #[must_use]
    pub fn then(self, chosen: Option<Primary>, now: Instant) -> Self {
        match (self, chosen) {
            (_, Some(primary)) => Self::To(primary),
            (Self::To(_), None) => Self::Nowhere { since: now },
            (Self::Nowhere { since }, None) => Self::Nowhere { since },
        }
    }

    /// The primary.
    #[must_use]
    pub fn primary(&self) -> Option<Primary> {
        match self {
            Self::To(primary) => Some(*primary),
            Self::Nowhere { .. } => None,
        }
    }

    /// When whoever would wait until `until` stops waiting for a primary.
    #[must_use]
    pub fn waits_until(&self, until: Instant, times: &Times) -> Instant {
        match self {
            Self::To(_) => until,
            Self::Nowhere { since } => until.min(*since + times.outage),
        }
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;

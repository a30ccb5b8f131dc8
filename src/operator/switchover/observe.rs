//! What is known of a shard's two stores at a moment, and what of it counts. Pure: answers and the time come in.

use std::time::{Duration, Instant};

use super::LeaseSeen;
use crate::role::{Phase, Report};

/// An answer stands for so long: one question that was not answered is no news, two are.
pub const STANDS: Duration = Duration::from_secs(6);
/// So many seconds of lag are the rolling channel's own: a primary calls its replica in sync up to there.
const ROLLING: u64 = 5;

/// A store pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its name.
    pub pod: String,
    /// Its uid: the next pod of the name is another.
    pub uid: String,
    /// Its node, once it has one.
    pub node: Option<String>,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// The role that its label says.
    pub label: Option<String>,
    /// What its agent said last, if that still stands.
    pub said: Option<Report>,
    /// When it said so.
    pub at: Option<Instant>,
}

impl Store {
    /// The same store with what it answers now; without an answer the last one stands for a while.
    #[must_use]
    pub fn heard(self, answer: Option<Report>, before: Option<&Self>, now: Instant) -> Self {
        // An address may have passed to another pod.
        if let Some(report) = answer.filter(|report| report.pod == self.pod) {
            return Self { said: Some(report), at: Some(now), ..self };
        }
        let same = before.filter(|before| before.uid == self.uid);
        let stands = same.filter(|old| old.at.is_some_and(|at| now.duration_since(at) <= STANDS));
        Self { said: stands.and_then(|old| old.said.clone()), at: stands.and_then(|old| old.at), ..self }
    }
}

/// A shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Its number.
    pub number: u32,
    /// Its pods, as far as they are there.
    pub stores: Vec<Store>,
    /// Its Lease; none if there is none, or it was never read.
    pub lease: Option<LeaseSeen>,
    /// When that was read.
    pub read: Option<Instant>,
}

impl Shard {
    /// A shard of which nothing is known.
    #[must_use]
    pub const fn unknown(number: u32) -> Self {
        Self { number, stores: Vec::new(), lease: None, read: None }
    }

    /// The store that serves, with what it said. Of two that say so it is the one with the later epoch: gateways do the same.
    #[must_use]
    pub fn primary(&self) -> Option<(&Store, &Report)> {
        let said = self.stores.iter().filter_map(|store| Some((store, store.said.as_ref()?)));
        said.filter(|(_, report)| report.serving).max_by_key(|(_, report)| report.epoch)
    }

    /// The store beside this one.
    #[must_use]
    pub fn beside(&self, pod: &str) -> Option<&Store> {
        self.stores.iter().find(|store| store.pod != pod)
    }

    /// Whether no agent answers.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.stores.iter().all(|store| store.said.is_none())
    }

    /// The epoch that is served; else the latest that anybody knows.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        if let Some((_, report)) = self.primary() {
            return Some(report.epoch);
        }
        let said = self.stores.iter().filter_map(|store| Some(store.said.as_ref()?.epoch));
        said.chain(self.lease.as_ref().map(|lease| lease.epoch)).max().filter(|epoch| *epoch > 0)
    }

    /// One serves, the other has everything, and nobody asks for anything else.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let Some((primary, report)) = self.primary() else { return false };
        let other = self.beside(&primary.pod).and_then(|store| store.said.as_ref());
        let asked = self.lease.as_ref().is_some_and(|lease| lease.switchover || lease.lost.is_some());
        report.in_sync && other.is_some_and(|other| other.phase == Phase::InSync) && !asked
    }

    /// Whether somebody's role is another than before, or the Lease came or went: status says so at once.
    #[must_use]
    pub fn differs(&self, before: &Self) -> bool {
        self.number != before.number
            || self.lease.is_none() != before.lease.is_none()
            || self.stores.len() != before.stores.len()
            || self.stores.iter().zip(&before.stores).any(|(new, old)| state(new) != state(old))
    }

    /// Whether figures or words are others than before: status says so after a while. That a healthy channel is some changes
    /// behind is no news.
    #[must_use]
    pub fn figures_differ(&self, before: &Self) -> bool {
        let differ = |(new, old): (&Store, &Store)| match (&new.said, &old.said) {
            (Some(new), Some(old)) => {
                new.progress != old.progress || new.message != old.message || behind(new) != behind(old)
            }
            _ => false,
        };
        self.stores.iter().zip(&before.stores).any(differ)
    }
}

/// Seconds of lag that are worth telling.
fn behind(report: &Report) -> u64 {
    report.lag.map_or(0, |lag| lag.seconds).saturating_sub(ROLLING)
}

/// What a role is made of.
fn state(store: &Store) -> impl PartialEq + use<> {
    let said = store.said.as_ref();
    let said = said.map(|it| (it.epoch, it.serving, it.phase, it.in_sync, it.stale_takeover));
    (store.pod.clone(), store.node.clone(), said)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::role::{Lag, Progress};

    /// A pod of shard 0 of the system `demo`.
    pub fn store(ordinal: u8) -> Store {
        Store {
            pod: format!("demo-store-0-{ordinal}"),
            uid: format!("u{ordinal}"),
            node: Some(format!("node-{ordinal}")),
            ip: Some(format!("127.0.0.{ordinal}")),
            label: None,
            said: None,
            at: None,
        }
    }

    /// A report of it.
    pub fn report(ordinal: u8, epoch: u64, phase: Phase) -> Report {
        Report {
            pod: format!("demo-store-0-{ordinal}"),
            epoch,
            serving: phase == Phase::Primary,
            phase,
            in_sync: matches!(phase, Phase::Primary | Phase::InSync),
            message: String::new(),
            lag: None,
            progress: None,
            stale_takeover: None,
        }
    }

    /// Shard 0 with these answers.
    pub fn shard(said: [Option<Report>; 2]) -> Shard {
        let stores = said.into_iter().zip(0..).map(|(said, ordinal)| Store { said, ..store(ordinal) });
        Shard { number: 0, stores: stores.collect(), lease: None, read: None }
    }

    fn healthy() -> Shard {
        shard([Some(report(0, 4, Phase::Primary)), Some(report(1, 4, Phase::InSync))])
    }

    #[test]
    fn one_unanswered_question_is_no_news_and_two_are() {
        let start = Instant::now();
        let said = report(0, 4, Phase::Primary);
        let first = store(0).heard(Some(said.clone()), None, start);
        let second = store(0).heard(None, Some(&first), start + STANDS);
        assert_eq!((&second.said, second.at), (&Some(said.clone()), Some(start)));
        let third = store(0).heard(None, Some(&second), start + STANDS + Duration::from_millis(1));
        assert_eq!((third.said, third.at), (None, None));
        let other = Store { uid: "new".into(), ..store(0) };
        assert_eq!(other.heard(None, Some(&first), start).said, None, "another pod of the same name");
        assert_eq!(store(1).heard(Some(said), None, start).said, None, "another pod at the address");
    }

    #[test]
    fn of_two_that_serve_the_later_epoch_counts() {
        let both = shard([Some(report(0, 4, Phase::Primary)), Some(report(1, 7, Phase::Primary))]);
        assert_eq!(both.primary().unwrap().0.pod, "demo-store-0-1");
        assert_eq!(both.epoch(), Some(7));
        let mut none = shard([Some(report(0, 4, Phase::Waiting)), None]);
        assert!(none.primary().is_none() && !none.is_silent());
        none.lease = Some(LeaseSeen { epoch: 5, ..LeaseSeen::default() });
        assert_eq!(none.epoch(), Some(5), "the Lease knows of a later one");
        assert_eq!(Shard::unknown(0).epoch(), None);
    }

    #[test]
    fn a_shard_rests_when_the_other_has_everything_and_nobody_asks() {
        assert!(healthy().is_at_rest());
        let mut alone = healthy();
        alone.stores[0].said.as_mut().unwrap().in_sync = false;
        let mut asked = healthy();
        asked.lease = Some(LeaseSeen { epoch: 4, switchover: true, ..LeaseSeen::default() });
        let silent = shard([Some(report(0, 4, Phase::Primary)), None]);
        for shard in [alone, asked, silent, Shard::unknown(0)] {
            assert!(!shard.is_at_rest(), "{shard:?}");
        }
    }

    #[test]
    fn a_lease_that_somebody_deleted_is_news() {
        let mut with = healthy();
        with.lease = Some(LeaseSeen::default());
        let mut renewed = with.clone();
        renewed.lease = Some(LeaseSeen { version: "2".into(), ..LeaseSeen::default() });
        let without = Shard { lease: None, ..healthy() };
        assert!(without.differs(&with) && with.differs(&without));
        assert!(!renewed.differs(&with));
    }

    #[test]
    fn roles_differ_at_once_and_figures_only_where_they_tell_something() {
        let before = healthy();
        let mut after = healthy();
        let said = after.stores[0].said.as_mut().unwrap();
        said.lag = Some(Lag { seconds: ROLLING, changes: 40 });
        assert!(!after.differs(&before) && !after.figures_differ(&before), "a busy channel");
        after.stores[0].said.as_mut().unwrap().lag = Some(Lag { seconds: ROLLING + 1, changes: 40 });
        assert!(!after.differs(&before) && after.figures_differ(&before));
        let mut after = healthy();
        after.stores[1].said.as_mut().unwrap().progress = Some(Progress { done: 1, total: 2 });
        assert!(!after.differs(&before) && after.figures_differ(&before));
        let mut after = healthy();
        after.stores[1].said.as_mut().unwrap().phase = Phase::CatchingUp;
        assert!(after.differs(&before));
        let mut moved = healthy();
        moved.stores[1].node = Some("node-2".into());
        assert!(moved.differs(&before));
        assert!(shard([Some(report(0, 4, Phase::Primary)), None]).differs(&before));
    }
}

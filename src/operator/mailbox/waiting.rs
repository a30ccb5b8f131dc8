//! Objects in order that wait for agents to have them, and when the agents are asked next. Pure but for the time that
//! is passed in.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::statuses::Target;

/// Between questions while answers bring something new.
const QUICK: Duration = Duration::from_millis(250);
/// Between questions when they do not for long.
const SLOW: Duration = Duration::from_secs(5);
/// Agents watch the directory: they have an issue after about this.
const USUAL: Duration = Duration::from_millis(100);
/// Whoever waits longer is told so in status. Not before: a status that changes twice costs twice.
const LONG: Duration = Duration::from_secs(15);
/// And so much longer for each that waits: telling thousands would only hold up what they wait for.
const EACH: Duration = Duration::from_millis(20);

/// One object.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Since when.
    pub since: Instant,
    /// The issue that contains it; `None` until it is issued.
    pub number: Option<u64>,
    /// Whether status says that it waits.
    pub told: bool,
    /// How many waited with it at first.
    among: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Waiting {
    objects: HashMap<Target, Wait>,
    next: Option<Instant>,
    pause: Duration,
    /// Whether answers are awaited.
    pub asking: bool,
}

impl Waiting {
    /// `target` waits, from now on if it did not already.
    pub fn wait(&mut self, target: Target, now: Instant) {
        let among = self.objects.len() + 1;
        self.objects.entry(target).or_insert(Wait { since: now, number: None, told: false, among });
        self.next.get_or_insert(now + QUICK);
    }

    /// Whether `target` waits.
    #[must_use]
    pub fn is_waiting(&self, target: &Target) -> bool {
        self.objects.contains_key(target)
    }

    /// `target` waits no more.
    pub fn forget(&mut self, target: &Target) {
        self.objects.remove(target);
    }

    /// `target` changed: it waits for the next issue.
    pub fn restart(&mut self, target: &Target) {
        if let Some(wait) = self.objects.get_mut(target) {
            wait.number = None;
        }
    }

    /// `target` is in the issue `number`.
    pub fn issued(&mut self, target: &Target, number: u64, now: Instant) {
        if let Some(wait) = self.objects.get_mut(target) {
            wait.number = Some(number);
            self.hasten(now);
        }
    }

    /// Agents may have news.
    pub fn hasten(&mut self, now: Instant) {
        self.pause = QUICK;
        let soon = now + USUAL;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    /// Status says now that `target` waits.
    pub fn told(&mut self, target: &Target) {
        if let Some(wait) = self.objects.get_mut(target) {
            wait.told = true;
        }
    }

    /// When the agents are asked next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.next.filter(|_| !self.asking && !self.objects.is_empty())
    }

    /// Answers came; `news` says that somebody waits no more.
    pub fn answered(&mut self, news: bool, now: Instant) {
        self.asking = false;
        self.pause = if news { QUICK } else { (self.pause * 3 / 2).clamp(QUICK, SLOW) };
        self.next = Some(now + self.pause);
    }

    /// Whether `wait` lasts so long that status should say so. The last of many has waited long when few are left, so
    /// those count that were there when it came.
    #[must_use]
    pub fn is_long(&self, wait: &Wait, now: Instant) -> bool {
        let queue = u32::try_from(wait.among.max(self.len())).unwrap_or(u32::MAX >> 8);
        now - wait.since > LONG + EACH * queue
    }

    /// Everything that waits.
    pub fn iter(&self) -> impl Iterator<Item = (&Target, &Wait)> {
        self.objects.iter()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// How many mailboxes, groups and domains wait.
    #[must_use]
    pub fn objects(&self) -> usize {
        let counts =
            |target: &&Target| matches!(target, Target::Mailbox(_) | Target::Group(_) | Target::Domain(_));
        self.objects.keys().filter(counts).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::mailbox::index::ObjectName;

    #[test]
    fn agents_are_asked_only_while_something_waits_and_ever_less_often_without_news() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        assert_eq!(waiting.due(), None);
        let target = Target::Mailbox(ObjectName::new("n", "m").into());
        waiting.wait(target.clone(), now);
        waiting.issued(&target, 1, now);
        assert_eq!(waiting.due(), Some(now + USUAL));
        let pauses: Vec<_> = (0..12)
            .map(|_| {
                waiting.answered(false, now);
                waiting.due().unwrap() - now
            })
            .collect();
        assert!(pauses.is_sorted() && pauses[0] < SLOW && pauses[11] == SLOW, "{pauses:?}");
        waiting.answered(true, now);
        assert_eq!(waiting.due(), Some(now + QUICK));
        waiting.forget(&target);
        assert_eq!(waiting.due(), None);
    }

    #[test]
    fn of_many_that_wait_none_is_told_before_its_turn_may_have_come() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let targets: Vec<_> =
            (0..1000).map(|n| Target::Mailbox(ObjectName::new("n", &n.to_string()).into())).collect();
        for target in &targets {
            waiting.wait(target.clone(), now);
        }
        let is_long = |waiting: &Waiting, n: usize, seconds| {
            waiting.is_long(&waiting.objects[&targets[n]], now + Duration::from_secs(seconds))
        };
        assert!(
            !is_long(&waiting, 0, 34) && is_long(&waiting, 0, 36),
            "the first waits with those behind it"
        );
        for target in &targets[1..999] {
            waiting.forget(target);
        }
        assert!(is_long(&waiting, 0, 16), "they are gone");
        assert!(!is_long(&waiting, 999, 34), "the last waited behind them");
    }
}

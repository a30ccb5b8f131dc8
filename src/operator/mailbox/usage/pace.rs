//! When the use of a mailbox is written, so that 100,000 busy ones cost few writes: what matters at once, the rest when it
//! was last written long enough ago, and all of it at a bounded rate. Pure: times come in.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{super::index::Key, figures::Figures};

/// A figure that changed is written so long after it was written last, in seconds.
const SELDOM: i64 = 15 * 60;
/// Between writes: 40 a second.
const STEP: Duration = Duration::from_millis(25);
/// So many at once after a pause.
const BURST: u32 = 20;

/// When something is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It says the same.
    Never,
    /// In its turn, not before this time (seconds of Unix time).
    At(i64),
    /// Before all others.
    Now,
}

/// When status is to say `known`, which says `told` since `told_at`. `crossed` is whether a condition changes with it.
#[must_use]
pub fn when(told: &Figures, known: &Figures, told_at: i64, crossed: bool) -> When {
    let first = |told: u32, known: u32| told == 0 && known > 0;
    let firsts = first(told.login(), known.login())
        || first(told.sent, known.sent)
        || told.stored && first(told.received, known.received)
        || told.stored && first(told.messages, known.messages);
    if crossed || firsts {
        When::Now
    } else if told == known {
        When::Never
    } else {
        When::At(told_at + SELDOM)
    }
}

/// Where a mailbox waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    #[default]
    None,
    /// Before all others.
    First,
    /// At this time, and under this number.
    Later(i64, u64),
}

/// Mailboxes that wait to be written.
#[derive(Debug)]
pub struct Pace {
    first: VecDeque<Key>,
    later: BTreeMap<(i64, u64), Key>,
    last: u64,
    /// Up to when writes are spent.
    spent: Instant,
}

impl Pace {
    /// Nothing waits.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { first: VecDeque::new(), later: BTreeMap::new(), last: 0, spent: now }
    }

    /// `key`, which waits at `place`, is to be written. Gives its place from now on.
    pub fn put(&mut self, key: &Key, place: Place, when: When) -> Place {
        match (place, when) {
            (Place::First, _) => Place::First,
            (Place::Later(at, number), When::At(wanted)) if wanted >= at => Place::Later(at, number),
            (place, When::Never) => {
                self.drop(place);
                Place::None
            }
            (place, When::At(at)) => {
                self.drop(place);
                self.last += 1;
                self.later.insert((at, self.last), key.clone());
                Place::Later(at, self.last)
            }
            (place, When::Now) => {
                self.drop(place);
                self.first.push_back(key.clone());
                Place::First
            }
        }
    }

    /// Whoever waits there waits no more.
    pub fn drop(&mut self, place: Place) {
        if let Place::Later(at, number) = place {
            self.later.remove(&(at, number));
        }
    }

    /// The next one to write, if the rate allows one; `clock` is in seconds of Unix time.
    pub fn next(&mut self, now: Instant, clock: i64) -> Option<Key> {
        self.spent = self.spent.max(now.checked_sub(STEP * BURST).unwrap_or(now));
        if self.spent + STEP > now {
            return None;
        }
        let due = self.later.first_key_value().is_some_and(|((at, _), _)| *at <= clock);
        let key = match self.first.pop_front() {
            Some(key) => key,
            None if due => self.later.pop_first()?.1,
            None => return None,
        };
        self.charge();
        Some(key)
    }

    /// One more was written.
    pub fn charge(&mut self) {
        self.spent += STEP;
    }

    /// When to come again.
    #[must_use]
    pub fn due(&self, now: Instant, clock: i64) -> Option<Instant> {
        let free = self.spent + STEP;
        if !self.first.is_empty() {
            return Some(free.max(now));
        }
        let ((at, _), _) = self.later.first_key_value()?;
        let wait = Duration::from_secs(u64::try_from(at - clock).unwrap_or_default());
        Some(free.max(now + wait))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.later.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::logins::Account, operator::mailbox::index::ObjectName};

    fn key(n: usize) -> Key {
        ObjectName::new("n", &n.to_string()).into()
    }

    fn logged_in(at: u32) -> Figures {
        let account: Account = serde_json::from_value(serde_json::json!({ "IMAP": at })).unwrap();
        Figures { stored: true, ..Figures::default() }.with_gateway(&account)
    }

    #[test]
    fn what_changed_is_written_every_quarter_of_an_hour_and_what_matters_at_once() {
        let told = Figures { messages: 1, received: 5, ..logged_in(100) };
        let more = Figures { messages: 2, received: 6, ..logged_in(200) };
        assert_eq!(when(&told, &told, 1000, false), When::Never);
        assert_eq!(when(&told, &more, 1000, false), When::At(1900));
        assert_eq!(when(&told, &told, 1000, true), When::Now, "a condition changes");
        assert_eq!(
            when(&Figures { messages: 1, received: 5, ..logged_in(0) }, &told, 1000, false),
            When::Now
        );
        assert_eq!(when(&logged_in(100), &told, 1000, false), When::Now, "the first message");
        // After an upgrade all mailboxes have their first figures: none of them comes before the others.
        assert_eq!(
            when(&Figures::default(), &Figures { messages: 9, ..logged_in(0) }, 0, false),
            When::At(900)
        );
    }

    #[test]
    fn a_hundred_thousand_busy_mailboxes_are_written_at_forty_a_second_and_each_in_its_turn() {
        const MANY: usize = 100_000;
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for n in 0..MANY {
            pace.put(&key(n), Place::None, When::At(0));
        }
        let (mut written, mut most) = (std::collections::HashSet::new(), 0);
        for second in 1..=3000_u64 {
            let mut count = 0;
            for tenth in 0..10 {
                let now = start + Duration::from_millis(second * 1000 + tenth * 100);
                while let Some(key) = pace.next(now, 1) {
                    count += 1;
                    written.insert(key.clone());
                    // Busy ones change again at once.
                    pace.put(&key, Place::None, When::At(0));
                }
            }
            // The first second has what was saved up.
            most = if second == 1 { 0 } else { most.max(count) };
        }
        assert!(most <= 41, "{most}");
        assert_eq!(written.len(), MANY, "nobody is passed over");
    }

    #[test]
    fn one_that_waits_comes_no_later_for_a_further_change_and_first_if_it_matters() {
        let start = Instant::now();
        let (mut pace, a, b) = (Pace::new(start), key(1), key(2));
        let waits = pace.put(&a, Place::None, When::At(100));
        assert_eq!(pace.put(&a, waits, When::At(200)), waits);
        let other = pace.put(&b, Place::None, When::At(50));
        assert_eq!(pace.put(&a, waits, When::Now), Place::First);
        let now = start + STEP * 2;
        assert_eq!(
            (pace.next(now, 60), pace.next(now, 60), pace.next(now, 60)),
            (Some(a), Some(b.clone()), None)
        );
        assert_eq!(pace.put(&b, other, When::Never), Place::None);
        let waits = pace.put(&b, Place::None, When::At(100));
        assert_eq!(pace.due(now, 60), Some(now + Duration::from_secs(40)));
        assert_eq!(pace.put(&b, waits, When::Never), Place::None);
        assert_eq!((pace.len(), pace.due(now, 60)), (0, None));
    }
}

//! Whether a directory service suddenly knows far fewer people: then nobody is told that the password is wrong. Pure: times
//! come in.
//!
//! What counts is, of each person who tries to log in and, if unknown there, did so before, what the service said last
//! within the hour. A tree that was
//! emptied, a searcher whose rights were taken away or a filter that fits nobody look alike from here: many who are known
//! are not found. One who left is one among many.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What is older does not count.
const WINDOW: Duration = Duration::from_hours(1);
/// What is old is taken out this often.
const PERIOD: Duration = Duration::from_mins(1);
/// So many must be missing, at least.
const MISSING: usize = 3;
/// One in so many missing is too many.
const ONE_IN: usize = 5;
/// One in so many missing is too many still, once too many were.
const STILL_ONE_IN: usize = 10;
/// So many people are remembered at most.
const MOST: usize = 100_000;

/// What a service knows of people who logged in before.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct People {
    /// Those that it was asked about within the hour.
    pub asked: usize,
    /// Those of them whom it does not know.
    pub missing: usize,
    /// Whether these are so many that its word is not believed.
    pub implausible: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Guard {
    latest: HashMap<Box<str>, (Instant, bool)>,
    missing: usize,
    implausible: bool,
    tidied: Option<Instant>,
}

impl Guard {
    /// Notes whether a person is known, who logged in before if not. Whether a "no" is not to be believed: so many are missing, or
    /// the service has not been seen to know anybody yet.
    pub(super) fn note(&mut self, person: &str, found: bool, now: Instant) -> bool {
        self.tidy(now);
        if self.latest.len() < MOST || self.latest.contains_key(person) {
            let old = self.latest.insert(person.into(), (now, found));
            self.missing -= usize::from(old.is_some_and(|(_, found)| !found));
            self.missing += usize::from(!found);
        }
        self.judge();
        self.implausible || self.missing == self.latest.len()
    }

    /// What is known now.
    pub(super) fn people(&mut self, now: Instant) -> People {
        self.tidy(now);
        self.judge();
        People { asked: self.latest.len(), missing: self.missing, implausible: self.implausible }
    }

    fn judge(&mut self) {
        let one_in = if self.implausible { STILL_ONE_IN } else { ONE_IN };
        self.implausible = self.missing >= MISSING && self.missing * one_in >= self.latest.len();
    }

    fn tidy(&mut self, now: Instant) {
        if self.tidied.is_some_and(|last| now.saturating_duration_since(last) < PERIOD) {
            return;
        }
        self.tidied = Some(now);
        self.latest.retain(|_, (at, _)| now.saturating_duration_since(*at) < WINDOW);
        self.missing = self.latest.values().filter(|(_, found)| !found).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_who_left_is_told_and_a_tree_that_was_emptied_is_not_believed() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        for n in 0..20 {
            assert!(!guard.note(&format!("u{n}"), true, now));
        }
        assert!(!guard.note("u0", false, now) && !guard.note("u1", false, now));
        assert!(!guard.note("u2", false, now), "three of twenty may have left");
        assert!(guard.note("u3", false, now));
        assert_eq!(guard.people(now), People { asked: 20, missing: 4, implausible: true });
        assert!(!guard.note("u3", true, now) || guard.people(now).implausible);
        assert!(guard.note("u4", false, now), "it takes fewer to stay so");
        for n in 1..5 {
            guard.note(&format!("u{n}"), true, now);
        }
        assert_eq!(guard.people(now), People { asked: 20, missing: 1, implausible: false });
    }

    #[test]
    fn before_anybody_was_found_nobody_is_missing() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        assert!(guard.note("an", false, now));
        assert!(!guard.people(now).implausible, "one is no reason to wake anybody");
        assert!(!guard.note("binh", true, now) && !guard.note("an", false, now));
    }

    #[test]
    fn what_is_an_hour_old_does_not_count() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        for n in 0..3 {
            assert!(guard.note(&format!("u{n}"), false, now));
        }
        assert!(guard.people(now + Duration::from_mins(59)).implausible);
        assert_eq!(guard.people(now + WINDOW + PERIOD), People::default());
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_the_last_words(words in proptest::collection::vec((0..30_u8, any::<bool>(), 0..600_u64), 0..200)) {
            let (mut guard, start) = (Guard::default(), Instant::now());
            let (mut last, mut now) = (HashMap::new(), start);
            for (person, found, later) in words {
                now += Duration::from_secs(later);
                guard.note(&person.to_string(), found, now);
                last.insert(person, (now, found));
            }
            let young = last.values().filter(|(at, _)| now.duration_since(*at) < Duration::from_mins(59));
            let known = last.values().filter(|(at, _)| now.duration_since(*at) < Duration::from_mins(61));
            let missing = |words: &mut dyn Iterator<Item = &(Instant, bool)>| words.filter(|it| !it.1).count();
            let people = guard.people(now);
            prop_assert!(people.missing >= missing(&mut young.clone()) && people.missing <= missing(&mut known.clone()));
            prop_assert!(people.asked >= young.count() && people.asked <= known.count());
        }
    }
}

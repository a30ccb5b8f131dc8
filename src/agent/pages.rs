//! What changed since somebody last asked, by pages: for readers that follow many mailboxes without asking of each.
//!
//! Every change of a value gets the next number; a page has the values that changed after a number, each once, in its
//! latest state. Numbers are of this process: a reader that comes with another epoch begins at 0. Pure but for the
//! epoch's randomness.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use aws_lc_rs::rand;

/// Mailboxes on a page, unless fewer are asked for.
const LIMIT: usize = 1000;

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What changed after this number.
    pub since: u64,
    /// Mailboxes at most.
    pub limit: usize,
}

impl Wanted {
    /// Of the query of a request. Words that are no numbers count as absent: the first page is always a right answer.
    #[must_use]
    pub fn of(query: Option<&str>) -> Self {
        let number = |name: &str| {
            let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<u64>().ok())
        };
        let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT);
        Self { since: number("since").unwrap_or_default(), limit: limit.clamp(1, LIMIT) }
    }
}

/// A name for this process.
#[must_use]
pub fn epoch() -> String {
    let mut random = [0; 8];
    // Without randomness all processes have one name; a reader then misses what a restart forgot.
    let _ = rand::fill(&mut random);
    format!("{:016x}", u64::from_be_bytes(random))
}

/// Values by address, in the order in which they changed.
#[derive(Debug)]
pub struct Changes<V> {
    last: u64,
    values: HashMap<Arc<str>, (u64, V)>,
    order: BTreeMap<u64, Arc<str>>,
}

impl<V> Default for Changes<V> {
    fn default() -> Self {
        Self { last: 0, values: HashMap::new(), order: BTreeMap::new() }
    }
}

impl<V: PartialEq> Changes<V> {
    /// The value of `address` is this from now on. It is a change only if it differs.
    pub fn set(&mut self, address: &Arc<str>, value: V) {
        if let Some((sequence, old)) = self.values.get(address) {
            if *old == value {
                return;
            }
            self.order.remove(sequence);
        }
        self.last += 1;
        self.order.insert(self.last, address.clone());
        self.values.insert(address.clone(), (self.last, value));
    }

    /// There is nothing under `address` any more.
    pub fn remove(&mut self, address: &str) {
        if let Some((sequence, _)) = self.values.remove(address) {
            self.order.remove(&sequence);
        }
    }

    /// The value of `address`.
    #[must_use]
    pub fn get(&self, address: &str) -> Option<&V> {
        self.values.get(address).map(|(_, value)| value)
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.values.iter().map(|(address, (_, value))| (address, value))
    }

    /// What changed after a number, the oldest change first; the number to go on from; and whether there is more.
    #[must_use]
    pub fn since(&self, wanted: Wanted) -> (Vec<(&Arc<str>, &V)>, u64, bool) {
        let (mut next, mut page) = (wanted.since.min(self.last), Vec::new());
        for (sequence, address) in self.order.range(wanted.since.saturating_add(1)..).take(wanted.limit) {
            next = *sequence;
            page.extend(self.values.get(address).map(|(_, value)| (address, value)));
        }
        let more = self.order.range(next + 1..).next().is_some();
        (page, next, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(changes: &Changes<u32>, since: u64, limit: usize) -> (Vec<String>, u64, bool) {
        let (page, next, more) = changes.since(Wanted { since, limit });
        (page.into_iter().map(|(address, value)| format!("{address}={value}")).collect(), next, more)
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_and_show_each_value_once_in_its_latest_state() {
        let mut changes = Changes::default();
        let [a, b, c]: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
        for (address, value) in [(&a, 1), (&b, 2), (&c, 3)] {
            changes.set(address, value);
        }
        assert_eq!(names(&changes, 0, 2), (vec!["a=1".into(), "b=2".into()], 2, true));
        changes.set(&a, 4);
        changes.set(&b, 2);
        assert_eq!(names(&changes, 2, 9), (vec!["c=3".into(), "a=4".into()], 4, false));
        changes.remove("a");
        assert_eq!(names(&changes, 3, 9), (Vec::new(), 3, false));
        assert_eq!(names(&changes, 99, 9).1, 4, "a number of another process");
    }

    #[test]
    fn a_query_without_sense_asks_for_the_first_page() {
        assert_eq!(Wanted::of(None), Wanted { since: 0, limit: LIMIT });
        assert_eq!(Wanted::of(Some("since=x&limit=0")), Wanted { since: 0, limit: 1 });
        assert_eq!(Wanted::of(Some("since=7&limit=99999")), Wanted { since: 7, limit: LIMIT });
    }
}

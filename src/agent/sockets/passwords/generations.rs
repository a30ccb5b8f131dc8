//! A map of bounded size that forgets the oldest: two maps, of which the older one goes when the younger is full.
//!
//! Keys are hashes or macs that nobody outside can choose. Whoever fills it makes it forget what was put in before the
//! last `most` keys, and costs no more memory.

use std::{collections::HashMap, hash::Hash};

pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Remembers at least the last `most` keys, and at most twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_the_size_is_bounded() {
        let mut map = Generations::new(10);
        for n in 0..1000 {
            map.insert(n, n);
            assert!(map.young.len() + map.old.len() <= 20);
            for last in (n - 9).max(0)..=n {
                assert_eq!(map.get(&last), Some(&last));
            }
        }
        assert_eq!(map.remove(&999), Some(999));
        assert_eq!((map.get(&0), map.get(&999)), (None, None));
    }
}

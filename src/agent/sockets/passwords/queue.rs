//! Whose turn it is to have a password checked.
//!
//! A hash takes a core for some tens of milliseconds and 19 MiB. So few run at once, and of those that wait there is a
//! bound: in all, for one account, and for one source. Beyond it the answer is "later". Strangers (see `lockout`) never
//! hold all places, so that a flood of guesses does not keep out who was here before. The same holds for questions to
//! directory services, which cost little here and time there.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many passwords are hashed at once.
pub(super) const HASHES: usize = 2;
/// So many passwords are tried at directory services at once.
const QUESTIONS: usize = 32;
/// So many checks run or wait at once.
const MOST: usize = 256;
/// The same for strangers.
const MOST_STRANGERS: usize = 192;
/// The same for one account: a mail client opens a few connections at once.
const FOR_ACCOUNT: usize = 16;
/// The same for strangers of one source.
const FOR_SOURCE: usize = 32;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    All,
    Strangers,
    Account(Box<str>),
    Source(Option<IpAddr>),
}

type Counts = Arc<Mutex<HashMap<Key, usize>>>;

pub(super) struct Queue {
    counts: Counts,
    hashes: Lane,
    questions: Lane,
}

/// What so many may do at once, and strangers among them.
#[derive(Clone)]
struct Lane {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// A place in the queue; it is given back when this is dropped.
pub(super) struct Place {
    counts: Counts,
    keys: Vec<Key>,
    hashes: Lane,
    questions: Lane,
    stranger: bool,
}

/// The right to hash, or to ask; it is given back when this is dropped.
pub(super) struct Turn {
    _one: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
}

impl Lane {
    fn new(all: usize, strangers: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), strangers: Arc::new(Semaphore::new(strangers)) }
    }

    async fn turn(&self, stranger: bool) -> Option<Turn> {
        let stranger = if stranger { Some(self.strangers.clone().acquire_owned().await.ok()?) } else { None };
        Some(Turn { _one: self.all.clone().acquire_owned().await.ok()?, _stranger: stranger })
    }
}

impl Default for Queue {
    fn default() -> Self {
        let (hashes, questions) = (Lane::new(HASHES, HASHES - 1), Lane::new(QUESTIONS, QUESTIONS / 2));
        Self { counts: Counts::default(), hashes, questions }
    }
}

impl Queue {
    /// A place; none if there are too many already.
    pub(super) fn place(&self, account: &str, source: Option<IpAddr>, known: bool) -> Option<Place> {
        let mut wanted = vec![(Key::All, MOST), (Key::Account(account.into()), FOR_ACCOUNT)];
        if !known {
            wanted.extend([(Key::Strangers, MOST_STRANGERS), (Key::Source(source), FOR_SOURCE)]);
        }
        let mut counts = lock(&self.counts);
        if wanted.iter().any(|(key, most)| counts.get(key).is_some_and(|count| count >= most)) {
            return None;
        }
        let keys: Vec<_> = wanted.into_iter().map(|(key, _)| key).collect();
        for key in &keys {
            *counts.entry(key.clone()).or_default() += 1;
        }
        let (hashes, questions) = (self.hashes.clone(), self.questions.clone());
        Some(Place { counts: self.counts.clone(), keys, hashes, questions, stranger: !known })
    }

    /// How many run or wait.
    pub(super) fn len(&self) -> usize {
        lock(&self.counts).get(&Key::All).copied().unwrap_or_default()
    }
}

impl Place {
    /// Waits for the right to hash; none only if the process ends.
    pub(super) async fn turn(&self) -> Option<Turn> {
        self.hashes.turn(self.stranger).await
    }

    /// Waits for the right to ask a directory service; none only if the process ends.
    pub(super) async fn question(&self) -> Option<Turn> {
        self.questions.turn(self.stranger).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        for key in &self.keys {
            if let Some(count) = counts.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[allow(clippy::unnecessary_wraps, reason = "as the queue takes it")]
    fn source(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, n]))
    }

    #[test]
    fn an_account_and_a_source_have_their_share_and_places_come_back() {
        let queue = Queue::default();
        let an: Vec<_> = (0..FOR_ACCOUNT).map(|_| queue.place("an", source(1), true).unwrap()).collect();
        assert!(
            queue.place("an", source(2), true).is_none() && queue.place("an", source(2), false).is_none()
        );
        let names: Vec<_> =
            (0..FOR_SOURCE).map(|n| queue.place(&format!("u{n}"), source(1), false)).collect();
        assert!(names.iter().all(Option::is_some));
        assert!(queue.place("binh", source(1), false).is_none());
        assert!(
            queue.place("binh", source(1), true).is_some() && queue.place("binh", source(2), false).is_some()
        );
        drop((an, names));
        assert_eq!(queue.len(), 0);
        assert!(queue.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn strangers_do_not_fill_the_queue_and_it_is_bounded() {
        let queue = Queue::default();
        let place =
            |n: usize, known| queue.place(&format!("u{n}"), source(u8::try_from(n % 250).unwrap()), known);
        let strangers: Vec<_> = (0..1000).filter_map(|n| place(n, false)).collect();
        assert_eq!(strangers.len(), MOST_STRANGERS);
        let known: Vec<_> = (1000..2000).filter_map(|n| place(n, true)).collect();
        assert_eq!((known.len(), queue.len()), (MOST - MOST_STRANGERS, MOST));
    }

    #[tokio::test]
    async fn strangers_never_have_all_turns() {
        let queue = Queue::default();
        let place = |name, known| queue.place(name, source(1), known).unwrap();
        let (one, two, known) = (place("a", false), place("b", false), place("c", true));
        let turn = one.turn().await.unwrap();
        assert!(two.turn().now_or_never().is_none(), "a second stranger waits");
        let other = known.turn().now_or_never().flatten().expect("a turn for who is known");
        drop((turn, other));
        assert!(two.turn().now_or_never().is_some());
    }
}

//! Locks an account for a while after too many wrong passwords.
//!
//! Failures and times come in, "locked" or not goes out; nothing here reads a clock. Accounts that do not exist are
//! counted alike, so that nobody learns from a lock which ones do.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// This many failures within [`WINDOW`] lock the account for [`LOCK`].
pub(super) const FAILURES: usize = 10;
pub(super) const WINDOW: Duration = Duration::from_mins(5);
pub(super) const LOCK: Duration = Duration::from_mins(1);
/// Accounts remembered at once; some 10 MiB.
const MOST_ACCOUNTS: usize = 50_000;

#[derive(Default)]
pub(super) struct Lockouts {
    /// By a hash that nobody outside can choose collisions for; names would cost more memory.
    accounts: HashMap<u64, Record>,
    hasher: RandomState,
}

#[derive(Default)]
struct Record {
    failures: Vec<Instant>,
    locked_until: Option<Instant>,
}

impl Record {
    fn locked(&self, now: Instant) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    fn of_no_use(&self, now: Instant) -> bool {
        !self.locked(now) && !self.failures.iter().any(|at| now.duration_since(*at) < WINDOW)
    }
}

impl Lockouts {
    /// Whether `account` is locked.
    pub(super) fn locked(&self, account: &str, now: Instant) -> bool {
        self.accounts.get(&self.hasher.hash_one(account)).is_some_and(|record| record.locked(now))
    }

    /// Notes a wrong password; whether it locks the account.
    pub(super) fn failed(&mut self, account: &str, now: Instant) -> bool {
        if self.accounts.len() >= MOST_ACCOUNTS {
            self.accounts.retain(|_, record| !record.of_no_use(now));
            if self.accounts.len() >= MOST_ACCOUNTS {
                // Someone tries names by the thousand: forgetting all of them costs him nothing, but us no memory.
                self.accounts.clear();
            }
        }
        let record = self.accounts.entry(self.hasher.hash_one(account)).or_default();
        record.failures.retain(|at| now.duration_since(*at) < WINDOW);
        record.failures.push(now);
        if record.failures.len() < FAILURES {
            return false;
        }
        record.failures.clear();
        record.locked_until = Some(now + LOCK);
        true
    }

    /// Notes a right password: what was counted is forgotten.
    pub(super) fn succeeded(&mut self, account: &str) {
        self.accounts.remove(&self.hasher.hash_one(account));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tenth_failure_within_five_minutes_locks_for_a_minute() {
        let (mut lockouts, start) = (Lockouts::default(), Instant::now());
        for n in 0..9 {
            assert!(!lockouts.failed("an", start + Duration::from_secs(n * 33)));
        }
        let tenth = start + Duration::from_secs(9 * 33);
        assert!(!lockouts.locked("an", tenth));
        assert!(lockouts.failed("an", tenth));
        assert!(lockouts.locked("an", tenth + Duration::from_secs(59)));
        assert!(!lockouts.locked("an", tenth + LOCK));
        assert!(!lockouts.locked("binh", tenth));
    }

    #[test]
    fn a_right_password_forgets_the_failures() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        for _ in 0..9 {
            lockouts.failed("an", now);
        }
        lockouts.succeeded("an");
        assert!(!lockouts.failed("an", now));
    }

    #[test]
    fn names_by_the_thousand_do_not_fill_the_memory() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        for n in 0..MOST_ACCOUNTS + 10 {
            lockouts.failed(&n.to_string(), now);
        }
        assert!(lockouts.accounts.len() <= MOST_ACCOUNTS);
    }

    proptest! {
        /// Whatever the times: an account is locked only if one window held as many failures, and not longer than a lock.
        #[test]
        fn a_lock_has_its_reason_and_its_end(pauses in prop::collection::vec(0_u64..120, 1..60)) {
            let (mut lockouts, start) = (Lockouts::default(), Instant::now());
            let (mut now, mut failures, mut lock) = (start, Vec::new(), None);
            for pause in pauses {
                now += Duration::from_secs(pause);
                let locked = lockouts.locked("an", now);
                prop_assert_eq!(locked, lock.is_some_and(|at| now < at + LOCK));
                if !locked {
                    failures.push(now);
                    if lockouts.failed("an", now) {
                        let recent = failures.iter().filter(|at| now.duration_since(**at) < WINDOW).count();
                        prop_assert!(recent >= FAILURES);
                        lock = Some(now);
                    }
                }
            }
        }
    }
}

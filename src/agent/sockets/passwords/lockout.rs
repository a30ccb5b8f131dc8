//! Makes whoever guesses passwords wait.
//!
//! Failures and times come in, "locked" or not goes out; nothing here reads a clock. Three limits: for a source at one
//! account; for a source at all accounts; for an account from all sources. The last two hold for sources from which the
//! account never logged in, so that strangers lock out strangers and not the owner. Accounts that do not exist are
//! counted alike, so that nobody learns from a lock which ones do.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

use prometheus_client::encoding::EncodeLabelValue;

use super::generations::Generations;

/// Failures are counted within this time.
pub(super) const WINDOW: Duration = Duration::from_mins(5);
/// How long a lock lasts.
pub(super) const LOCK: Duration = Duration::from_mins(1);
/// Records of each kind remembered at least; some 10 MiB each.
const MOST: usize = 50_000;

/// What is locked.
#[derive(EncodeLabelValue, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// A source, at one account.
    Pair,
    /// A source, at all accounts that it is a stranger to.
    Source,
    /// An account, for all strangers.
    Account,
}

impl Scope {
    /// So many failures within [`WINDOW`] lock.
    pub(super) const fn failures(self) -> usize {
        match self {
            Self::Pair => 10,
            Self::Account => 20,
            // Behind one address may be a whole office.
            Self::Source => 50,
        }
    }
}

/// Who tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    pub account: &'a str,
    /// Its [`network`].
    pub source: Option<IpAddr>,
    /// Whether the account logged in from there before.
    pub known: bool,
}

/// What counts as one source: an IPv4 address, or the 64 bits that an IPv6 customer has at least.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

pub(super) struct Lockouts {
    /// By a hash that nobody outside can choose collisions for; names would cost more memory.
    records: [Generations<u64, Record>; 3],
    hasher: RandomState,
}

#[derive(Default)]
struct Record {
    failures: Vec<Instant>,
    locked_until: Option<Instant>,
}

impl Default for Lockouts {
    fn default() -> Self {
        let records = || Generations::new(MOST);
        Self { records: [records(), records(), records()], hasher: RandomState::new() }
    }
}

impl Lockouts {
    /// What keeps `who` from trying.
    pub(super) fn locked(&self, who: Who, now: Instant) -> Option<Scope> {
        scopes(who).find(|scope| {
            let record = self.records[*scope as usize].get(&self.key(*scope, who));
            record.and_then(|record| record.locked_until).is_some_and(|until| now < until)
        })
    }

    /// Notes a wrong password; what it locks.
    pub(super) fn failed(&mut self, who: Who, now: Instant) -> Vec<Scope> {
        scopes(who).filter(|scope| self.count(*scope, who, now)).collect()
    }

    fn count(&mut self, scope: Scope, who: Who, now: Instant) -> bool {
        let key = self.key(scope, who);
        let mut record = self.records[scope as usize].remove(&key).unwrap_or_default();
        record.failures.retain(|at| now.duration_since(*at) < WINDOW);
        record.failures.push(now);
        let locks = record.failures.len() >= scope.failures();
        if locks {
            record.failures.clear();
            record.locked_until = Some(now + LOCK);
        }
        self.records[scope as usize].insert(key, record);
        locks
    }

    /// Notes a right password: what was counted of this source at this account is forgotten.
    pub(super) fn succeeded(&mut self, who: Who) {
        let key = self.key(Scope::Pair, who);
        self.records[Scope::Pair as usize].remove(&key);
    }

    fn key(&self, scope: Scope, who: Who) -> u64 {
        match scope {
            Scope::Pair => self.hasher.hash_one((who.account, who.source)),
            Scope::Source => self.hasher.hash_one(who.source),
            Scope::Account => self.hasher.hash_one(who.account),
        }
    }
}

fn scopes(who: Who<'_>) -> impl Iterator<Item = Scope> + use<> {
    let strangers = [Scope::Source, Scope::Account];
    [Scope::Pair].into_iter().chain(strangers.into_iter().filter(move |_| !who.known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who(account: &str, source: u8, known: bool) -> Who<'_> {
        Who { account, source: Some(IpAddr::from([203, 0, 113, source])), known }
    }

    #[test]
    fn the_tenth_failure_within_five_minutes_locks_a_source_for_a_minute() {
        let (mut lockouts, start) = (Lockouts::default(), Instant::now());
        for n in 0..9 {
            assert!(lockouts.failed(who("an", 1, true), start + Duration::from_secs(n * 33)).is_empty());
        }
        let tenth = start + Duration::from_secs(9 * 33);
        assert_eq!(lockouts.locked(who("an", 1, true), tenth), None);
        assert_eq!(lockouts.failed(who("an", 1, true), tenth), [Scope::Pair]);
        let almost = tenth + Duration::from_secs(59);
        assert_eq!(lockouts.locked(who("an", 1, true), almost), Some(Scope::Pair));
        assert_eq!(lockouts.locked(who("an", 1, true), tenth + LOCK), None);
        for other in [who("binh", 1, true), who("an", 2, false)] {
            assert_eq!(lockouts.locked(other, tenth), None);
        }
    }

    #[test]
    fn strangers_lock_an_account_for_strangers_and_not_for_its_owner() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        let locked: Vec<_> = (0..20).flat_map(|n| lockouts.failed(who("an", n, false), now)).collect();
        assert_eq!(locked, [Scope::Account]);
        assert_eq!(lockouts.locked(who("an", 99, false), now), Some(Scope::Account));
        assert_eq!(lockouts.locked(who("an", 100, true), now), None);
        assert_eq!(lockouts.locked(who("binh", 99, false), now), None);
    }

    #[test]
    fn a_source_that_tries_many_accounts_is_locked_where_it_is_a_stranger() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        let names: Vec<_> = (0..50).map(|n| format!("u{n}")).collect();
        let locked: Vec<_> =
            names.iter().flat_map(|name| lockouts.failed(who(name, 1, false), now)).collect();
        assert_eq!(locked, [Scope::Source]);
        assert_eq!(lockouts.locked(who("an", 1, false), now), Some(Scope::Source));
        assert_eq!(lockouts.locked(who("an", 1, true), now), None);
        assert_eq!(lockouts.locked(who("an", 2, false), now), None);
    }

    #[test]
    fn a_right_password_forgets_the_failures_of_its_source() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        for _ in 0..9 {
            lockouts.failed(who("an", 1, true), now);
        }
        lockouts.succeeded(who("an", 1, true));
        assert!(lockouts.failed(who("an", 1, true), now).is_empty());
    }

    #[test]
    fn an_ipv6_customer_is_one_source() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    }

    proptest! {
        /// Whatever the times: a source is locked only if one window held as many failures, and not longer than a lock.
        #[test]
        fn a_lock_has_its_reason_and_its_end(pauses in prop::collection::vec(0_u64..120, 1..60)) {
            let (mut lockouts, start) = (Lockouts::default(), Instant::now());
            let (mut now, mut failures, mut lock) = (start, Vec::new(), None);
            for pause in pauses {
                now += Duration::from_secs(pause);
                let locked = lockouts.locked(who("an", 1, true), now).is_some();
                prop_assert_eq!(locked, lock.is_some_and(|at| now < at + LOCK));
                if !locked {
                    failures.push(now);
                    if !lockouts.failed(who("an", 1, true), now).is_empty() {
                        let recent = failures.iter().filter(|at| now.duration_since(**at) < WINDOW).count();
                        prop_assert!(recent >= Scope::Pair.failures());
                        lock = Some(now);
                    }
                }
            }
        }
    }
}

//! Who is in a domain, with how much quota, and who waits for either. Pure.
//!
//! Whoever is in stays in, with the quota that it has: limits keep others out. Those who wait come in as soon as they fit,
//! the older first; one that does not fit keeps no younger one waiting that does.

use std::collections::{BTreeMap, BTreeSet};

use super::Key;
use crate::{api::DomainLimits, quantity};

/// What the mailboxes of a domain may come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Their number.
    pub mailboxes: Option<u32>,
    /// The sum of their quotas, in bytes.
    pub quota: Option<u64>,
}

impl Limits {
    /// As a MailDomain has them.
    #[must_use]
    pub fn of(limits: &DomainLimits) -> Self {
        let quota = limits.total_quota.as_deref().and_then(quantity::bytes);
        Self { mailboxes: limits.mailboxes, quota }
    }
}

/// The place of a mailbox in its domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Where it is in or waits.
    pub(super) system: Option<std::sync::Arc<crate::names::SystemName>>,
    /// Whether it is in.
    pub(super) taken: bool,
    /// The quota that it has, or had when it was last in, in bytes.
    pub(super) granted: Option<u64>,
}

impl Seat {
    /// Whether the mailbox is in, and so may be served.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken
    }

    /// What is left of it when the mailbox is linked anew; it comes in again if it was in the `same` domain, or moves.
    pub(super) fn carried(&self, same: bool) -> Self {
        Self { system: None, taken: false, granted: self.granted.filter(|_| same) }
    }
}

/// When a mailbox was made: the older comes first.
pub(super) type Age = (i64, Key);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// How many are in.
    pub mailboxes: u32,
    /// What their quotas come to, in bytes.
    pub quota: u128,
    newcomers: Queue,
    raises: Queue,
}

/// Who came in, or got more.
#[derive(Debug, Default)]
pub(super) struct Gains {
    /// Mailboxes that are in from now on, with their quotas.
    pub admitted: Vec<(Key, u64)>,
    /// Mailboxes that have so much more quota.
    pub raised: Vec<(Key, u64)>,
}

impl Seats {
    /// Whether nobody is in or waits.
    pub fn is_empty(&self) -> bool {
        self.mailboxes == 0 && self.waiting() == 0
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.newcomers.by_age.len() + self.raises.by_age.len()
    }

    /// Everyone who waits.
    pub fn who_wait(&self) -> impl Iterator<Item = &Key> {
        self.newcomers.by_age.keys().chain(self.raises.by_age.keys()).map(|(_, key)| key)
    }

    /// How much quota is left.
    pub fn room(&self, limits: &Limits) -> u128 {
        limits.quota.map_or(u128::MAX, |total| u128::from(total).saturating_sub(self.quota))
    }

    /// How many seats are left.
    pub fn free(&self, limits: &Limits) -> usize {
        limits.mailboxes.map_or(usize::MAX, |most| most.saturating_sub(self.mailboxes) as usize)
    }

    /// Brings the seat in line with what the mailbox wants. `entitled` to a seat, with this quota, is who had one before.
    pub fn adjust(&mut self, age: &Age, seat: &mut Seat, wanted: u64, entitled: Option<u64>) {
        if !seat.taken {
            let Some(quota) = entitled else { return self.newcomers.put(age, Some(wanted)) };
            self.newcomers.put(age, None);
            (seat.taken, seat.granted) = (true, Some(quota));
            self.mailboxes += 1;
            self.quota += u128::from(quota);
        }
        let granted = seat.granted.unwrap_or_default();
        let more = wanted.saturating_sub(granted);
        self.raises.put(age, (more > 0).then_some(more));
        if more == 0 {
            self.quota = self.quota.saturating_sub((granted - wanted).into());
            seat.granted = Some(wanted);
        }
    }

    /// Takes the mailbox out. What it had is remembered in the seat.
    pub fn leave(&mut self, age: &Age, seat: &mut Seat) {
        self.newcomers.put(age, None);
        self.raises.put(age, None);
        if std::mem::take(&mut seat.taken) {
            self.mailboxes = self.mailboxes.saturating_sub(1);
            self.quota = self.quota.saturating_sub(seat.granted.unwrap_or_default().into());
        }
    }

    /// Lets in who fits, those first who are in and want more quota.
    pub fn fill(&mut self, limits: &Limits) -> Gains {
        let raised = self.raises.take(self.room(limits), usize::MAX);
        self.quota += total(&raised);
        let admitted = self.newcomers.take(self.room(limits), self.free(limits));
        self.quota += total(&admitted);
        self.mailboxes += u32::try_from(admitted.len()).unwrap_or(u32::MAX);
        Gains { admitted, raised }
    }
}

fn total(gains: &[(Key, u64)]) -> u128 {
    gains.iter().map(|(_, bytes)| u128::from(*bytes)).sum()
}

/// Mailboxes that wait, each for so many bytes.
#[derive(Debug, Default)]
struct Queue {
    by_age: BTreeMap<Age, u64>,
    /// The same: whether anyone fits is known without looking at each.
    by_need: BTreeSet<(u64, Age)>,
}

impl Queue {
    /// The mailbox waits for so much, or no more.
    fn put(&mut self, age: &Age, need: Option<u64>) {
        let old = match need {
            Some(need) => self.by_age.insert(age.clone(), need),
            None => self.by_age.remove(age),
        };
        if let Some(old) = old {
            self.by_need.remove(&(old, age.clone()));
        }
        if let Some(need) = need {
            self.by_need.insert((need, age.clone()));
        }
    }

    /// Takes out who fits into so many bytes, `most` at the most.
    fn take(&mut self, mut room: u128, most: usize) -> Vec<(Key, u64)> {
        let mut taken: Vec<(Age, u64)> = Vec::new();
        let fits = |room: u128, need: u64| u128::from(need) <= room;
        let least = self.by_need.first().map_or(u64::MAX, |(need, _)| *need);
        for (age, need) in &self.by_age {
            if taken.len() >= most || !fits(room, least) {
                break;
            }
            if fits(room, *need) {
                room -= u128::from(*need);
                taken.push((age.clone(), *need));
            }
        }
        for (age, _) in &taken {
            self.put(age, None);
        }
        taken.into_iter().map(|((_, key), need)| (key, need)).collect()
    }
}

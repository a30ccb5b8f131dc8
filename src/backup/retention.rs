//! Which snapshots are kept. Times come in, ids to forget come out. A snapshot is forgotten by its id alone, never by a rule
//! that restic applies; the last verified one is never forgotten, and neither is one that nobody has counted yet.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::restic::SnapshotId;

/// How many are kept: the latest ones, and the latest of each of so many hours, days, weeks, months and years in which there
/// is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The latest.
    pub last: u32,
    /// One of each hour.
    pub hourly: u32,
    /// One of each day.
    pub daily: u32,
    /// One of each week, which begins on Monday.
    pub weekly: u32,
    /// One of each month.
    pub monthly: u32,
    /// One of each year.
    pub yearly: u32,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: SnapshotId,
    /// When it was made.
    pub time: Timestamp,
    /// Whether it was restored and found to be right.
    pub verified: bool,
    /// Whether its backup succeeded. One that lacks something takes no place of one that does not.
    pub succeeded: bool,
}

/// Names the period in which a date and an hour are.
type Period = fn(Date, i8) -> (i32, i32);

/// The ids to forget, in the order of time. Nothing is forgotten when nothing is said of what to keep.
#[must_use]
pub fn forget(keep: &Keep, zone: &TimeZone, snapshots: &[Kept]) -> Vec<SnapshotId> {
    if *keep == Keep::default() {
        return Vec::new();
    }
    let mut all: Vec<_> = snapshots.iter().collect();
    all.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    let good: Vec<_> = all.iter().copied().filter(|snapshot| snapshot.succeeded).collect();
    let mut kept: BTreeSet<&SnapshotId> = BTreeSet::new();
    kept.extend(good.iter().take(keep.last as usize).map(|snapshot| &snapshot.id));
    let each: [(u32, Period); 5] = [
        (keep.hourly, |date, hour| (days(date), hour.into())),
        (keep.daily, |date, _| (days(date), 0)),
        // The epoch was a Thursday.
        (keep.weekly, |date, _| ((days(date) + 3).div_euclid(7), 0)),
        (keep.monthly, |date, _| (date.year().into(), date.month().into())),
        (keep.yearly, |date, _| (date.year().into(), 0)),
    ];
    for (count, period) in each {
        let mut last = None;
        let first_of_each = good.iter().filter(|snapshot| {
            let local = snapshot.time.to_zoned(zone.clone());
            let this = Some(period(local.date(), local.hour()));
            std::mem::replace(&mut last, this) != this
        });
        kept.extend(first_of_each.take(count as usize).map(|snapshot| &snapshot.id));
    }
    kept.extend(all.iter().find(|snapshot| snapshot.verified).map(|snapshot| &snapshot.id));
    // A failed one is of use until a good one follows it.
    let latest_good = good.first().map(|snapshot| snapshot.time);
    let follows = |snapshot: &Kept| latest_good.is_some_and(|time| time > snapshot.time);
    let goes = |snapshot: &&&Kept| !kept.contains(&snapshot.id) && (snapshot.succeeded || follows(snapshot));
    all.iter().rev().filter(goes).map(|snapshot| snapshot.id.clone()).collect()
}

/// Days since the epoch.
fn days(date: Date) -> i32 {
    let epoch = Date::constant(1970, 1, 1);
    date.duration_since(epoch).as_hours().try_into().map_or(i32::MAX, |hours: i32| hours.div_euclid(24))
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> SnapshotId {
        SnapshotId::parse(&format!("{number:064x}")).unwrap()
    }

    fn zone() -> TimeZone {
        TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
    }

    /// One a night for so many nights, the last at 02:00 on 2 December 2026; the number is how many nights ago.
    fn nights(count: usize) -> Vec<Kept> {
        let last: Timestamp = "2026-12-01T19:00:00Z".parse().unwrap();
        let night = |n: usize| Kept {
            id: id(n),
            time: last - (i64::try_from(n).unwrap() * 24).hours(),
            verified: false,
            succeeded: true,
        };
        (0..count).map(night).collect()
    }

    fn kept(keep: Keep, snapshots: &[Kept]) -> Vec<usize> {
        let gone = forget(&keep, &zone(), snapshots);
        (0..snapshots.len()).filter(|n| !gone.contains(&snapshots[*n].id)).collect()
    }

    #[test]
    fn the_latest_of_each_period_are_kept() {
        let snapshots = nights(800);
        assert_eq!(kept(Keep { last: 3, ..Keep::default() }, &snapshots), [0, 1, 2]);
        assert_eq!(kept(Keep { daily: 4, ..Keep::default() }, &snapshots), [0, 1, 2, 3]);
        // Today is a Wednesday; weeks end on Sundays.
        assert_eq!(kept(Keep { weekly: 3, ..Keep::default() }, &snapshots), [0, 3, 10]);
        // The last nights of months: 30 November, 31 October.
        assert_eq!(kept(Keep { monthly: 3, ..Keep::default() }, &snapshots), [0, 2, 32]);
        assert_eq!(kept(Keep { yearly: 9, ..Keep::default() }, &snapshots), [0, 336, 701]);
        let all = Keep { last: 1, daily: 2, weekly: 2, monthly: 2, yearly: 2, ..Keep::default() };
        assert_eq!(kept(all, &snapshots), [0, 1, 2, 3, 336]);
    }

    #[test]
    fn periods_are_those_of_the_time_zone() {
        let at = |n: usize, text: &str| Kept {
            id: id(n),
            time: text.parse().unwrap(),
            verified: false,
            succeeded: true,
        };
        // 23:30 and 00:30 in Vietnam, on one day in Greenwich.
        let two = [at(0, "2026-12-01T17:30:00Z"), at(1, "2026-12-01T16:30:00Z")];
        assert_eq!(kept(Keep { daily: 5, ..Keep::default() }, &two), [0, 1]);
        assert_eq!(forget(&Keep { daily: 5, ..Keep::default() }, &TimeZone::UTC, &two), [id(1)]);
        let hours =
            [at(0, "2026-12-01T17:50:00Z"), at(1, "2026-12-01T17:10:00Z"), at(2, "2026-12-01T16:10:00Z")];
        assert_eq!(kept(Keep { hourly: 2, ..Keep::default() }, &hours), [0, 2]);
    }

    #[test]
    fn the_last_verified_one_is_never_forgotten() {
        let mut snapshots = nights(50);
        snapshots[40].verified = true;
        snapshots[45].verified = true;
        assert_eq!(kept(Keep { last: 1, ..Keep::default() }, &snapshots), [0, 40]);
    }

    #[test]
    fn a_failed_one_takes_nobodys_place_and_is_kept_until_a_good_one_follows() {
        let mut snapshots = nights(4);
        snapshots[0].succeeded = false;
        snapshots[2].succeeded = false;
        assert_eq!(kept(Keep { last: 1, ..Keep::default() }, &snapshots), [0, 1]);
        assert_eq!(kept(Keep { last: 2, ..Keep::default() }, &snapshots), [0, 1, 3]);
    }

    #[test]
    fn without_a_word_of_what_to_keep_nothing_is_forgotten() {
        assert!(forget(&Keep::default(), &zone(), &nights(9)).is_empty());
        assert!(forget(&Keep { last: 9, ..Keep::default() }, &zone(), &[]).is_empty());
    }

    proptest! {
        #[test]
        fn something_good_is_always_left_and_a_second_pass_forgets_nothing(
            counts in proptest::array::uniform6(0_u32..4), marks in proptest::collection::vec((0_i64..2_000_000, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let [last, hourly, daily, weekly, monthly, yearly] = counts;
            let keep = Keep { last, hourly, daily, weekly, monthly, yearly };
            let base = 1_764_000_000;
            let snapshots: Vec<_> = marks.iter().enumerate().map(|(n, (minutes, verified, succeeded))| Kept {
                id: id(n), time: Timestamp::from_second(base + minutes * 60).unwrap(), verified: *verified, succeeded: *succeeded,
            }).collect();
            let gone = forget(&keep, &zone(), &snapshots);
            let left: Vec<_> = snapshots.iter().filter(|it| !gone.contains(&it.id)).cloned().collect();
            prop_assert_eq!(left.iter().any(|it| it.succeeded), snapshots.iter().any(|it| it.succeeded));
            prop_assert_eq!(left.iter().any(|it| it.verified), snapshots.iter().any(|it| it.verified));
            prop_assert!(forget(&keep, &zone(), &left).is_empty());
            let latest = snapshots.iter().filter(|it| it.verified).max_by_key(|it| (it.time, it.id.clone()));
            prop_assert!(latest.is_none_or(|it| !gone.contains(&it.id)));
        }
    }
}

use jiff::civil;
use proptest::prelude::*;

use super::*;

const ZONES: [&str; 7] = [
    "Asia/Ho_Chi_Minh",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Casablanca",
    "Etc/UTC",
];

const ANY: Policy = Policy { suspended: false, deadline: None };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(pattern: &str, zone: &str) -> Schedule {
    Schedule::parse(pattern, zone).unwrap()
}

fn between(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = at(after);
    while let Some(next) = schedule.next(last).filter(|next| *next <= at(until)) {
        found.push(next.to_string());
        last = next;
    }
    found
}

#[test]
fn what_is_no_cron_of_five_fields_is_refused_and_so_is_what_never_comes() {
    for pattern in [
        "",
        "0 2 * *",
        "0 0 2 * * *",
        "0 2 * * * 2027",
        "@daily",
        "60 2 * * *",
        "0 24 * * *",
        "0 2 32 * *",
        "0 2 * 13 *",
        "0 2 * * 8",
        "0 2 L * *",
        "0 2 15W * *",
        "0 2 * * FRI#2",
        "0 2 ? * *",
        "a b c d e",
        "5-1 2 * * *",
        "*/0 2 * * *",
        "0 2 * * +MON",
        "0 2 * * MONDAY",
    ] {
        assert!(matches!(Schedule::parse(pattern, "Etc/UTC"), Err(Error::Pattern(..))), "{pattern}");
    }
    for pattern in ["0 2 30 2 *", "0 2 31 2,4,6,9,11 *"] {
        assert_eq!(Schedule::parse(pattern, "Etc/UTC").unwrap_err(), Error::Never(pattern.into()));
    }
    for zone in ["", "Asia/Saigon-2", "+07:00"] {
        assert_eq!(Schedule::parse("0 2 * * *", zone).unwrap_err(), Error::Zone(zone.into()));
    }
}

#[test]
fn usual_patterns_come_when_people_expect_them() {
    let night = schedule("30 2 * * *", "Asia/Ho_Chi_Minh");
    assert_eq!(night.next(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T19:30:00Z")));
    assert_eq!(night.next(at("2026-12-01T19:30:00Z")), Some(at("2026-12-02T19:30:00Z")));
    assert_eq!(night.next(at("2026-12-01T19:29:59.9Z")), Some(at("2026-12-01T19:30:00Z")));
    assert_eq!(night.latest(at("2026-12-01T19:30:00Z")), Some(at("2026-12-01T19:30:00Z")));
    assert_eq!(night.latest(at("2026-12-01T19:29:59.999Z")), Some(at("2026-11-30T19:30:00Z")));
    let weekend = schedule("0 4 * * sat,SUN", "Etc/UTC");
    assert_eq!(weekend.next(at("2026-12-01T00:00:00Z")), Some(at("2026-12-05T04:00:00Z")));
    let leap = schedule("0 0 29 2 *", "Etc/UTC");
    assert_eq!(leap.next(at("2026-01-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next(at("2097-01-01T00:00:00Z")), Some(at("2104-02-29T00:00:00Z")));
    // Both days given: either counts, as cron has it.
    let either = schedule("0 0 13 * 5", "Etc/UTC");
    assert_eq!(either.next(at("2026-12-01T00:00:00Z")), Some(at("2026-12-04T00:00:00Z")));
}

#[test]
fn a_time_that_spring_skips_is_run_at_the_end_of_the_gap_and_one_that_autumn_repeats_once() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    let spring = ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"];
    assert_eq!(between(&berlin, "2027-03-26T12:00:00Z", "2027-03-29T12:00:00Z"), spring);
    let autumn = ["2027-10-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"];
    assert_eq!(between(&berlin, "2027-10-29T12:00:00Z", "2027-11-01T12:00:00Z"), autumn);
    // Asked within the repeated hour, too.
    assert_eq!(berlin.next(at("2027-10-31T00:45:00Z")), Some(at("2027-11-01T01:30:00Z")));
    assert_eq!(berlin.latest(at("2027-10-31T01:45:00Z")), Some(at("2027-10-31T00:30:00Z")));
    // Times before the gap stay where they are.
    let before = schedule("59 1 * * *", "Europe/Berlin");
    assert_eq!(between(&before, "2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z"), ["2027-03-28T00:59:00Z"]);
    // Several that fall into the gap are one.
    let three = schedule("0,20,40 2 * * *", "Europe/Berlin");
    assert_eq!(between(&three, "2027-03-28T00:30:00Z", "2027-03-28T12:00:00Z"), ["2027-03-28T01:00:00Z"]);
    // Lists and steps are times of the wall clock, too.
    for pattern in ["30 2,14 * * *", "30 2-2 * * *", "30 */2 * * *"] {
        let schedule = schedule(pattern, "Europe/Berlin");
        let spring = between(&schedule, "2027-03-28T00:50:00Z", "2027-03-28T01:20:00Z");
        assert_eq!(spring, ["2027-03-28T01:00:00Z"], "{pattern}");
        let autumn = between(&schedule, "2027-10-31T00:00:00Z", "2027-10-31T02:00:00Z");
        assert_eq!(autumn, ["2027-10-31T00:30:00Z"], "{pattern}");
    }
}

#[test]
fn intervals_follow_real_time_over_the_repeated_hour() {
    let hourly = schedule("0 * * * *", "America/New_York");
    let expected = ["2027-11-07T05:00:00Z", "2027-11-07T06:00:00Z", "2027-11-07T07:00:00Z"];
    assert_eq!(between(&hourly, "2027-11-07T04:30:00Z", "2027-11-07T07:30:00Z"), expected);
    let spring = ["2027-03-14T06:00:00Z", "2027-03-14T07:00:00Z", "2027-03-14T08:00:00Z"];
    assert_eq!(between(&hourly, "2027-03-14T05:30:00Z", "2027-03-14T08:30:00Z"), spring);
}

#[test]
fn however_many_were_missed_one_run_is_due_and_none_after_it() {
    let hourly = schedule("0 * * * *", "Etc/UTC");
    let (since, now) = (at("2026-01-01T00:00:00Z"), at("2026-12-01T05:10:00Z"));
    let scheduled = at("2026-12-01T05:00:00Z");
    assert_eq!(hourly.due(since, now, ANY), Due::Run { scheduled, missed: true });
    assert_eq!(hourly.due(scheduled, now, ANY), Due::Wait(Some(at("2026-12-01T06:00:00Z"))));
    let before = at("2026-12-01T04:00:00Z");
    assert_eq!(hourly.due(before, now, ANY), Due::Run { scheduled, missed: false });
    assert_eq!(hourly.due(before, scheduled, ANY), Due::Run { scheduled, missed: false });
}

#[test]
fn a_run_that_is_later_than_its_deadline_is_not_begun() {
    let nightly = schedule("0 2 * * *", "Etc/UTC");
    let since = at("2026-11-30T02:00:00Z");
    let hour = Policy { deadline: Some(Duration::from_hours(1)), ..ANY };
    let (scheduled, next) = (at("2026-12-01T02:00:00Z"), Some(at("2026-12-02T02:00:00Z")));
    assert_eq!(nightly.due(since, at("2026-12-01T03:00:00Z"), hour), Due::Run { scheduled, missed: false });
    assert_eq!(nightly.due(since, at("2026-12-01T03:00:01Z"), hour), Due::TooLate { scheduled, next });
    assert_eq!(nightly.due(scheduled, at("2026-12-01T03:00:01Z"), hour), Due::Wait(next));
}

#[test]
fn nothing_is_due_while_it_is_suspended_and_what_was_missed_is_made_up_for_once() {
    let nightly = schedule("0 2 * * *", "Etc/UTC");
    let (since, now) = (at("2026-11-01T02:00:00Z"), at("2026-12-01T03:00:00Z"));
    assert_eq!(nightly.due(since, now, Policy { suspended: true, ..ANY }), Due::Suspended);
    let scheduled = at("2026-12-01T02:00:00Z");
    assert_eq!(nightly.due(since, now, ANY), Due::Run { scheduled, missed: true });
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_due_and_nobody_waits_for_the_old_time() {
    let nightly = schedule("0 2 * * *", "Etc/UTC");
    let since = at("2036-12-01T02:00:00Z");
    let due = nightly.due(since, at("2026-12-01T03:00:00Z"), ANY);
    assert_eq!(due, Due::Wait(Some(at("2026-12-02T02:00:00Z"))));
}

/// When a day's run at this time has to be, from the zone's rules alone.
fn expected(zone: &TimeZone, time: civil::DateTime) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let earlier = ambiguous.earlier().unwrap();
            let change = zone.following(earlier - 1.second()).next().unwrap();
            change.timestamp()
        }
        _ => ambiguous.earlier().unwrap(),
    }
}

proptest! {
    #[test]
    fn each_day_has_its_run_exactly_once_whatever_the_clocks_do(
        zone in proptest::sample::select(&ZONES[..]), year in 2024_i16..2034, day in 1_i16..366, hour in 0_i8..24, minute in 0_i8..60,
    ) {
        let daily = schedule(&format!("{minute} {hour} * * *"), zone);
        let tz = TimeZone::get(zone).unwrap();
        let first = civil::date(year, 1, 1).at(hour, minute, 0, 0) + i64::from(day).days();
        let mut last = expected(&tz, first - 1.day());
        for n in 0..5 {
            let next = daily.next(last).unwrap();
            prop_assert_eq!(next, expected(&tz, first + i64::from(n).days()));
            prop_assert_eq!(daily.latest(next), Some(next));
            prop_assert_eq!(daily.latest(next - 1.second()), Some(last));
            last = next;
        }
    }

    #[test]
    fn around_each_change_of_clocks_too(
        zone in proptest::sample::select(&ZONES[1..6]), year in 2024_i16..2034, which in 0_usize..2, minutes in -180_i32..180,
    ) {
        let tz = TimeZone::get(zone).unwrap();
        let begin = civil::date(year, 1, 1).at(0, 0, 0, 0).to_zoned(tz.clone()).unwrap().timestamp();
        let Some(change) = tz.following(begin).nth(which) else { return Ok(()) };
        // A wall-clock time near the change, in the gap and in the overlap as well.
        let wall = change.offset().to_datetime(change.timestamp()) + minutes.minutes();
        let daily = schedule(&format!("{} {} * * *", wall.minute(), wall.hour()), zone);
        let mut last = expected(&tz, wall - 2.days());
        for n in -1..3 {
            let next = daily.next(last).unwrap();
            prop_assert_eq!(next, expected(&tz, wall + n.days()), "{} {}", wall, zone);
            prop_assert_eq!(daily.latest(next - 1.second()), Some(last));
            last = next;
        }
    }

    #[test]
    fn the_next_is_always_later_and_running_what_is_due_ends(
        zone in proptest::sample::select(&ZONES[..]), second in 1_700_000_000_i64..2_000_000_000, nanos in 0_i32..1_000_000_000,
        minute in "(\\*|\\*/[1-9]|[0-9]|[1-5][0-9]|[0-4]-[5-9])", hour in "(\\*|\\*/[1-9]|[0-9]|1[0-9]|2[0-3])",
        weekday in "(\\*|[0-7]|MON-FRI)",
    ) {
        let schedule = schedule(&format!("{minute} {hour} * * {weekday}"), zone);
        let now = Timestamp::new(second, nanos).unwrap();
        let next = schedule.next(now).unwrap();
        prop_assert!(next > now);
        let latest = schedule.latest(now).unwrap();
        prop_assert!(latest <= now && schedule.next(latest) == Some(next));
        let Due::Run { scheduled, .. } = schedule.due(Timestamp::UNIX_EPOCH, now, ANY) else { panic!("nothing is due") };
        prop_assert_eq!(scheduled, latest);
        prop_assert_eq!(schedule.due(scheduled, now, ANY), Due::Wait(Some(next)));
    }

    #[test]
    fn nothing_makes_it_panic(pattern in ".{0,30}", zone in ".{0,10}") {
        let _ = Schedule::parse(&pattern, &zone);
    }
}

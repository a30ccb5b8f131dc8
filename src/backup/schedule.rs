//! When a backup is due: five-field cron in a time zone. A pattern, what was run last, and the time come in; what to do now
//! and when to look again come out. Nothing here sleeps or asks a clock.
//!
//! Patterns name times of the wall clock. One that the clock skips in spring is run at the first instant after the gap, and
//! one that it repeats in autumn once. With `*` as its hour a pattern means intervals and follows real time: `0 * * * *` runs
//! in both of the repeated hours, and in none that is skipped. However many runs were missed, one is made up for.

use std::{fmt, time::Duration};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Timestamp, ToSpan, Zoned,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone},
};

/// A day that fits a pattern comes within so many days, the 29th of February over the end of a century too, or never.
const DAYS: i32 = 366 * 8;

/// A pattern in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    /// The times of a day; none if it means intervals.
    times: Option<Vec<Time>>,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no pattern of five fields.
    #[error(
        "`{0}` is not a cron pattern of five fields (minute, hour, day of month, month, day of week): {1}"
    )]
    Pattern(String, String),
    /// No day fits it, the 30th of February for example.
    #[error("`{0}` never comes")]
    Never(String),
    /// The time zone is not known.
    #[error("there is no time zone `{0}`: its name has to be one like Asia/Ho_Chi_Minh, or Etc/UTC")]
    Zone(String),
}

/// What is wanted of a schedule besides its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Nothing begins while this is set. What was missed meanwhile counts as missed when it ends.
    pub suspended: bool,
    /// A run that could not begin for so long is not made up for.
    pub deadline: Option<Duration>,
}

/// What there is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A run that stands for all that were due until now.
    Run {
        /// Which it is: the latest time that the pattern had. It is remembered as the last one.
        scheduled: Timestamp,
        /// Whether earlier ones were missed, for which it stands too.
        missed: bool,
    },
    /// The latest run is not to begin any more. It is remembered as the last one.
    TooLate {
        /// Which it is.
        scheduled: Timestamp,
        /// When the next is due; never after the year 5000.
        next: Option<Timestamp>,
    },
    /// Nothing until then.
    Wait(Option<Timestamp>),
    /// Nothing until somebody wants it again.
    Suspended,
}

impl Schedule {
    /// Reads a pattern and the name of a time zone.
    ///
    /// # Errors
    /// One of them is not understood, or the pattern never comes.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, Error> {
        let wrong = |why: &dyn fmt::Display| Error::Pattern(pattern.to_owned(), why.to_string());
        plain(pattern).map_err(|why| wrong(&why))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| wrong(&error))?;
        let zone = TimeZone::get(zone).map_err(|_| Error::Zone(zone.to_owned()))?;
        let times = (fields(pattern).nth(1) != Some("*")).then(|| times(&cron));
        let schedule = Self { cron, zone, times };
        match schedule.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(Error::Never(pattern.to_owned())),
        }
    }

    /// The first time after `after`.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let Some(times) = &self.times else {
            let found = self.cron.find_next_occurrence(&self.zoned(after), false).ok()?;
            return Some(found.timestamp());
        };
        // A time of the day before may be run today: at the end of a gap.
        let today = self.zoned(after).date();
        let days = (-1..DAYS).filter_map(|days| today.checked_add(days.days()).ok());
        let mut all =
            days.filter(|day| self.fits(*day)).flat_map(|day| times.iter().map(move |time| (day, *time)));
        all.find_map(|(day, time)| self.instant(day, time).filter(|at| *at > after))
    }

    /// The last time that is not after `until`.
    #[must_use]
    pub fn latest(&self, until: Timestamp) -> Option<Timestamp> {
        let Some(times) = &self.times else {
            let found = self.cron.find_previous_occurrence(&self.zoned(until), true).ok()?;
            return Some(found.timestamp());
        };
        let today = self.zoned(until).date();
        let days = (0..DAYS).filter_map(|days| today.checked_sub(days.days()).ok());
        let all = days
            .filter(|day| self.fits(*day))
            .flat_map(|day| times.iter().rev().map(move |time| (day, *time)));
        let mut instants = all.filter_map(|(day, time)| self.instant(day, time));
        instants.find(|at| *at <= until)
    }

    /// The longest time between two of the next runs.
    #[must_use]
    pub fn interval(&self, now: Timestamp) -> Option<SignedDuration> {
        let mut times = vec![self.next(now)?];
        while times.len() < 9
            && let Some(next) = times.last().and_then(|last| self.next(*last))
        {
            times.push(next);
        }
        times.iter().zip(times.iter().skip(1)).map(|(one, next)| next.duration_since(*one)).max()
    }

    /// Whether there is a run on this day.
    fn fits(&self, day: Date) -> bool {
        let time = self.times.iter().flatten().next().copied().unwrap_or_default();
        self.cron.is_time_matching(&day.to_datetime(time)).unwrap_or(false)
    }

    /// When a time of a day is: the first of two, or the end of the gap in which it would be.
    fn instant(&self, day: Date, time: Time) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(day.to_datetime(time));
        if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            return ambiguous.earlier().ok();
        }
        let after = ambiguous.later().ok()?;
        self.zone.preceding(after.checked_add(1.second()).ok()?).next().map(|change| change.timestamp())
    }

    /// What there is to do at `now`, when all until `since` was dealt with: the time of the last run, or when the schedule
    /// was made.
    #[must_use]
    pub fn due(&self, since: Timestamp, now: Timestamp, policy: Policy) -> Due {
        if policy.suspended {
            return Due::Suspended;
        }
        let next = self.next(now);
        let Some(scheduled) = self.latest(now).filter(|latest| *latest > since) else {
            return Due::Wait(next);
        };
        let late = now.duration_since(scheduled);
        let limit = policy.deadline.and_then(|deadline| SignedDuration::try_from(deadline).ok());
        if limit.is_some_and(|limit| late > limit) {
            return Due::TooLate { scheduled, next };
        }
        let missed = self.next(since).is_some_and(|first| first < scheduled);
        Due::Run { scheduled, missed }
    }

    /// In whole seconds, which is all that patterns know of.
    fn zoned(&self, at: Timestamp) -> Zoned {
        let second = Timestamp::from_second(at.as_second() - i64::from(at.subsec_nanosecond() < 0));
        second.unwrap_or(at).to_zoned(self.zone.clone())
    }
}

fn fields(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split_whitespace()
}

/// The times of a day, in order.
fn times(cron: &Cron) -> Vec<Time> {
    let (hours, minutes) = (cron.pattern.hours.values(), cron.pattern.minutes.values());
    let time = |hour: u16, minute: u16| Time::new(hour.try_into().ok()?, minute.try_into().ok()?, 0, 0).ok();
    let all = hours.iter().flat_map(|hour| minutes.iter().filter_map(|minute| time(*hour, *minute)));
    all.collect()
}

/// The parser knows more than the five fields that everyone else understands: seconds, years, `@daily`, `L`, `W`, `#`.
fn plain(pattern: &str) -> Result<(), &'static str> {
    let fields: Vec<_> = fields(pattern).collect();
    if fields.len() != 5 {
        return Err("count the fields");
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "*,-/".contains(c);
    let words = |field: &&str| {
        field.split(|c: char| !c.is_ascii_alphabetic()).all(|word| word.is_empty() || word.len() == 3)
    };
    if fields.iter().all(|field| field.chars().all(known)) && fields.iter().all(words) {
        Ok(())
    } else {
        Err("a field has digits, names of three letters, and `*`, `,`, `-`, `/`")
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;

//! The window in which messages are counted: an hour that slides. Two counters are kept, of this hour and of the one
//! before, of which the part counts that the window still covers. Pure but for [`now`].

use std::time::{SystemTime, UNIX_EPOCH};

/// The window, in seconds.
pub(super) const HOUR: i64 = 3600;

/// A message that is to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// Who sends, folded.
    pub mailbox: &'a str,
    /// The suspension that was last lifted: counts begin anew with it.
    pub resumed: i64,
    /// Messages of the mailbox within an hour.
    pub limit: u32,
    /// Its domain.
    pub domain: &'a str,
    /// Messages of the domain within an hour.
    pub domain_limit: Option<u32>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// It is counted.
    Passed,
    /// The mailbox is over its limit; it was refused so many times within the hour.
    Refused(u64),
    /// The domain is over its limit.
    DomainRefused,
}

/// A moment: the number of its hour, and how much of the one before the window covers, in thousandths.
pub(super) fn place(now: i64) -> (i64, i64) {
    (now.div_euclid(HOUR), 1000 - now.rem_euclid(HOUR) * 1000 / HOUR)
}

/// Seconds of Unix time.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

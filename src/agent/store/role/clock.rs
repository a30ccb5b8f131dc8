//! The clock that safety rests on: `CLOCK_BOOTTIME`, which goes on while the machine is suspended and which nobody sets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Since the machine started.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), nanos)
}

/// The time of day, for people: Unix seconds.
#[must_use]
pub fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

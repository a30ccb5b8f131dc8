//! Times as people write them. Text comes in, a point in time goes out. Pure, but for this machine's clock and time zone.

use std::str::FromStr;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::cli::journal::Since;

/// A point in time: `2026-12-01T08:00:00+07:00`; without an offset in this machine's time zone, `2026-12-01 08:00` or
/// `2026-12-01` for its beginning; or how long ago, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When(pub(super) Timestamp);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, &TimeZone::system()).map(Self)
    }
}

fn parse(text: &str, here: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return here.to_timestamp(at).map_err(|error| error.to_string());
    }
    let ago = text.parse::<Since>().map(|Since(at)| at);
    ago.map_err(|_| {
        format!("{text:?} is no time: write it as 2026-12-01T08:00:00+07:00, or 2h for two hours ago")
    })
}

/// Snapshots of a backup, at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackupAt {
    pub(super) backup: String,
    pub(super) at: When,
}

impl FromStr for BackupAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (backup, at) =
            text.split_once('@').filter(|(backup, _)| !backup.is_empty()).ok_or_else(|| {
                format!("{text:?} is no backup at a time: write it as nightly@2026-12-01T08:00:00+07:00")
            })?;
        Ok(Self { backup: backup.to_owned(), at: at.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_an_offset_are_of_this_place() {
        let here = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let expected: Timestamp = "2026-12-01T01:00:00Z".parse().unwrap();
        for text in
            ["2026-12-01T08:00:00+07:00", "2026-12-01T01:00:00Z", "2026-12-01 08:00", "2026-12-01T08:00:00"]
        {
            assert_eq!(parse(text, &here).as_ref(), Ok(&expected), "{text}");
        }
        let midnight: Timestamp = "2026-11-30T17:00:00Z".parse().unwrap();
        assert_eq!(parse("2026-12-01", &here), Ok(midnight));
        let ago = parse("2h", &here).unwrap().duration_until(Timestamp::now()).as_secs();
        assert!((7_199..7_300).contains(&ago), "{ago}");
        assert!(parse("yesterday", &here).is_err());
    }

    #[test]
    fn a_point_in_time_names_its_backup() {
        let at: BackupAt = "nightly@2026-12-01T01:00:00Z".parse().unwrap();
        assert_eq!((at.backup.as_str(), at.at.0.as_second()), ("nightly", 1_796_086_800));
        for bad in ["nightly", "@2h", "nightly@", "nightly@soon"] {
            assert!(bad.parse::<BackupAt>().is_err(), "{bad}");
        }
    }
}

//! Times, spans and sizes as people read them. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::conditions;

/// A time without its fractions of a second; nothing if there is none.
pub(super) fn time(time: Option<&Time>) -> String {
    time.map(|time| time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

/// How long it took from one to the other, if both are known.
pub(super) fn between(from: Option<&Time>, to: Option<&Time>) -> Option<String> {
    let seconds = to?.0.as_second().checked_sub(from?.0.as_second())?;
    Some(span(u64::try_from(seconds).ok()?))
}

fn span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes) => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

/// Bytes in a unit in which they are a small number.
pub(super) fn size(bytes: u64) -> String {
    let (mut whole, mut rest, mut units) = (bytes, 0, ["KiB", "MiB", "GiB", "TiB", "PiB"].into_iter());
    let mut unit = "bytes";
    while let Some(next) = (whole >= 1024).then(|| units.next()).flatten() {
        (rest, whole, unit) = (whole % 1024, whole / 1024, next);
    }
    if unit == "bytes" { format!("{whole} bytes") } else { format!("{whole}.{} {unit}", rest * 10 / 1024) }
}

/// Status of a condition, with its reason where it is not True; nothing if it is not there.
pub(super) fn verdict(of: &[Condition], type_: &str) -> String {
    match conditions::get(of, type_) {
        None => String::new(),
        Some(it) if it.status == "True" => it.status.clone(),
        Some(it) => format!("{} ({})", it.status, it.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        for (seconds, expected) in [(0, "0s"), (65, "1m05s"), (7_384, "2h03m04s")] {
            assert_eq!(span(seconds), expected);
        }
        let at = |text: &str| Time(text.parse().unwrap());
        let (from, to) = (at("2026-12-01T08:00:00.75Z"), at("2026-12-01T08:01:05Z"));
        assert_eq!(time(Some(&from)), "2026-12-01T08:00:00Z");
        assert_eq!(between(Some(&from), Some(&to)).as_deref(), Some("1m05s"));
        assert_eq!(between(Some(&to), Some(&from)), None);
        assert_eq!(between(None, Some(&to)), None);
    }
}

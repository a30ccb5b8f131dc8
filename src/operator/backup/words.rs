//! Figures as people read them. Pure.

/// A length of time, to the second: `12m30s`.
#[must_use]
pub fn time(millis: u64) -> String {
    let seconds = millis.div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

/// Bytes in the largest unit of which there is one, with one decimal.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (bytes.max(1).ilog2() / 10) as usize;
    let unit = UNITS.get(power).copied().unwrap_or_default();
    if power == 0 {
        return format!("{bytes} {unit}");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let times: Vec<_> = [0, 1, 59_000, 750_000, 3_600_000, 90_061_000].into_iter().map(time).collect();
        assert_eq!(times, ["0s", "1s", "59s", "12m30s", "1h00m00s", "25h01m01s"]);
        let sizes: Vec<_> = [0, 1023, 1024, 1536, 5 << 30, u64::MAX].into_iter().map(size).collect();
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB", "15.9 EiB"]);
    }
}

//! Kubernetes quantities as figures: text such as `50Mi` or `1.5G` comes in, whole bytes go out.

/// The bytes that a quantity amounts to, rounded up. `None` if the text is none, is negative or does not fit.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (multiplier, divisor) = factor(suffix)?;
    let below = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(divisor)?;
    u64::try_from(digits.checked_mul(multiplier)?.div_ceil(below)).ok()
}

/// What a suffix multiplies with and divides by.
fn factor(suffix: &str) -> Option<(u128, u128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some((1 << (10 * (power + 1)), 1));
    }
    if let Some(power) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((1000_u128.pow(u32::try_from(power).ok()?), 1));
    }
    if let Some(power) = ["m", "u", "n"].iter().position(|known| *known == suffix) {
        return Some((1, 1000_u128.pow(u32::try_from(power + 1).ok()?)));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

/// The quantity of so many bytes: exact, in the largest binary unit in which it is whole.
#[must_use]
pub fn text(bytes: u128) -> String {
    let power = if bytes == 0 { 0 } else { (bytes.trailing_zeros() / 10).min(6) };
    let unit = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(power as usize).copied().unwrap_or_default();
    format!("{}{unit}", bytes >> (10 * power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, wanted) in [
            ("0", 0),
            ("50Mi", 50 << 20),
            ("1.5Gi", 3 << 29),
            ("1k", 1000),
            ("2G", 2_000_000_000),
            ("1e3", 1000),
            ("12E2", 1200),
            ("1500m", 2),
            (".5Ki", 512),
            ("5.", 5),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_in_the_largest_unit_in_which_they_are_whole() {
        for (bytes, wanted) in
            [(0, "0"), (1, "1"), (1536, "1536"), (2048, "2Ki"), (3 << 29, "1536Mi"), (10 << 40, "10Ti")]
        {
            assert_eq!(text(bytes), wanted);
            assert_eq!(super::bytes(wanted).map(u128::from), Some(bytes));
        }
    }

    #[test]
    fn what_is_no_quantity_or_too_large_is_refused() {
        for text in ["", "Mi", "-1", "1.2.3", "1 Mi", "1KiB", "99Ei", "1e99", "∞", "."] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

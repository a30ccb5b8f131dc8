//! Kubernetes quantities as whole bytes. Pure.

/// The number of bytes `text` names, rounded down; `None` if it is no quantity, negative, or beyond 64 bits.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let decimals = u32::try_from(fraction.len()).ok().filter(|length| *length <= 18)?;
    let mantissa: u128 = format!("0{whole}{fraction}").parse().ok()?;
    let (numerator, denominator) = factor(suffix)?;
    let value = mantissa.checked_mul(numerator)? / denominator.checked_mul(10_u128.checked_pow(decimals)?)?;
    u64::try_from(value).ok()
}

/// What a suffix multiplies by, as a fraction.
fn factor(suffix: &str) -> Option<(u128, u128)> {
    let power = |base: u128, exponent: u32| Some((base.checked_pow(exponent)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "m" => Some((1, 1000)),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "P" => power(1000, 5),
        "E" => power(1000, 6),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        "Pi" => power(1024, 5),
        "Ei" => power(1024, 6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let ten = 10_u128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, ten) } else { (ten, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn every_notation_of_kubernetes_is_read() {
        for (text, expected) in [
            ("2Gi", 2 << 30),
            ("1.5Gi", 3 << 29),
            ("500M", 500_000_000),
            ("1e9", 1_000_000_000),
            ("12e6", 12_000_000),
            ("1048576", 1 << 20),
            ("1500m", 1),
            (".5k", 500),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none_and_not_a_panic() {
        for text in ["", "-1Gi", "Gi", "1GiB", "1e", "1e99", "99999999999999999999Ei", ".", "1.2.3", "1 Gi"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

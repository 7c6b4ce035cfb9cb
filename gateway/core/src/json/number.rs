//! Numbers that every reader understands as the same number.

/// The longest number that is read, in bytes: more than a double can need in any spelling that programs write.
pub(crate) const MAX_NUMBER_BYTES: usize = 1024;

/// The value of a JSON number, where readers of doubles and readers of decimals agree on it (RFC 8259 §6).
///
/// `None` where they do not: a number beyond the range of a double, and one with more digits than a double keeps, such as
/// `4.99999999999999999999`, which is 5 for some readers and less than 5 for others. `None` also over [`MAX_NUMBER_BYTES`].
pub(crate) fn exact(raw: &[u8]) -> Option<f64> {
    let is_number =
        raw.len() <= MAX_NUMBER_BYTES && matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    let text = std::str::from_utf8(raw).ok().filter(|_| is_number)?;
    let number: f64 = text.parse().ok()?;
    // Whole numbers of few digits are the ordinary case.
    if raw.len() <= 15 && raw.iter().all(u8::is_ascii_digit) {
        return Some(number);
    }
    // The shortest decimal that reads as this double: another one was rounded to it.
    let shortest = format!("{number:e}");
    (number.is_finite() && decimal(text) == decimal(&shortest)).then_some(number)
}

/// The digits of a number without zeros at either end, and the exponent that they have as a whole number.
fn decimal(text: &str) -> Option<(String, i64)> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.checked_sub(fraction)?.checked_add(zeros)?;
    Some((significant.to_owned(), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_all_readers_agree_on_is_exact() {
        for (raw, number) in [
            ("0", 0.0),
            ("-0", 0.0),
            ("0.00", 0.0),
            ("0e999999999999", 0.0),
            ("5", 5.0),
            ("5.0", 5.0),
            ("5e0", 5.0),
            ("50E-1", 5.0),
            ("0.5e+1", 5.0),
            ("-30e-1", -3.0),
            ("0.1", 0.1),
            ("0.30000000000000004", 0.30000000000000004),
            ("9007199254740991", 9_007_199_254_740_991.0),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("1e300", 1e300),
            ("5e-324", 5e-324),
        ] {
            assert_eq!(exact(raw.as_bytes()), Some(number), "{raw}");
        }
    }

    #[test]
    fn a_number_that_readers_round_differently_is_not() {
        for raw in [
            "4.99999999999999999999",
            "5.00000000000000000001",
            "9007199254740993",
            "123456789012345678901",
            "0.30000000000000001",
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999",
            "100.00000000000000001",
            "true",
            "\"5\"",
            "",
            "inf",
            "-",
        ] {
            assert_eq!(exact(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn a_long_number_is_not_read() {
        let zeros = |count: usize| format!("1.{}", "0".repeat(count));
        assert_eq!(exact(zeros(MAX_NUMBER_BYTES - 2).as_bytes()), Some(1.0));
        assert_eq!(exact(zeros(MAX_NUMBER_BYTES - 1).as_bytes()), None);
    }
}

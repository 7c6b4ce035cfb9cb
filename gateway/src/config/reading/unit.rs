//! Durations such as `30s` and sizes such as `4MiB`: one whole number with one unit, so that the unit is never ambiguous.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZES: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// The notation of a duration, for findings.
pub(crate) const DURATION_FORM: &str = "a whole number with ms, s, m, h or d, such as 30s";

/// The notation of a size, for findings.
pub(crate) const SIZE_FORM: &str = "a whole number with B, KiB, MiB or GiB, such as 4MiB";

/// A duration such as `500ms`, `30s`, `5m`, `1h`, `31d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    measure(text, &DURATIONS).map(Duration::from_millis)
}

/// A size in bytes, such as `512B`, `32KiB`, `4MiB`.
pub(crate) fn size(text: &str) -> Option<usize> {
    measure(text, &SIZES).and_then(|bytes| usize::try_from(bytes).ok())
}

/// A duration as [`duration`] reads it, in the largest unit that divides it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(millis, &DURATIONS, "0s")
}

/// A size as [`size`] reads it, in the largest unit that divides it.
pub(crate) fn show_size(bytes: usize) -> String {
    show(u64::try_from(bytes).unwrap_or(u64::MAX), &SIZES, "0B")
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    if value == 0 {
        return zero.to_owned();
    }
    let fitting = units
        .iter()
        .rev()
        .find(|(_, factor)| value.is_multiple_of(*factor));
    fitting.map_or_else(String::new, |(name, factor)| {
        format!("{}{name}", value / factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit() {
        let cases = [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("31d", Some(2_678_400_000)),
            ("0s", Some(0)),
            ("30", None),
            ("s", None),
            ("30 s", None),
            ("30sec", None),
            ("1h30m", None),
            ("1.5h", None),
            ("-1s", None),
            ("+1s", None),
            ("30S", None),
            ("99999999999999999999s", None),
            ("9999999999999999999d", None),
            ("", None),
        ];
        for (text, millis) in cases {
            assert_eq!(
                duration(text),
                millis.map(Duration::from_millis),
                "{text:?}"
            );
        }
    }

    #[test]
    fn sizes_have_one_number_and_one_binary_unit() {
        let cases = [
            ("512B", Some(512)),
            ("32KiB", Some(32 * 1024)),
            ("4MiB", Some(4 * 1024 * 1024)),
            ("1GiB", Some(1024 * 1024 * 1024)),
            ("4MB", None),
            ("4M", None),
            ("4mib", None),
            ("4", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn displayed_values_read_back() {
        for text in ["500ms", "30s", "5m", "1h", "31d", "0s"] {
            assert_eq!(duration(text).map(show_duration).as_deref(), Some(text));
        }
        for text in ["1B", "32KiB", "4MiB", "1GiB", "0B"] {
            assert_eq!(size(text).map(show_size).as_deref(), Some(text));
        }
    }
}

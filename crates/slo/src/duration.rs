//! Durations as objective files and Prometheus write them: `1m`, `150ms`, `1h30m`, `4w`. Whole milliseconds.

/// A duration in whole milliseconds, which is what Prometheus counts in.
pub type Milliseconds = i64;

/// Units with their milliseconds, from the longest on, as they follow each other in a duration.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY_MS),
    ("w", 7 * DAY_MS),
    ("d", DAY_MS),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const DAY_MS: u64 = 86_400_000;

/// What Prometheus can hold, which is 292 years: it keeps a duration as nanoseconds in 63 bits.
const LONGEST_MS: u64 = i64::MAX as u64 / 1_000_000;

/// Reads a duration of at least a millisecond.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Milliseconds, String> {
    read(text)
        .filter(|milliseconds| *milliseconds > 0)
        .ok_or_else(|| format!("`{text}` is no duration; write `1m`, `150ms`, `1h30m` or `30d`"))
}

/// Reads any duration, also that of nothing.
pub(crate) fn read(text: &str) -> Option<Milliseconds> {
    let mut rest = text;
    let mut total_ms = 0_u64;
    // Each unit is looked for among those that are left, so none comes twice or before a longer one.
    let mut units_left = UNITS.iter();
    loop {
        let (number, after) = split_where(rest, |letter| !letter.is_ascii_digit());
        let (unit, after) = split_where(after, |letter| letter.is_ascii_digit());
        let (_, unit_ms) = units_left.find(|(name, _)| *name == unit)?;
        let part_ms = number.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
        total_ms = total_ms.checked_add(part_ms)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let fits = total_ms <= LONGEST_MS;
    fits.then(|| Milliseconds::try_from(total_ms).ok()).flatten()
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The duration as Prometheus writes it.
pub fn text(milliseconds: Milliseconds) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut rest_ms = milliseconds.unsigned_abs();
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        // 30d says more than 4w2d.
        let only_if_even = unit_ms > DAY_MS;
        let count = rest_ms / unit_ms;
        if count == 0 || only_if_even && !rest_ms.is_multiple_of(unit_ms) {
            continue;
        }
        text.push_str(&format!("{count}{unit}"));
        rest_ms %= unit_ms;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (written, milliseconds, again) in [
            ("1m", 60_000, "1m"),
            ("150ms", 150, "150ms"),
            ("90s", 90_000, "1m30s"),
            ("30d", 30 * 86_400_000, "30d"),
            ("28d", 28 * 86_400_000, "4w"),
            ("365d", 365 * 86_400_000, "1y"),
            ("1y1w", 372 * 86_400_000, "372d"),
            ("1h0m", 3_600_000, "1h"),
            ("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms"),
        ] {
            assert_eq!(parse(written), Ok(milliseconds), "{written}");
            assert_eq!(text(milliseconds), again);
            assert_eq!(parse(&text(milliseconds)), Ok(milliseconds));
        }
        assert_eq!((read("0s"), text(0).as_str()), (Some(0), "0s"));
    }

    #[test]
    fn others_are_refused() {
        for written in [
            "",
            "0s",
            "1",
            "-1",
            "-1m",
            "1M",
            "1Q",
            "a while",
            "1.5h",
            "inf",
            "1h99999999999m",
            "1m1h",
            "1m1m",
            "1h30",
            "m",
            " 1m",
            "1 m",
            "١m",
            "293y",
            "99999999999999999999s",
            "9999999999999999999y",
        ] {
            assert!(parse(written).is_err(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_is_read_back(milliseconds in 1..=LONGEST_MS as Milliseconds) {
            prop_assert_eq!(parse(&text(milliseconds)), Ok(milliseconds));
        }

        #[test]
        fn of_whole_days_too(days in 1_i64..106_751) {
            let milliseconds = days * DAY_MS as Milliseconds;
            prop_assert_eq!(parse(&text(milliseconds)), Ok(milliseconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([0-9]{0,20}[a-z]{0,3}){0,4}|\\PC{0,8}") {
            let _ = parse(&text);
        }
    }
}

//! Durations as objective files and Prometheus write them: `1m`, `150ms`, `1h30m`, `4w`. Whole milliseconds.

use std::time::Duration;

/// A duration in whole milliseconds, which is what Prometheus counts in.
pub type Milliseconds = i64;

/// Reads a duration of at least a millisecond.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Milliseconds, String> {
    let what = || format!("`{text}` is no duration; write `1m`, `150ms`, `1h30m` or `30d`");
    // The library takes a bare number for seconds, and a part with more digits than it reads for nothing.
    let has_unit =
        text.starts_with(|first: char| first.is_ascii_digit()) && text.ends_with(char::is_alphabetic);
    let is_short = text.split(char::is_alphabetic).all(|number| number.len() <= 9);
    if !(has_unit && is_short) {
        return Err(what());
    }
    let duration = promql_parser::util::parse_duration(text).map_err(|_| what())?;
    match Milliseconds::try_from(duration.as_millis()) {
        Ok(milliseconds) if milliseconds > 0 => Ok(milliseconds),
        _ => Err(what()),
    }
}

/// The duration as Prometheus writes it.
pub fn text(milliseconds: Milliseconds) -> String {
    let duration = Duration::from_millis(milliseconds.unsigned_abs());
    promql_parser::util::display_duration(&duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (written, milliseconds, again) in [
            ("1m", 60_000, "1m"),
            ("150ms", 150, "150ms"),
            ("90s", 90_000, "1m30s"),
            ("30d", 30 * 86_400_000, "30d"),
            ("28d", 28 * 86_400_000, "4w"),
        ] {
            assert_eq!(parse(written), Ok(milliseconds), "{written}");
            assert_eq!(text(milliseconds), again);
            assert_eq!(parse(&text(milliseconds)), Ok(milliseconds));
        }
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
        ] {
            assert!(parse(written).is_err(), "{written}");
        }
    }
}

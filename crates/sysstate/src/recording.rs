//! Recorded scrapes: the answers of `/metrics`, one after the other in one text, each under a line that says when.
//!
//! ```text
//! # scrape 12.5
//! # HELP exec …
//! …
//! # EOF
//! # scrape 13.5
//! …
//! ```
//! Times are seconds of one clock that does not jump; `probed state record` takes the monotonic one.

use exposition::{Series, Unreadable};

const HEADING: &str = "# scrape ";

/// One scrape of a recording.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// When it was made.
    pub at_seconds: f64,
    /// What it said.
    pub series: Vec<Series>,
}

/// Why a text is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Something stands before the first heading, or there is none.
    #[error("line 1: a recording begins with `# scrape SECONDS`")]
    NoHeading,
    /// A heading's time is no number.
    #[error("line {line}: `{text}` is no time in seconds")]
    Time {
        /// Line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A scrape is no metrics.
    #[error("the scrape that begins in line {line}: {source}")]
    Metrics {
        /// Line of its heading, from 1.
        line: usize,
        /// What is wrong.
        source: Unreadable,
    },
}

/// The heading of a scrape that was made at this time.
pub fn heading(at_seconds: f64) -> String {
    format!("{HEADING}{at_seconds}\n")
}

/// Reads a recording, scrape by scrape.
///
/// # Errors
/// The first thing that is wrong, with its line; the scrapes before it are given.
pub fn scrapes(recording: &str) -> impl Iterator<Item = Result<Scrape, RecordingError>> {
    let mut parts: Vec<(usize, &str, Vec<&str>)> = Vec::new();
    let mut is_headless = recording.trim().is_empty();
    for (number, line) in (1..).zip(recording.lines()) {
        match (line.strip_prefix(HEADING), parts.last_mut()) {
            (Some(time), _) => parts.push((number, time.trim(), Vec::new())),
            (None, Some((_, _, lines))) => lines.push(line),
            (None, None) => is_headless |= !line.trim().is_empty(),
        }
    }
    let headless = is_headless.then_some(Err(RecordingError::NoHeading));
    headless.into_iter().chain(
        parts
            .into_iter()
            .map(|(line, time, lines)| scrape(line, time, &lines)),
    )
}

fn scrape(line: usize, time: &str, lines: &[&str]) -> Result<Scrape, RecordingError> {
    let at_seconds = time
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite())
        .ok_or_else(|| RecordingError::Time {
            line,
            text: time.to_owned(),
        })?;
    let text = lines.join("\n") + "\n";
    let series = exposition::series(&text).map_err(|source| RecordingError::Metrics { line, source })?;
    Ok(Scrape { at_seconds, series })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Scrape>, String> {
        scrapes(text)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_is_read() {
        let metrics = "# TYPE x counter\nx_total 4\n# EOF\n";
        let text = format!("{}{metrics}{}{metrics}", heading(1.5), heading(2.0));
        let read = read(&text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].at_seconds, 1.5);
        assert_eq!(read[1].series, [Series::new("x_total", [], 4.0)]);
    }

    #[test]
    fn errors_have_a_line() {
        insta::assert_snapshot!(read("").unwrap_err(), @"line 1: a recording begins with `# scrape SECONDS`");
        insta::assert_snapshot!(read("x_total 4\n").unwrap_err(), @"line 1: a recording begins with `# scrape SECONDS`");
        insta::assert_snapshot!(read("# scrape soon\nx 1\n").unwrap_err(), @"line 1: `soon` is no time in seconds");
        insta::assert_snapshot!(read("# scrape 1\nx 1\n# scrape 2\nwords of no metric\n").unwrap_err(), @"the scrape that begins in line 3: line 1, `words of no metric`: `of` is no number");
        insta::assert_snapshot!(read("# scrape 1\nx 1\n# scrape 2\n").unwrap_err(), @"the scrape that begins in line 3: the text is empty");
    }
}

//! Metrics as text, in OpenMetrics or Prometheus form, read back: what `probed` serves, and what oracles write that
//! count for themselves. It writes no text, and knows neither a probe nor what a series means.
//!
//! A counter keeps its `_total`; a histogram becomes `NAME_bucket` with `le`, `NAME_sum` and `NAME_count`,
//! exactly the names of the text.
//!
//! ```text
//! text ─► line (by lexer) ─► family (by kind, metric) ─► samples
//! ```
//!
//! A text is evidence, so the reader is strict: what it cannot take as the format says is an error with the line and
//! the reason, never left out. It is lenient in three things that hide no mistake: empty lines, lines that end like
//! those of Windows, and a last line without an end. Units and help texts are checked for their form and dropped.

mod family;
mod fault;
mod kind;
mod lexer;
mod line;
mod metric;

use std::collections::BTreeMap;

use family::Families;
use fault::Place;
use line::Line;

/// One number with a name and labels. Durations are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the series, such as `requests_total`.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Series {
    /// A series of these labels.
    pub fn new<const N: usize>(name: &str, labels: [(&str, String); N], value: f64) -> Self {
        let labels = labels
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value))
            .collect();
        Self {
            name: name.to_owned(),
            labels,
            value,
        }
    }
}

/// A series with what its text says beside the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The number.
    pub series: Series,
    /// When it was measured, in seconds since 1970.
    pub timestamp_seconds: Option<f64>,
    /// When its counter began at zero (`_created`), in seconds since 1970.
    pub created_seconds: Option<f64>,
}

/// Why a text is no metrics.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Which of the two formats a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

/// Ends every OpenMetrics text. A program that died while writing leaves a text without it.
const END: &str = "# EOF";

/// The series of a text, sorted by name and labels.
///
/// # Errors
/// When the text is empty or not in either form.
pub fn series(text: &str) -> Result<Vec<Series>, Unreadable> {
    Ok(samples(text)?.into_iter().map(|sample| sample.series).collect())
}

/// The samples of a text, sorted by name and labels. Bounds of buckets and quantiles are written as Rust writes a
/// number, so that `0.50` and `5e-1` are one bound.
///
/// # Errors
/// When the text is empty or not in either form.
pub fn samples(text: &str) -> Result<Vec<Sample>, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable("the text is empty".to_owned()));
    }
    // Only Prometheus text may lack the end, and it names counters differently, so that most texts that were cut off
    // are not taken for it.
    let is_openmetrics = text.lines().any(is_end);
    let form = if is_openmetrics {
        Form::OpenMetrics
    } else {
        Form::Prometheus
    };
    let mut families = Families::new(form);
    let mut has_ended = false;
    for (number, text) in (1..).zip(text.lines()) {
        let place = Place { number, text };
        if has_ended && !text.trim().is_empty() {
            return Err(place.fault(format!("it comes after `{END}`")).into());
        }
        if is_end(text) {
            has_ended = true;
            continue;
        }
        match line::read(text, form).map_err(|reason| place.fault(reason))? {
            Line::Nothing => {}
            Line::About(about) => families.announce(place, &about)?,
            Line::Reading(reading) => families.add(place, reading)?,
        }
    }
    let mut samples = families.into_samples()?;
    samples.sort_by(|a, b| {
        let (a, b) = (&a.series, &b.series);
        (&a.name, &a.labels).cmp(&(&b.name, &b.labels))
    });
    Ok(samples)
}

fn is_end(line: &str) -> bool {
    line.trim_end() == END
}

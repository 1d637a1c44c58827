//! Oracles: each turns the raw output of one program into metric series.
//!
//! An oracle adds nothing and repairs nothing: what it cannot read is an error, and the expectations that
//! need it fail with that error as evidence.

pub(crate) mod capture;
mod exchange_log;
mod hey_csv;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Series;

/// What an oracle reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OracleKind {
    /// JSON lines, one per exchange of a request and its response.
    ExchangeLog,
    /// What `hey -o csv` prints.
    HeyCsv,
    /// What tshark prints of a packet capture, called with [`crate::tshark_arguments`].
    Capture,
    /// Metrics as OpenMetrics or Prometheus text.
    Openmetrics,
}

/// Why an output cannot be read.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum OracleError {
    /// A line is not what it should be.
    #[error("line {line} cannot be read: {reason}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The text as a whole is not what it should be.
    #[error("{0}")]
    Text(String),
}

/// The series of a metrics exposition, OpenMetrics or Prometheus text.
pub fn read_openmetrics(text: &str) -> Result<Vec<Series>, OracleError> {
    exposition::series(text).map_err(|error| OracleError::Text(error.to_string()))
}

impl OracleKind {
    /// The series of one output: counts, and durations in seconds, named as the reference of scenarios says.
    pub fn series(self, text: &str) -> Result<Vec<Series>, OracleError> {
        match self {
            OracleKind::ExchangeLog => exchange_log::series(text),
            OracleKind::HeyCsv => hey_csv::series(text),
            OracleKind::Capture => capture::series(text),
            OracleKind::Openmetrics => read_openmetrics(text),
        }
    }

    /// Names of the series it gives, or `None` when the program that wrote the output decides.
    pub(crate) fn series_names(self) -> Option<&'static [&'static str]> {
        match self {
            OracleKind::ExchangeLog => Some(&[REQUESTS, DURATION, FIRST_BYTE]),
            OracleKind::HeyCsv | OracleKind::Capture => Some(&[REQUESTS, DURATION]),
            OracleKind::Openmetrics => None,
        }
    }
}

const REQUESTS: &str = "requests_total";
const DURATION: &str = "request_duration_seconds";
const FIRST_BYTE: &str = "time_to_first_byte_seconds";
const STATUS: &str = "http_response_status_code";
const METHOD: &str = "http_request_method";

/// Counts requests by their labels, to become `requests_total`.
#[derive(Default)]
struct Requests(BTreeMap<Vec<(&'static str, String)>, u64>);

impl Requests {
    fn count<const N: usize>(&mut self, labels: [(&'static str, String); N]) {
        *self.0.entry(labels.to_vec()).or_default() += 1;
    }

    fn into_series(self) -> impl Iterator<Item = Series> {
        self.0.into_iter().map(|(labels, count)| Series {
            name: REQUESTS.to_owned(),
            labels: labels
                .into_iter()
                .map(|(label, value)| (label.to_owned(), value))
                .collect(),
            value: count as f64,
        })
    }
}

//! NDJSON: one event a line, for programs that read a matrix as a stream.

use std::collections::BTreeMap;

use scenario::exit_code;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    Cell, JSON_SCHEMA_VERSION,
    json::{Run, run},
    terminal::counts,
};

/// A line of the NDJSON report.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    /// The first line.
    Begin {
        /// Version of the layout, that of the JSON report.
        schema_version: u32,
        /// How many runs follow.
        runs: usize,
    },
    /// A run, as in the JSON report.
    Run(Box<Run<'a>>),
    /// The last line. A stream without it is cut short.
    End {
        /// How many runs had which verdict.
        counts: BTreeMap<&'static str, usize>,
        /// What `probelab` exits with for these runs.
        exit_code: u8,
    },
}

/// The report of all runs: a line to begin with, one per run, and one at the end.
pub fn to_ndjson(cells: &[Cell<'_>]) -> Result<String, serde_json::Error> {
    let begin = Event::Begin {
        schema_version: JSON_SCHEMA_VERSION,
        runs: cells.len(),
    };
    let lowercase = |(word, count): (&'static str, usize)| match word {
        "FAILED" => ("failed", count),
        "INFRA" => ("infra", count),
        _ => (word, count),
    };
    let end = Event::End {
        counts: counts(cells).into_iter().map(lowercase).collect(),
        exit_code: exit_code(cells.iter().map(|cell| cell.judgement)) as u8,
    };
    let runs = cells.iter().map(|cell| Event::Run(Box::new(run(cell))));
    let mut text = String::new();
    for event in std::iter::once(begin).chain(runs).chain([end]) {
        text.push_str(&serde_json::to_string(&event)?);
        text.push('\n');
    }
    Ok(text)
}

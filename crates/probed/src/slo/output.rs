//! Reports in the formats there are, to standard output or to a file.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use slo::{Report, render};

use crate::replace::replace;

/// How a report is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// A paragraph for each objective.
    Simple,
    /// A table in columns.
    Tabbed,
    /// One JSON object.
    Json,
    /// The same as YAML.
    Yaml,
    /// A table for a page.
    Markdown,
}

impl Format {
    /// The report in this format; ends with a new line.
    ///
    /// # Errors
    /// Never, for a report: its keys are words and its numbers finite.
    pub fn text(self, report: &Report) -> anyhow::Result<String> {
        Ok(match self {
            Self::Simple => render::simple(report),
            Self::Tabbed => render::tabbed(report),
            Self::Markdown => render::markdown(report),
            Self::Json => serde_json::to_string_pretty(report)? + "\n",
            Self::Yaml => serde_saphyr::to_string(report)?,
        })
    }
}

/// Prints a text, or replaces a file by it, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn put(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = file else {
        let mut out = std::io::stdout().lock();
        return match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Who reads no further has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot print the report"),
        };
    };
    replace(path, text.as_bytes())
}

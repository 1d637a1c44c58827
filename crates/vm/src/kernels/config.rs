//! `vm/kernels.toml`: the series that the lab runs on, and where each comes from.

use std::path::Path;

use serde::Deserialize;

use crate::{IoContext, Result, error::parse_toml};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The series, oldest first.
    #[serde(rename = "kernel")]
    pub kernels: Vec<Series>,
}

/// One kernel series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Name such as `6.12`.
    pub series: String,
    /// Debian suite that carries it.
    pub suite: String,
    /// Extended regular expression that the image packages' whole names match.
    pub package: String,
}

impl Wanted {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).at("reading", path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the file's text.
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        parse_toml(path, text)
    }
}

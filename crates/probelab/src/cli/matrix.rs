//! `probelab matrix`, `report` and `support`: what can be asked of many runs and their records.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use report::Published;

use super::{How, Loaders};

/// `probelab matrix`.
#[derive(Debug, Args)]
pub struct MatrixRun {
    /// Scenario names, paths of scenario folders, or `all`
    #[arg(default_value = "all", value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Kernels: `all` (the quick set), `wide` (every pin), `lts`, `latest-per-series`, `rt`, a name (6.12), a version,
    /// or a pattern ('6.*'); may be given more than once
    #[arg(long, short, default_value = "all")]
    pub kernel: Vec<String>,
    #[command(flatten)]
    pub how: How,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder of the records. A cell whose record is there and was made of the same inputs is not run again
    /// (default: in the cache)
    #[arg(long, value_name = "FOLDER")]
    pub records: Option<PathBuf>,
    /// Run those cells again whose record is there and is no pass
    #[arg(long)]
    pub rerun_failed: bool,
    /// Only this part of the matrix, such as 2/8; the parts take about equally long
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Print the cells and run none
    #[arg(long)]
    pub list: bool,
    /// What is not run: a line per `SCENARIO[@KERNEL][# REASON]`, each with `*` for anything (default:
    /// scenarios/DENYLIST, where there is one)
    #[arg(long, value_name = "FILE")]
    pub denylist: Option<PathBuf>,
    #[command(flatten)]
    pub allow: Allow,
    #[command(flatten)]
    pub reports: Reports,
}

/// What may fail.
#[derive(Debug, Args)]
pub struct Allow {
    /// What may fail, as in --denylist; a pass of it is told (default: scenarios/ALLOWLIST, where there is one)
    #[arg(long, value_name = "FILE")]
    pub allowlist: Option<PathBuf>,
}

/// Reports that are written to files.
#[derive(Debug, Args)]
pub struct Reports {
    /// Also write reports: text, json, ndjson, junit, ktap, markdown, html, svg
    #[arg(long = "report", value_name = "FORMAT=FILE", value_delimiter = ',')]
    pub files: Vec<ReportFile>,
}

/// One report to write.
#[derive(Debug, Clone)]
pub struct ReportFile {
    /// How.
    pub format: Format,
    /// Where.
    pub path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or_else(|| format!("`{text}` is not FORMAT=FILE, such as junit=results.xml"))?;
        Ok(Self {
            format: <Format as ValueEnum>::from_str(format, false).map_err(|_| {
                let known = Format::value_variants()
                    .iter()
                    .filter_map(Format::to_possible_value);
                let names: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
                format!("there is no report `{format}`: {}", names.join(", "))
            })?,
            path: path.into(),
        })
    }
}

/// How runs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As on the terminal
    Text,
    /// One JSON document
    Json,
    /// A line of JSON per event
    Ndjson,
    /// JUnit XML
    Junit,
    /// KTAP version 1
    Ktap,
    /// For the summary of a CI run
    Markdown,
    /// One page that needs nothing else
    Html,
    /// A picture of the terminal
    Svg,
}

/// A part of a matrix: the `index`-th of `count`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(format!(
                "`{text}` is no shard: I/N with I from 1 to N, such as 2/8"
            )),
        }
    }
}

/// `probelab report`.
#[derive(Debug, Args)]
pub struct ReportOf {
    /// Folder of records, as `matrix --records` or `run --records` left them
    #[arg(required_unless_present = "schema", value_name = "FOLDER")]
    pub records: Option<PathBuf>,
    /// The matrix that the records are of: its kernels, as `matrix` takes them. A cell that has no record is told and
    /// is no pass
    #[arg(long, short)]
    pub kernel: Vec<String>,
    /// Its loader
    #[arg(long, value_name = "NAME", default_value = "libbpf", requires = "kernel")]
    pub loader: Loaders,
    /// What of it was not to be run, as `matrix --denylist` takes it
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub denylist: Option<PathBuf>,
    /// What to print
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Print a JSON schema instead
    #[arg(long, value_name = "OF", conflicts_with = "records")]
    pub schema: Option<SchemaOf>,
    #[command(flatten)]
    pub allow: Allow,
    #[command(flatten)]
    pub reports: Reports,
}

/// The schemas there are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SchemaOf {
    /// Of the JSON report
    Report,
    /// Of a line of the NDJSON report
    Event,
    /// Of docs/support.json
    Support,
    /// Of `probelab check --json`
    Check,
}

impl From<SchemaOf> for Published {
    fn from(of: SchemaOf) -> Self {
        match of {
            SchemaOf::Report => Self::Report,
            SchemaOf::Event => Self::Event,
            SchemaOf::Support => Self::Support,
            SchemaOf::Check => Self::Check,
        }
    }
}

/// `probelab support`.
#[derive(Debug, Args)]
pub struct SupportOf {
    /// Folder of records
    #[arg(value_name = "FOLDER")]
    pub records: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_some() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, count: 8 }));
        for wrong in ["0/8", "9/8", "2", "2/", "/8", "a/b", "-1/8"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_report_has_a_format_and_a_file() {
        let file: ReportFile = "html=a=b.html".parse().unwrap();
        assert_eq!((file.format, file.path), (Format::Html, "a=b.html".into()));
        for wrong in ["html", "html=", "=x", "tap=x"] {
            assert!(wrong.parse::<ReportFile>().is_err(), "{wrong}");
        }
    }
}

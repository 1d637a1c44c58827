//! Reports: from judged runs to text for a terminal and to JSON.
//!
//! This crate is pure and decides nothing: verdicts come from `scenario`, facts from the record. It prints
//! what it is handed and reads no clock, so equal runs give equal reports.

pub mod check;
mod json;
mod mutants;
mod paint;
mod terminal;

use scenario::{Judgement, Verdict};
use wire::{Loader, Record};

pub use json::{JSON_SCHEMA_VERSION, to_json};
pub use mutants::{Mutant, mutants_exit_code, mutants_text, mutants_to_json};
pub use terminal::{Style, details, matrix};

/// One run of a scenario on a kernel: a cell of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// Scenario name.
    pub scenario: &'a str,
    /// What the kernel is called in this report, such as `6.12`.
    pub kernel: &'a str,
    /// What the probes were loaded with, if there are any.
    pub loader: Option<Loader>,
    /// The record, if there was a run.
    pub record: Option<&'a Record>,
    /// The verdict and its evidence.
    pub judgement: &'a Judgement,
    /// The command line that repeats this run, if it can be repeated.
    pub replay: Option<&'a str>,
}

impl Cell<'_> {
    /// The word for the verdict; one that needs attention is in capitals.
    fn word(&self) -> &'static str {
        match self.judgement.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed { .. } => "FAILED",
            Verdict::Skipped { .. } => "skipped",
            Verdict::Unsupported { .. } => "unsupported",
            Verdict::Infra { .. } => "INFRA",
        }
    }

    /// Why the verdict is not a pass.
    fn reason(&self) -> Option<String> {
        match &self.judgement.verdict {
            Verdict::Passed => None,
            Verdict::Failed { reason } | Verdict::Skipped { reason } | Verdict::Infra { reason } => {
                Some(reason.clone())
            }
            Verdict::Unsupported { code, reason } => Some(format!("{code}: {reason}")),
        }
    }

    /// What to say when another kernel build than the pinned one ran.
    fn drift(&self) -> Option<String> {
        let kernel = &self.record?.kernel;
        let pinned = kernel.stands_in_for.as_ref()?;
        Some(format!(
            "{}: {} {} ran in place of the pinned {pinned}",
            self.kernel, kernel.package, kernel.version
        ))
    }
}

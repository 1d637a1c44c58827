//! Reports: from one set of judged runs to everything that people and programs read of it.
//!
//! | for | format |
//! |---|---|
//! | people at a terminal | [`matrix`], [`details`], and their picture [`to_svg`] |
//! | people with a browser | [`to_html`]: one page that needs nothing else |
//! | people who read a CI run | [`to_markdown`] |
//! | programs | [`to_json`] and [`to_ndjson`], each with its [`schema`] |
//! | CI servers and kernel people | [`to_junit`], [`to_ktap`] |
//! | people who ask what works where | [`Support`] |
//!
//! This crate is pure and decides nothing: verdicts come from `scenario`, facts from the record. It prints
//! what it is handed and reads no clock, so equal runs give equal reports.

pub mod check;
mod events;
mod histogram;
mod html;
mod json;
mod junit;
mod ktap;
mod markdown;
mod mutants;
mod paint;
mod picture;
mod support;
mod terminal;

use scenario::{Judgement, Verdict};
use wire::{Loader, Record};

pub use events::to_ndjson;
pub use html::to_html;
pub use json::{JSON_SCHEMA_VERSION, Published, schema, to_json};
pub use junit::to_junit;
pub use ktap::to_ktap;
pub use markdown::to_markdown;
pub use mutants::{Mutant, mutants_exit_code, mutants_text, mutants_to_json};
pub use picture::to_svg;
pub use support::{KernelOf, Standing, Support, SupportRow};
pub use terminal::{Style, details, for_people, matrix};

/// One run of a scenario on a kernel: a cell of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// Scenario name.
    pub scenario: &'a str,
    /// What the kernel is called in this report, such as `6.12`.
    pub kernel: &'a str,
    /// What the probes were loaded with, if there are any.
    pub loader: Option<Loader>,
    /// Kinds of the probes whose correctness the scenario shows. None without a probe, and where a probe is wrong
    /// on purpose.
    pub probes: &'a [String],
    /// The record, if there was a run.
    pub record: Option<&'a Record>,
    /// The verdict and its evidence.
    pub judgement: &'a Judgement,
    /// The command line that repeats this run, if it can be repeated.
    pub replay: Option<&'a str>,
}

impl Cell<'_> {
    /// The word for the verdict; one that needs attention is in capitals.
    pub fn word(&self) -> &'static str {
        match self.judgement.verdict {
            _ if self.judgement.is_allowed_failure() => "allowed",
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

    /// The last lines of the console, at most so many, without control characters.
    fn console_tail(&self, lines: usize) -> Vec<String> {
        let all: Vec<&str> = self
            .record
            .map_or(Vec::new(), |record| record.console.lines().collect());
        all[all.len().saturating_sub(lines)..]
            .iter()
            .map(|line| terminal::printable(line))
            .collect()
    }

    /// What to say of a pass that is allowed to fail.
    fn needless_allowance(&self) -> Option<String> {
        let allowed = self.judgement.allowed.as_ref()?;
        (self.judgement.verdict == Verdict::Passed).then(|| {
            format!(
                "{} on {} passes, though it may fail: {allowed}",
                self.scenario, self.kernel
            )
        })
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

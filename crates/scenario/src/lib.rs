//! What a scenario is and whether a run of it passed: the scenario file, its oracles, its expectations and
//! the judge.
//!
//! ```text
//! scenario.toml ─► Scenario ─► wire::Stage + wire::Job ─► (a VM runs them) ─► outputs ─► oracles ─► judge
//! ```
//! This crate is pure: it reads the strings and bytes it is handed and never a file, a clock or a process.
//! It knows neither QEMU nor any probe; a probe is to it a source of metric series like every other.

mod buckets;
mod budget;
mod builds;
mod check;
mod check_expectation;
mod compare;
mod error;
mod exit;
mod expectation;
mod file;
mod judge;
mod lab;
mod loaders;
mod oracle;
mod series;
mod splat;
mod text;
mod within;

pub use budget::{BUDGET, Cost, CountedOn};
pub use builds::{Build, Content, own_name};
pub use error::ScenarioError;
pub use exit::{ExitCode, exit_code};
pub use exposition::Series;
pub use file::{EndKind, Scenario};
pub use judge::{Evidence, ExpectationResult, Judgement, Verdict, judge, program_costs};
pub use lab::{MANIFEST_PATH, OUTPUT_FOLDER, PROBED_PATH};
pub use loaders::{OfLoader, loaders_agree};
pub use oracle::{OracleError, OracleKind, capture::tshark_arguments, read_openmetrics};

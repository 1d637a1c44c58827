//! The JSON report: the same facts as on the terminal, for programs, and the schemas of what programs read.

use scenario::Judgement;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use wire::{GuestEnd, KernelIdentity, Lane, Loader, Timing};

use crate::Cell;

/// Version of the JSON report's layout. Raised with each change that a reader could notice.
pub const JSON_SCHEMA_VERSION: u32 = 3;

/// All runs of a matrix.
#[derive(Serialize, JsonSchema)]
struct Report<'a> {
    /// Version of this layout.
    #[schemars(extend("const" = JSON_SCHEMA_VERSION))]
    schema_version: u32,
    runs: Vec<Run<'a>>,
}

/// One run of a scenario on a kernel.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Run<'a> {
    scenario: &'a str,
    /// What the kernel is called, such as `6.12`; `6.12*` when another build than the pinned one ran.
    kernel: &'a str,
    /// `null` without a probe.
    loader: Option<Loader>,
    /// Kinds of the probes whose correctness the scenario shows.
    probes: &'a [String],
    #[serde(flatten)]
    judgement: &'a Judgement,
    /// Largest number of values that one expectation compared.
    compared: u64,
    /// The command that repeats the run.
    replay: Option<&'a str>,
    record: Option<Facts<'a>>,
}

/// What a report tells of a record; the outputs and the console stay in the record's own file.
#[derive(Serialize, JsonSchema)]
struct Facts<'a> {
    seed: u64,
    lane: Lane,
    kernel: &'a KernelIdentity,
    kernel_release: &'a str,
    qemu: &'a str,
    end: &'a GuestEnd,
    inputs_sha256: &'a str,
    digest: &'a str,
    guest_end_ns: u64,
    timing: &'a Timing,
}

/// The report of all runs, as indented JSON with a newline at its end.
pub fn to_json(cells: &[Cell<'_>]) -> Result<String, serde_json::Error> {
    let report = Report {
        schema_version: JSON_SCHEMA_VERSION,
        runs: cells.iter().map(run).collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// The JSON schemas that are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Of [`to_json`].
    Report,
    /// Of each line of [`crate::to_ndjson`].
    Event,
    /// Of [`crate::Support`].
    Support,
    /// Of [`crate::check::check_to_json`].
    Check,
}

/// A published JSON schema, as indented JSON with a newline at its end.
pub fn schema(of: Published) -> Result<String, serde_json::Error> {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let schema = match of {
        Published::Report => generator.into_root_schema_for::<Report<'static>>(),
        Published::Event => generator.into_root_schema_for::<crate::events::Event<'static>>(),
        Published::Support => generator.into_root_schema_for::<crate::Support>(),
        Published::Check => generator.into_root_schema_for::<crate::check::JsonReport<'static>>(),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

pub(crate) fn run<'a>(cell: &Cell<'a>) -> Run<'a> {
    Run {
        scenario: cell.scenario,
        kernel: cell.kernel,
        loader: cell.loader,
        probes: cell.probes,
        judgement: cell.judgement,
        compared: cell.judgement.compared(),
        replay: cell.replay,
        record: cell.record.map(|record| Facts {
            seed: record.seed,
            lane: record.lane,
            kernel: &record.kernel,
            kernel_release: &record.kernel_release,
            qemu: &record.qemu,
            end: &record.end,
            inputs_sha256: &record.inputs_sha256,
            digest: &record.digest,
            guest_end_ns: record.guest_end_ns,
            timing: &record.timing,
        }),
    }
}

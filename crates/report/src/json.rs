//! The JSON report: the same facts as on the terminal, for programs.

use scenario::Judgement;
use serde::Serialize;
use wire::{GuestEnd, KernelIdentity, Lane, Loader, Timing};

use crate::Cell;

/// Version of the JSON report's layout. Raised with each change that a reader could notice.
pub const JSON_SCHEMA_VERSION: u32 = 2;

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    scenario: &'a str,
    kernel: &'a str,
    /// `null` without a probe.
    loader: Option<Loader>,
    #[serde(flatten)]
    judgement: &'a Judgement,
    /// Largest number of values that one expectation compared.
    compared: u64,
    replay: Option<&'a str>,
    record: Option<Facts<'a>>,
}

/// What a report tells of a record; the outputs and the console stay in the record's own file.
#[derive(Serialize)]
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

fn run<'a>(cell: &Cell<'a>) -> Run<'a> {
    Run {
        scenario: cell.scenario,
        kernel: cell.kernel,
        loader: cell.loader,
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

//! `probelab bench vm`: start-up of runs, digests over boots and restores, and what the HTTP probe costs, by itself and to
//! the workload.

use std::{collections::BTreeMap, path::Path};

use miette::{IntoDiagnostic, Result, miette};
use serde::Serialize;
use vm::{cache::Cache, kernels::Kernel, run::Lab};
use wire::{Lane, Loader, Record};

use super::{completed, exit_of, load, series, slowdown::Slowdown};
use crate::{
    build::Builder,
    cells::{Input, request},
    exit::Exit,
    files::Loaded,
    open::{Context, PROBED_VARIABLE},
    out::{self, out},
    show::{DONE, bytes},
};

/// The scenario that is measured: the workload of `http-latency` for ten seconds, with an empty program
/// attached beside the probe.
const SCENARIO: &str = "http-cost";
/// Start-up that the lab promises, in seconds.
const START_SECONDS: f64 = 0.10;
/// Size of a template that the lab promises, in bytes.
const TEMPLATE_BYTES: u64 = 220_000_000;

#[derive(Debug, Serialize)]
struct Row {
    kernel: String,
    boots: usize,
    restores: usize,
    digests: Vec<String>,
    start_seconds_median: f64,
    template_bytes: u64,
    cost: Cost,
    cost_with_capture: Cost,
    slowdown: Slowdown,
}

/// Instructions of the HTTP probe, net of what an empty program at the same hook costs per run.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    packets: u64,
    requests: u64,
    empty_instructions_per_packet: f64,
    net_instructions_per_packet: f64,
    net_instructions_per_request: f64,
}

/// Runs the command.
pub async fn run(
    context: &Context,
    patterns: &[String],
    boots: usize,
    restores: usize,
    json: bool,
) -> Result<Exit> {
    let lab = context.lab(Lane::Virtual).await?;
    let loaded = load(context, SCENARIO)?;
    let probed = context.project.program("probed", PROBED_VARIABLE)?;
    let mut rows = Vec::new();
    for source in context.sources(patterns, None)? {
        let kernel = context.fetch(&source).await?;
        rows.push(measure(context, &lab, &kernel, &loaded, &probed, boots, restores).await?);
        context.progress.step(&kernel.label(), DONE);
    }
    if json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(rows.iter().all(holds)))
}

async fn measure(
    context: &Context,
    lab: &Lab,
    kernel: &Kernel,
    loaded: &Loaded,
    probed: &Path,
    boots: usize,
    restores: usize,
) -> Result<Row> {
    let files = Builder::default().files(context, loaded).await?;
    let input = Input {
        seed: 1,
        lane: Lane::Virtual,
        loader: Loader::default(),
        probed: Some(probed),
    };
    let with_capture = request(loaded, &files, &input)?;
    let without_capture = {
        let mut request = with_capture.clone();
        request.job.capture = None;
        request.job.collect.retain(|collect| collect.name != "capture");
        request
    };
    let (mut digests, mut starts, mut template_bytes) = (Vec::new(), Vec::new(), 0);
    let mut captured = None;
    for boot in 0..boots {
        // A cache of its own: each boot is a cold one, and the user's checkpoints stay as they are.
        let folder = tempfile::Builder::new()
            .prefix(".bench-")
            .tempdir_in(context.cache.root())
            .into_diagnostic()?;
        let cold = Lab {
            cache: Cache::at(folder.path())?,
            ..lab.clone()
        };
        for restore in 0..restores {
            context.progress.step(
                &kernel.label(),
                format!("boot {} restore {}", boot + 1, restore + 1),
            );
            let record = completed(cold.run(kernel, &with_capture).await?)?;
            digests.push(record.digest.clone());
            starts.push(record.timing.start_to_first_instruction_seconds);
            captured = Some(record);
        }
        let items = cold.cache.list()?;
        let template = items.iter().find(|item| item.kind == "checkpoints");
        template_bytes = template.map_or(0, |item| item.bytes).max(template_bytes);
    }
    let captured = captured.ok_or_else(|| miette!("--boots and --restores must be at least 1"))?;
    let plain = completed(lab.run(kernel, &without_capture).await?)?;
    digests.sort();
    digests.dedup();
    starts.sort_by(f64::total_cmp);
    Ok(Row {
        kernel: kernel.label(),
        boots,
        restores,
        digests,
        start_seconds_median: starts[starts.len() / 2],
        template_bytes,
        cost: cost(&plain)?,
        cost_with_capture: cost(&captured)?,
        slowdown: Slowdown::measure(lab, kernel, &without_capture).await?,
    })
}

fn cost(record: &Record) -> Result<Cost> {
    let series = series(record, "metrics")?;
    let sum = |name: &str, program: Option<&str>| -> f64 {
        series
            .iter()
            .filter(|series| series.name == name)
            .filter(|series| {
                program.is_none_or(|program| series.labels.get("program").is_some_and(|p| p == program))
            })
            .map(|series| series.value)
            .sum()
    };
    let (time, runs) = (
        "probelab_program_run_time_seconds_total",
        "probelab_program_runs_total",
    );
    let packets = sum(runs, Some("http_packet"));
    let requests = sum("http_server_request_duration_seconds_count", None);
    let per_run = |program| sum(time, Some(program)) * 1e9 / sum(runs, Some(program));
    let empty = per_run("empty");
    let net = per_run("http_packet") - empty;
    if !net.is_finite() || requests < 1.0 {
        return Err(miette!(
            "the run has no program statistics or no requests: is kernel.bpf_stats_enabled set?"
        ));
    }
    Ok(Cost {
        packets: packets as u64,
        requests: requests as u64,
        empty_instructions_per_packet: empty,
        net_instructions_per_packet: net,
        net_instructions_per_request: net * packets / requests,
    })
}

fn holds(row: &Row) -> bool {
    row.digests.len() == 1
        && row.start_seconds_median <= START_SECONDS
        && row.template_bytes <= TEMPLATE_BYTES
}

fn print(rows: &[Row]) -> Result<()> {
    out!(
        "kernel  digests  of boots×restores  start s  template  | net instructions: packet  request | with capture: packet  request | empty"
    );
    for row in rows {
        out!(
            "{:6}  {:7}  {:>17}  {:7.3}  {:>8}  | {:24.0}  {:7.0} | {:20.0}  {:7.0} | {:5.0}",
            row.kernel,
            row.digests.len(),
            format!("{}×{}", row.boots, row.restores),
            row.start_seconds_median,
            bytes(row.template_bytes),
            row.cost.net_instructions_per_packet,
            row.cost.net_instructions_per_request,
            row.cost_with_capture.net_instructions_per_packet,
            row.cost_with_capture.net_instructions_per_request,
            row.cost.empty_instructions_per_packet,
        );
    }
    Slowdown::print(rows.iter().map(|row| (row.kernel.as_str(), &row.slowdown)))?;
    let promised: BTreeMap<&str, String> = [
        ("digests per kernel", "1".into()),
        ("start, median", format!("≤ {START_SECONDS} s")),
        ("template", format!("≤ {}", bytes(TEMPLATE_BYTES))),
    ]
    .into();
    for (what, limit) in promised {
        out!("promised: {what} {limit}");
    }
    Ok(())
}

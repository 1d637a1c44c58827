//! `probelab matrix`: kernels × scenarios × loaders, of which records that are there are taken. The runs are those
//! of `probelab run`.

use std::{collections::BTreeSet, time::Instant};

use miette::{Report, Result};
use scenario::Judgement;
use serde::Serialize;
use vm::kernels::{Kernel, Source};
use wire::{Lane, Loader};

use crate::{
    cells::{Done, Setup, Take, records_folder, run_all, without_runs},
    cli::MatrixRun,
    exit::Exit,
    files::Loaded,
    lists::List,
    open::Context,
    out::{self, out},
    plan::{Unit, part, plan},
    render::{exit, print, write_all},
    show::with_help,
};

/// What a picture of the report shows above it.
const COMMAND: &str = "probelab matrix";

/// Runs the command.
pub async fn run(context: &Context, arguments: &MatrixRun) -> Result<Exit> {
    let scenarios = context.project.load(&arguments.scenarios)?;
    let sources = context.sources(&arguments.kernel, None)?;
    let deny = List::open(context, "DENYLIST", arguments.denylist.as_deref())?;
    let allow = List::open(context, "ALLOWLIST", arguments.allow.allowlist.as_deref())?;

    let mut units = plan(&scenarios, &sources, &arguments.how.loader.loaders());
    // Parts are of what runs: a denied cell is nobody's work.
    let reason = |unit: &Unit| deny.reason(&unit.scenario, &unit.series);
    let denied: Vec<Unit> = units
        .iter()
        .filter(|unit| reason(unit).is_some())
        .cloned()
        .collect();
    units.retain(|unit| reason(unit).is_none());
    if let Some(shard) = arguments.shard {
        units = part(units, shard);
    }
    if arguments.list {
        return list(&units, arguments.how.json);
    }

    let mut done = run_units(context, arguments, &scenarios, &sources, &units).await?;
    for unit in denied
        .iter()
        .filter(|_| arguments.shard.is_none_or(|shard| shard.index == 1))
    {
        let why = reason(unit).unwrap_or_default();
        done.extend(without_runs(
            &scenarios,
            unit,
            &Judgement::skipped(format!("denied: {why}")),
        ));
    }
    let kernels: Vec<&str> = sources.iter().map(Source::name).collect();
    done.sort_by_cached_key(|done| place(done, &kernels, &scenarios));
    allow.allow(&mut done);
    print(&done, arguments.how.json)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

/// Runs the units. A kernel that cannot be had costs its own cells and no others.
async fn run_units(
    context: &Context,
    arguments: &MatrixRun,
    scenarios: &[Loaded],
    sources: &[Source],
    units: &[Unit],
) -> Result<Vec<Done>> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let begin = Instant::now();
    let lab = context.lab(Lane::Virtual).await?;
    let mut kernels = Vec::new();
    let mut done = Vec::new();
    for source in sources {
        let of_kernel: Vec<&Unit> = units.iter().filter(|unit| unit.series == source.name()).collect();
        if of_kernel.is_empty() {
            continue;
        }
        match fetched(context, source).await? {
            Ok(kernel) => kernels.push(kernel),
            Err(reason) => done.extend(
                of_kernel
                    .into_iter()
                    .flat_map(|unit| without_runs(scenarios, unit, &Judgement::infra(reason.clone()))),
            ),
        }
    }
    let chosen: BTreeSet<(String, String)> = units
        .iter()
        .map(|unit| (unit.scenario.clone(), unit.series.clone()))
        .collect();
    let needed: Vec<Loaded> = scenarios
        .iter()
        .filter(|loaded| units.iter().any(|unit| unit.scenario == loaded.name))
        .cloned()
        .collect();
    let setup = Setup {
        loaders: arguments.how.loader.loaders(),
        seed: arguments.seed,
        jobs: arguments.how.jobs(),
        records: records_folder(context, arguments.records.as_deref())?,
        chosen: Some(chosen),
        take: if arguments.rerun_failed {
            Take::Passes
        } else {
            Take::All
        },
        ..Setup::of(context, lab, kernels)?
    };
    done.extend(run_all(context, &setup, &needed).await?);
    // With what was downloaded and booted for them.
    let seconds = begin.elapsed().as_secs();
    context
        .progress
        .notice("matrix", format!("{} runs in {seconds} s", done.len()));
    let stored = done.iter().filter(|done| done.was_stored).count();
    if stored > 0 {
        context.progress.notice(
            "matrix",
            format!(
                "{stored} of {} runs were not made again: {} has their records",
                done.len(),
                setup.records.display()
            ),
        );
    }
    Ok(done)
}

/// A kernel, or why it cannot be had; only the user's wish ends everything.
async fn fetched(context: &Context, source: &Source) -> Result<Result<Kernel, String>> {
    match context.fetch(source).await {
        Ok(kernel) => Ok(Ok(kernel)),
        Err(error) if is_interruption(&error) => Err(error),
        Err(error) => Ok(Err(with_help(error.as_ref()))),
    }
}

fn is_interruption(error: &Report) -> bool {
    matches!(error.downcast_ref(), Some(vm::Error::Interrupted))
}

/// Where a run stands in the report: by kernel, scenario and loader.
fn place(
    done: &Done,
    kernels: &[&str],
    scenarios: &[Loaded],
) -> (Option<usize>, Option<usize>, Option<Loader>) {
    let series = done.kernel.trim_end_matches('*');
    (
        kernels.iter().position(|kernel| *kernel == series),
        scenarios.iter().position(|loaded| loaded.name == done.scenario),
        done.loader,
    )
}

#[derive(Serialize)]
struct Listed<'a> {
    kernels: BTreeSet<&'a str>,
    scenarios: BTreeSet<&'a str>,
    cells: Vec<ListedCell<'a>>,
}

#[derive(Serialize)]
struct ListedCell<'a> {
    scenario: &'a str,
    kernel: &'a str,
    loader: Option<Loader>,
}

/// Prints what would run.
fn list(units: &[Unit], json: bool) -> Result<Exit> {
    if json {
        out::json(&Listed {
            kernels: units.iter().map(|unit| unit.series.as_str()).collect(),
            scenarios: units.iter().map(|unit| unit.scenario.as_str()).collect(),
            cells: units
                .iter()
                .flat_map(|unit| {
                    unit.loaders.iter().map(|loader| ListedCell {
                        scenario: &unit.scenario,
                        kernel: &unit.series,
                        loader: *loader,
                    })
                })
                .collect(),
        })?;
        return Ok(Exit::Passed);
    }
    for unit in units {
        for loader in &unit.loaders {
            let loader = loader.map_or(String::new(), |loader| format!(" ({loader})"));
            out!("{:6} {}{loader}", unit.series, unit.scenario);
        }
    }
    Ok(Exit::Passed)
}

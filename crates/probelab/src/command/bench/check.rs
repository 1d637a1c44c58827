//! `probelab bench check`: how long a check of one object on ten kernels takes, and one of a hundred objects on one kernel,
//! when the kernels' checkpoints are there.

use std::{path::PathBuf, time::Instant};

use miette::{Result, miette};
use serde::Serialize;
use vm::kernels::Kernel;
use wire::{Lane, Loader, Step};

use super::exit_of;
use crate::{
    cells::fetch_all,
    check::{CHECKER_VARIABLE, Checks, Found, ObjectFile, read_objects},
    cli::jobs,
    exit::Exit,
    open::Context,
    out::{self, out},
    show::DONE,
};

/// What is promised: so many copies of the object, on so many kernels, in so many seconds.
const PROMISES: [(usize, usize, f64); 2] = [(1, 10, 10.0), (100, 1, 120.0)];

#[derive(Debug, Serialize)]
struct Row {
    objects: usize,
    kernels: usize,
    programs: usize,
    seconds: f64,
    promised_seconds: f64,
}

/// Runs the command.
pub async fn run(context: &Context, object: &PathBuf, kernels: &[String], json: bool) -> Result<Exit> {
    let objects = read_objects(std::slice::from_ref(object))?;
    let object = objects
        .first()
        .ok_or_else(|| miette!("{} has no object", object.display()))?;
    let kernels = fetch_all(context, &context.sources(kernels, None)?).await?;
    let checks = Checks {
        lab: context.lab(Lane::Virtual).await?,
        lane: Lane::Virtual,
        checker: context.project.program("checker", CHECKER_VARIABLE)?,
        loaders: vec![Loader::Libbpf],
        jobs: jobs(None),
    };
    let mut rows = Vec::new();
    for (copies, count, promised_seconds) in PROMISES {
        let kernels = kernels.get(..count).ok_or_else(|| {
            miette!(
                help = "`--kernel wide` are all pinned ones",
                "this needs {count} kernels, and these are {}",
                kernels.len()
            )
        })?;
        rows.push(measure(context, &checks, object, copies, kernels, promised_seconds).await?);
    }
    checks.lab.close().await;
    if json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(
        rows.iter().all(|row| row.seconds <= row.promised_seconds),
    ))
}

/// The first check makes the checkpoints and is not timed.
async fn measure(
    context: &Context,
    checks: &Checks,
    object: &ObjectFile,
    copies: usize,
    kernels: &[Kernel],
    promised_seconds: f64,
) -> Result<Row> {
    checks.run(kernels, std::slice::from_ref(object)).await?;
    let copy = |number: usize| ObjectFile {
        name: format!("{number}/{}", object.name),
        path: object.path.clone(),
        bytes: object.bytes.clone(),
    };
    let objects: Vec<ObjectFile> = (0..copies).map(copy).collect();
    let begin = Instant::now();
    let found = checks.run(kernels, &objects).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let loaded = |found: &Found| {
        found
            .finding
            .programs
            .iter()
            .any(|program| program.load == Step::Done)
    };
    if let Some(found) = found.iter().find(|found| !loaded(found)) {
        return Err(miette!(
            help = "`probelab check` says why",
            "no program of {} loads on {}: there is nothing to time",
            object.name,
            found.kernel
        ));
    }
    for kernel in kernels {
        context.progress.step(&kernel.label(), DONE);
    }
    Ok(Row {
        objects: copies,
        kernels: kernels.len(),
        programs: found.iter().map(|found| found.finding.programs.len()).sum(),
        seconds,
        promised_seconds,
    })
}

fn print(rows: &[Row]) -> Result<()> {
    out!("objects  kernels  programs checked  seconds  promised");
    for row in rows {
        out!(
            "{:>7}  {:>7}  {:>16}  {:>7.1}  ≤ {:.0}",
            row.objects,
            row.kernels,
            row.programs,
            row.seconds,
            row.promised_seconds,
        );
    }
    Ok(())
}

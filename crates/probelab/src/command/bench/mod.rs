//! What the lab and the probes cost.

mod check;
mod daemon;
mod hooks;
mod kills;
mod slowdown;
mod soak;
mod subject;
mod vm;

use miette::{Result, miette};
use scenario::Series;
use wire::{GuestEnd, Record};

use crate::{cli::Bench, exit::Exit, files::Loaded, open::Context};

/// Runs the command.
pub async fn run(context: &Context, command: &Bench) -> Result<Exit> {
    match command {
        Bench::Vm {
            kernel,
            boots,
            restores,
            json,
        } => vm::run(context, kernel, *boots, *restores, *json).await,
        Bench::Daemon { what, no_host } => daemon::run(context, what, !*no_host).await,
        Bench::Check { object, kernel, json } => check::run(context, object, kernel, *json).await,
        Bench::Soak {
            kernel,
            restores,
            json,
        } => soak::run(context, kernel, *restores, *json).await,
        Bench::Kills(what) => kills::run(context, what).await,
        Bench::Hooks(hooks) => hooks::run(context, &hooks.what, !hooks.no_host).await,
    }
}

/// Of a measurement, whose promises held or did not.
fn exit_of(holds: bool) -> Exit {
    if holds { Exit::Passed } else { Exit::Failed }
}

/// The scenario that is measured.
fn load(context: &Context, name: &str) -> Result<Loaded> {
    let loaded = context.project.load(&[name.into()])?;
    loaded
        .into_iter()
        .next()
        .ok_or_else(|| miette!("no scenario `{name}`"))
}

/// A record that has all there is to measure.
fn completed(record: Record) -> Result<Record> {
    if record.end == GuestEnd::Completed {
        return Ok(record);
    }
    Err(miette!(
        "{} on {}: {}",
        record.scenario,
        record.kernel.label(),
        record.end
    ))
}

/// What an output of a record says.
fn series(record: &Record, output: &str) -> Result<Vec<Series>> {
    let text = record
        .outputs
        .get(output)
        .ok_or_else(|| miette!("the run brought no {output} home"))?
        .text();
    scenario::read_openmetrics(&text).map_err(|error| miette!("{error}"))
}

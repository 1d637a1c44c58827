//! `probelab mutants`: every known mistake of a probe, and the scenario that catches it.

use miette::{IntoDiagnostic, Result};
use report::{Mutant, mutants_text, mutants_to_json};
use wire::Lane;

use crate::{
    cells::{Done, Setup, Take, fetch_all, run_all},
    cli::Mutants,
    exit::Exit,
    files::Loaded,
    mutants::{control, controls, find},
    open::Context,
    out::text,
    show::style,
};

/// Runs the command.
pub async fn run(context: &Context, arguments: &Mutants) -> Result<Exit> {
    let (matrix, fresh) = (&arguments.matrix, arguments.fresh);
    let found = find(&context.project.path("bpf"))?;
    let wanted: Vec<String> = found.keys().map(|mutant| control(mutant)).collect();
    let turns_one_on = |loaded: &Loaded| controls(loaded).iter().any(|control| wanted.contains(control));
    let mut scenarios = context.project.load(&["all".into()])?;
    scenarios.retain(turns_one_on);

    let kernels = fetch_all(context, &context.sources(&matrix.kernel, None)?).await?;
    let setup = Setup {
        loaders: matrix.how.loader.loaders(),
        jobs: matrix.how.jobs(),
        take: if fresh { Take::Nothing } else { Take::Passes },
        ..Setup::of(context, context.lab(Lane::Virtual).await?, kernels)?
    };
    let done = run_all(context, &setup, &scenarios).await?;
    let mutants: Vec<Mutant<'_>> = found
        .iter()
        .map(|(name, files)| Mutant {
            name,
            control: control(name),
            files: files.iter().map(|file| format!("bpf/{file}")).collect(),
            cells: cells(name, &scenarios, &done),
        })
        .collect();
    if matrix.how.json {
        text(&mutants_to_json(&mutants).into_diagnostic()?)?;
    } else {
        text(&mutants_text(&mutants, style()))?;
    }
    Ok(Exit::from_code(report::mutants_exit_code(&mutants) as u8))
}

/// The runs of the scenarios that turn a mutant on.
fn cells<'a>(mutant: &str, scenarios: &[Loaded], done: &'a [Done]) -> Vec<report::Cell<'a>> {
    let control = control(mutant);
    let names: Vec<&str> = scenarios
        .iter()
        .filter(|loaded| controls(loaded).contains(&control))
        .map(|loaded| loaded.name.as_str())
        .collect();
    done.iter()
        .filter(|done| names.contains(&done.scenario.as_str()))
        .map(Done::cell)
        .collect()
}

//! `probelab report`: stored records, judged and reported without a run.

use miette::{IntoDiagnostic, Result, miette};
use scenario::Judgement;

use crate::{
    cells::Done,
    cli::ReportOf,
    exit::Exit,
    lists::List,
    open::Context,
    out::text,
    plan::plan,
    render::{exit, print_as, write_all},
    stored,
};

/// What a picture of the report shows above it.
const COMMAND: &str = "probelab matrix";

/// Runs the command.
pub async fn run(context: &Context, arguments: &ReportOf) -> Result<Exit> {
    if let Some(of) = arguments.schema {
        text(&::report::schema(of.into()).into_diagnostic()?)?;
        return Ok(Exit::Passed);
    }
    let folder = arguments
        .records
        .as_ref()
        .ok_or_else(|| miette!("no folder of records was named"))?;
    let allow = List::open(context, "ALLOWLIST", arguments.allow.allowlist.as_deref())?;
    let mut done = stored::all(context, folder).await?;
    let missing = missing(context, arguments, &done)?;
    done.extend(missing);
    allow.allow(&mut done);
    print_as(&done, arguments.format, COMMAND)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

/// The cells of the matrix that was meant of which nothing is here: a part of it that did not run, or not to its end.
fn missing(context: &Context, arguments: &ReportOf, done: &[Done]) -> Result<Vec<Done>> {
    if arguments.kernel.is_empty() {
        return Ok(Vec::new());
    }
    let deny = List::open(context, "DENYLIST", arguments.denylist.as_deref())?;
    let scenarios = context.project.load(&["all".into()])?;
    let sources = context.sources(&arguments.kernel, None)?;
    let mut missing = Vec::new();
    for unit in plan(&scenarios, &sources, &arguments.loader.loaders()) {
        if deny.reason(&unit.scenario, &unit.series).is_some() {
            continue;
        }
        let Some(loaded) = scenarios.iter().find(|loaded| loaded.name == unit.scenario) else {
            continue;
        };
        let is_there = |loader| {
            done.iter().any(|done| {
                done.scenario == unit.scenario
                    && done.kernel.trim_end_matches('*') == unit.series
                    && done.loader == loader
            })
        };
        for loader in unit.loaders.iter().copied().filter(|loader| !is_there(*loader)) {
            let judgement =
                Judgement::infra("there is no record of it: it did not run, or its record got lost");
            missing.push(Done::without_record(loaded, &unit.series, loader, judgement));
        }
    }
    Ok(missing)
}

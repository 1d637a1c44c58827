//! `probelab report`: stored records, judged and reported without a run.

use miette::{IntoDiagnostic, Result, miette};
use scenario::Judgement;
use vm::kernels::Source;
use wire::{Lane, Loader, Record};

use crate::{
    cells::{Done, without_runs},
    cli::ReportOf,
    exit::Exit,
    files::Loaded,
    lists::List,
    open::Context,
    out::text,
    plan::{Unit, plan},
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
    // Before anything is judged, which takes its time: a name may be wrong.
    let wanted = wanted(context, arguments)?;
    let mut done = stored::all(context, folder).await?;
    if done.is_empty() && wanted.is_none() {
        return Err(stored::none(folder));
    }
    if let Some(wanted) = wanted {
        let missing = wanted.missing(&done);
        done.extend(missing);
        stored::sort(&mut done, &context.project.every()?);
    }
    allow.allow(&mut done);
    print_as(&done, arguments.format, COMMAND)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

/// The matrix that records are to be of.
struct Wanted {
    scenarios: Vec<Loaded>,
    sources: Vec<Source>,
    units: Vec<Unit>,
}

/// What was asked to be there; `None` when nothing was.
fn wanted(context: &Context, arguments: &ReportOf) -> Result<Option<Wanted>> {
    if arguments.kernel.is_empty() {
        return Ok(None);
    }
    let deny = List::open(context, "DENYLIST", arguments.denylist.as_deref())?;
    let scenarios = context.project.load(&["all".into()])?;
    let sources = context.sources(&arguments.kernel, None)?;
    let mut units = plan(&scenarios, &sources, &arguments.loader.loaders());
    units.retain(|unit| deny.reason(&unit.scenario, &unit.series).is_none());
    Ok(Some(Wanted {
        scenarios,
        sources,
        units,
    }))
}

impl Wanted {
    /// The cells of which nothing is here: a part of the matrix that did not run, or not to its end.
    fn missing(&self, done: &[Done]) -> Vec<Done> {
        let judgement = Judgement::infra("there is no record of it: it did not run, or its record got lost");
        let mut missing = Vec::new();
        for unit in &self.units {
            let Some(source) = self.sources.iter().find(|source| source.name() == unit.series) else {
                continue;
            };
            let is_missing = |cell: &Done| !done.iter().any(|done| is_of(done, unit, cell.loader, source));
            let cells = without_runs(&self.scenarios, unit, &judgement);
            missing.extend(cells.into_iter().filter(is_missing));
        }
        missing
    }
}

/// Whether this is that cell: of the virtual lane, and of the build that is pinned or one that stands in for it.
fn is_of(done: &Done, unit: &Unit, loader: Option<Loader>, source: &Source) -> bool {
    let is_pinned = |record: &Record| {
        let kernel = &record.kernel;
        let is_the_build = kernel.version == source.offer.version || kernel.stands_in_for.is_some();
        record.lane == Lane::Virtual && is_the_build
    };
    done.scenario == unit.scenario
        && done.kernel.trim_end_matches('*') == unit.series
        && done.loader == loader
        // One whose record cannot be used is told already.
        && done.record.as_ref().is_none_or(is_pinned)
}

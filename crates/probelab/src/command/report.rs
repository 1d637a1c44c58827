//! `probelab report`: stored records, judged and reported without a run.

use miette::{IntoDiagnostic, Result, miette};

use crate::{
    cli::ReportOf,
    exit::Exit,
    lists::List,
    open::Context,
    out::text,
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
    allow.allow(&mut done);
    print_as(&done, arguments.format, COMMAND)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

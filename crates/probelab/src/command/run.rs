//! `probelab run`: scenarios × kernels × loaders, in parallel, judged and reported.

use miette::Result;
use wire::Lane;

use crate::{
    cells::{Setup, Take, fetch_all, host_kernel, records_folder, run_all},
    cli::Run,
    exit::Exit,
    open::{Context, PROBED_VARIABLE},
    render::{exit, print, write_all},
};

/// What a picture of the report shows above it.
const COMMAND: &str = "probelab run";

/// Runs the command.
pub async fn run(context: &Context, arguments: &Run) -> Result<Exit> {
    let scenarios = context.project.load(&arguments.scenarios)?;
    // What is wrong with the choice of kernels is said before anything is built.
    let sources = match arguments.lane {
        Lane::Host => Vec::new(),
        _ => context.sources(&arguments.matrix.kernel, Some(&arguments.own))?,
    };
    let lab = context.lab(arguments.lane).await?;
    let kernels = match arguments.lane {
        Lane::Host => vec![host_kernel()],
        _ => fetch_all(context, &sources).await?,
    };
    if arguments.lane == Lane::Kvm {
        let kernel = kernels
            .first()
            .ok_or_else(|| miette::miette!("no kernel was chosen"))?;
        vm::kvm::require(&lab, kernel).await?;
    }
    let setup = Setup {
        lab,
        kernels,
        probed: context.project.program("probed", PROBED_VARIABLE).ok(),
        loaders: arguments.matrix.how.loader.loaders(),
        seed: arguments.seed,
        lane: arguments.lane,
        jobs: arguments.matrix.how.jobs(),
        records: records_folder(context, arguments.records.as_deref())?,
        chosen: None,
        take: Take::Nothing,
    };
    let done = run_all(context, &setup, &scenarios).await?;
    print(&done, arguments.matrix.how.json)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

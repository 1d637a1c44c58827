//! `probelab run`: scenarios × kernels × loaders, in parallel, judged and reported.

use miette::Result;
use vm::{kernels::Source, run::Lab};
use wire::Lane;

use crate::{
    cells::{Done, Setup, Take, fetch_all, records_folder, run_all, running_kernel},
    cli::Run,
    consent::{ask_before_xdp, attach_xdp},
    exit::Exit,
    files::Loaded,
    open::Context,
    render::{exit, print, write_all},
};

/// What a picture of the report shows above it.
const COMMAND: &str = "probelab run";

/// Runs the command.
pub async fn run(context: &Context, arguments: &Run) -> Result<Exit> {
    let scenarios = context.project.load(&arguments.scenarios)?;
    let (lane, place) = (arguments.place.lane.lane(), arguments.place.place()?);
    ask_before_xdp(place.as_ref(), &attach_xdp(&scenarios), arguments.place.yes)?;
    // What is wrong with the choice of kernels is said before anything is built.
    let sources = match place {
        Some(_) => Vec::new(),
        None => context.sources(&arguments.matrix.kernel, Some(&arguments.own))?,
    };
    let lab = context.lab_at(lane, place.as_ref()).await?;
    let done = run_in(context, arguments, &lab, &scenarios, &sources).await;
    lab.close().await;
    let done = done?;
    print(&done, arguments.matrix.how.json)?;
    write_all(&done, &arguments.reports, COMMAND)?;
    Ok(exit(&done))
}

async fn run_in(
    context: &Context,
    arguments: &Run,
    lab: &Lab,
    scenarios: &[Loaded],
    sources: &[Source],
) -> Result<Vec<Done>> {
    let lane = arguments.place.lane.lane();
    let kernels = match arguments.place.place()? {
        Some(place) => vec![running_kernel(&place.kernel_name())],
        None => fetch_all(context, sources).await?,
    };
    if lane == Lane::Kvm {
        let kernel = kernels
            .first()
            .ok_or_else(|| miette::miette!("no kernel was chosen"))?;
        vm::kvm::require(lab, kernel).await?;
    }
    let setup = Setup {
        loaders: arguments.matrix.how.loader.loaders(),
        seed: arguments.seed,
        lane,
        // Runs on one kernel in real time would measure one another.
        jobs: if lane.is_shared() {
            1
        } else {
            arguments.matrix.how.jobs()
        },
        records: records_folder(context, arguments.records.as_deref())?,
        take: Take::Nothing,
        ..Setup::of(context, lab.clone(), kernels)?
    };
    run_all(context, &setup, scenarios).await
}

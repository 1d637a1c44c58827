//! `probelab run`: scenarios × kernels × loaders, in parallel, judged and reported.

use miette::{IntoDiagnostic, Result};
use report::{Cell, details, matrix, to_json};
use scenario::exit_code;
use wire::Lane;

use crate::{
    cells::{Done, Setup, fetch_all, host_kernel, records_folder, run_all},
    cli::Run,
    exit::Exit,
    open::{Context, PROBED_VARIABLE},
    out::text,
    show::style,
};

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
        loaders: arguments.matrix.loader.loaders(),
        seed: arguments.seed,
        lane: arguments.lane,
        jobs: arguments.matrix.jobs(),
        records: records_folder(context, arguments.records.as_deref())?,
    };
    let done = run_all(context, &setup, &scenarios).await?;
    print(&done, arguments.matrix.json)?;
    Ok(Exit::from_code(
        exit_code(done.iter().map(|done| &done.judgement)) as u8,
    ))
}

fn print(done: &[Done], json: bool) -> Result<()> {
    let cells: Vec<Cell<'_>> = done.iter().map(Done::cell).collect();
    if json {
        return text(&to_json(&cells).into_diagnostic()?);
    }
    let style = style();
    let one_scenario = done.windows(2).all(|pair| pair[0].scenario == pair[1].scenario);
    let shown = if one_scenario {
        details(&cells, style)
    } else {
        matrix(&cells, style)
    };
    text(&shown)
}

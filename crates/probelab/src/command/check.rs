//! `probelab check`: what BPF objects do on kernels.

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use report::check::{
    Checked, Comparison, Need, Old, canonical, check_details, check_passed, check_table, check_to_json,
    compare, comparison_text, to_csv,
};
use vm::{kernels::Source, visit::Place};
use wire::Lane;

use crate::{
    cells::{fetch_all, running_kernel},
    check::{CHECKER_VARIABLE, Checks, Found, ObjectFile, read_objects},
    cli::Check,
    consent::ask_before_xdp,
    exit::Exit,
    open::Context,
    out::{self, text},
    show::{DONE, style},
};

/// Runs the command.
pub async fn run(context: &Context, arguments: &Check) -> Result<Exit> {
    let objects = read_objects(&arguments.objects)?;
    let old = old(arguments)?;
    for name in &arguments.emit {
        canonical(name).map_err(|error| miette!("{error}"))?;
    }
    let place = arguments.place.place()?;
    let attaching: Vec<&str> = objects
        .iter()
        .filter(|object| object.has_xdp())
        .map(|object| object.name.as_str())
        .collect();
    ask_before_xdp(place.as_ref(), &attaching, arguments.place.yes)?;
    let sources = match place {
        Some(_) => Vec::new(),
        None => context.sources(&arguments.kernel, Some(&arguments.own))?,
    };
    let checker = context.project.program("checker", CHECKER_VARIABLE)?;
    let lane = arguments.place.lane.lane();
    let checks = Checks {
        checker,
        lab: context.lab_at(lane, place.as_ref()).await?,
        lane,
        loaders: arguments.loader.loaders(),
        jobs: if lane.is_shared() {
            1
        } else {
            crate::cli::jobs(arguments.jobs)
        },
    };
    let found = find(context, arguments, &checks, place.as_ref(), &objects, &sources).await;
    checks.lab.close().await;
    let found = found?;
    let checked: Vec<Checked<'_>> = found.iter().map(checked).collect();
    let need = Need::from(arguments.need);
    print(&checked, arguments, need)?;
    let comparison = old.map(|old| compare(&old, &checked, &arguments.fail_on));
    if let Some(comparison) = &comparison {
        show(comparison, arguments)?;
    }
    let holds = comparison.is_none_or(|comparison| comparison.holds());
    Ok(if holds && check_passed(&checked, need) {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

async fn find(
    context: &Context,
    arguments: &Check,
    checks: &Checks,
    place: Option<&Place>,
    objects: &[ObjectFile],
    sources: &[Source],
) -> Result<Vec<Found>> {
    let kernels = match place {
        Some(place) => vec![running_kernel(&place.kernel_name())],
        None => fetch_all(context, sources).await?,
    };
    if let (Lane::Kvm, Some(kernel)) = (checks.lane, kernels.first()) {
        vm::kvm::require(&checks.lab, kernel).await?;
    }
    let found = if arguments.peers {
        checks.run_peers(&kernels).await?
    } else {
        checks.run(&kernels, objects).await?
    };
    for kernel in &kernels {
        context.progress.step(&kernel.label(), DONE);
    }
    Ok(found)
}

fn checked(found: &Found) -> Checked<'_> {
    Checked {
        kernel: &found.kernel,
        finding: &found.finding,
    }
}

/// The older check, read before anything runs.
fn old(arguments: &Check) -> Result<Option<Old>> {
    let Some(path) = &arguments.compare else {
        return Ok(None);
    };
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(shown)?;
    let old = Old::parse(&text).map_err(|error| {
        miette!(
            help = "`probelab check --csv` and `veristat -o csv` write such files",
            "{}: {error}",
            shown()
        )
    })?;
    Ok(Some(old))
}

fn print(checked: &[Checked<'_>], arguments: &Check, need: Need) -> Result<()> {
    if arguments.json {
        return text(&check_to_json(checked, need).into_diagnostic()?);
    }
    if arguments.csv {
        return text(&to_csv(checked, &arguments.emit).map_err(|error| miette!("{error}"))?);
    }
    let details = check_details(checked, need, style());
    if !details.is_empty() {
        text(&format!("{details}\n"))?;
    }
    text(&check_table(checked, need, style()))
}

/// Beside JSON or CSV on standard output, the comparison goes where it does not get into their way.
fn show(comparison: &Comparison, arguments: &Check) -> Result<()> {
    if arguments.json || arguments.csv {
        out::error_line(format_args!(
            "{}",
            comparison_text(comparison, report::Style::Plain)
        ));
        return Ok(());
    }
    text(&format!("\n{}", comparison_text(comparison, style())))
}

//! `probelab check`: what BPF objects do on kernels.

use clap::ValueEnum;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use report::{
    Cell,
    check::{
        Checked, Comparison, Need, Old, canonical, check_details, check_passed, check_table, check_to_json,
        compare, comparison_text, judge_check, to_csv,
    },
};
use scenario::Judgement;
use vm::{kernels::Source, visit::Place};
use wire::Lane;

use crate::{
    cells::{fetch_all, running_kernel},
    check::{CHECKER_VARIABLE, Checks, Found, ObjectFile, PEERS_PACKAGE, read_objects, read_tools},
    cli::Check,
    consent::ask_before_xdp,
    exit::Exit,
    open::Context,
    out::{self, text},
    render::write_cells,
    show::{DONE, style},
};

/// What a picture of the report shows above it.
const COMMAND: &str = "probelab check";

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
    write_reports(&checked, &objects, arguments, need)?;
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
        let tools = match context.package(&checks.lab.rootfs, PEERS_PACKAGE).await? {
            Some(package) => read_tools(&package)?,
            None => {
                let words = "the root filesystem names no packages: only the tools that it carries are tried";
                context.progress.notice("peers", words);
                Vec::new()
            }
        };
        checks.run_peers(&kernels, &tools).await?
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

/// The reports that a matrix has: an object stands where a scenario does.
fn write_reports(
    checked: &[Checked<'_>],
    objects: &[ObjectFile],
    arguments: &Check,
    need: Need,
) -> Result<()> {
    let judged: Vec<(Judgement, Option<String>)> = checked
        .iter()
        .map(|one| (judge_check(*one, need), again(*one, objects, arguments)))
        .collect();
    let cells: Vec<Cell<'_>> = checked
        .iter()
        .zip(&judged)
        .map(|(one, (judgement, again))| Cell {
            scenario: &one.finding.file_name,
            kernel: one.kernel,
            loader: Some(one.finding.loader),
            probes: &[],
            record: None,
            judgement,
            replay: again.as_deref(),
        })
        .collect();
    write_cells(&cells, &arguments.reports, COMMAND)
}

/// The command that does a part of the check again; nothing where that takes more than an object and a pinned kernel.
fn again(one: Checked<'_>, objects: &[ObjectFile], arguments: &Check) -> Option<String> {
    if arguments.place.lane.lane() != Lane::Virtual || arguments.own.kernel_image.is_some() {
        return None;
    }
    let kernel = one.kernel.trim_end_matches('*');
    if arguments.peers {
        return Some(format!("{COMMAND} --peers --kernel {kernel}"));
    }
    let object = objects
        .iter()
        .find(|object| object.name == one.finding.file_name)?;
    let path = object.path.to_str()?;
    // A path with a NUL byte does not come from a command line.
    let path = shlex::try_quote(path).ok()?;
    let need = arguments.need.to_possible_value()?;
    Some(format!(
        "{COMMAND} {path} --kernel {kernel} --loader {} --need {}",
        one.finding.loader,
        need.get_name()
    ))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use wire::{Loader, ObjectFinding, Step};

    use super::*;
    use crate::cli::{Cli, Command};

    fn again_of(name: &str, arguments: &str) -> Option<String> {
        let cli = Cli::parse_from(["probelab", "check"].into_iter().chain(arguments.split(' ')));
        let Command::Check(arguments) = cli.command else {
            panic!("{arguments} is no check");
        };
        let object = |name: &str, path: &str| ObjectFile {
            name: name.into(),
            path: Path::new(path).into(),
            bytes: Vec::new(),
        };
        let objects = [object("a/f.o", "x/a/f.o"), object("f.o", "my objects/f.o")];
        let finding = ObjectFinding {
            file_name: name.into(),
            loader: Loader::Aya,
            whole: Step::Done,
            maps: Vec::new(),
            programs: Vec::new(),
        };
        let one = Checked {
            kernel: "6.12*",
            finding: &finding,
        };
        again(one, &objects, &arguments)
    }

    #[test]
    fn a_part_is_done_again_by_what_names_it() {
        assert_eq!(
            again_of("f.o", "x --kernel all --need fire").as_deref(),
            Some("probelab check 'my objects/f.o' --kernel 6.12 --loader aya --need fire")
        );
        assert_eq!(
            again_of("opensnoop", "--peers").as_deref(),
            Some("probelab check --peers --kernel 6.12")
        );
        assert_eq!(again_of("f.o", "x --lane host"), None);
    }
}

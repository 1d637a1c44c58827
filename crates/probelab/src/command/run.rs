//! `probelab run`: scenarios × kernels, in parallel, judged and reported.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, stream};
use miette::{IntoDiagnostic, Result, WrapErr};
use report::{Cell, Style, details, matrix, to_json};
use scenario::{Judgement, PROBED_PATH, exit_code};
use vm::{
    kernels::{Kernel, Source},
    run::{Lab, Request},
};
use wire::{File, KernelIdentity, Lane, Record};

use crate::{
    cli::Run,
    exit::Exit,
    files::Loaded,
    open::{Context, PROBED_VARIABLE},
    oracle_tools::judge_record,
    show::DONE,
};

/// A run that was done and judged.
struct Done {
    scenario: String,
    kernel: String,
    record: Option<Record>,
    judgement: Judgement,
    replay: Option<String>,
}

/// Runs the command.
pub async fn run(context: &Context, arguments: &Run) -> Result<Exit> {
    let scenarios = context.project.load(&arguments.scenarios)?;
    let sources = match arguments.lane {
        Lane::Host => vec![Source::Ready(host_kernel())],
        _ => context.sources(&arguments.kernel, Some(&arguments.own))?,
    };
    let lab = context.lab(arguments.lane).await?;
    let kernels = fetch_all(context, &sources).await?;
    if arguments.lane == Lane::Kvm {
        let kernel = kernels
            .first()
            .ok_or_else(|| miette::miette!("no kernel was chosen"))?;
        vm::kvm::require(&lab, kernel).await?;
    }
    let records = match &arguments.records {
        Some(folder) => folder.clone(),
        None => context.cache.folder("records")?,
    };
    std::fs::create_dir_all(&records)
        .into_diagnostic()
        .wrap_err_with(|| records.display().to_string())?;

    let probed = context.project.program("probed", PROBED_VARIABLE);
    let jobs = arguments.jobs.unwrap_or_else(processors).max(1);
    let mut done: Vec<(usize, Result<Done>)> =
        stream::iter(cells(&scenarios, &kernels).into_iter().enumerate())
            .map(|(index, (loaded, kernel))| {
                let (lab, records, probed) = (&lab, &records, &probed);
                async move {
                    let probed = probed.as_ref().ok().map(PathBuf::as_path);
                    (index, one(lab, loaded, kernel, arguments, probed, records).await)
                }
            })
            .buffer_unordered(jobs)
            .collect()
            .await;
    done.sort_by_key(|(index, _)| *index);
    let done = done
        .into_iter()
        .map(|(_, done)| done)
        .collect::<Result<Vec<_>>>()?;
    for kernel in &kernels {
        context.progress.step(&kernel.label(), DONE);
    }
    print(&done, arguments.json)?;
    Ok(Exit::from_code(
        exit_code(done.iter().map(|done| &done.judgement)) as u8,
    ))
}

/// Kernel by kernel, so that runs that share a template's pages follow one another.
fn cells<'a>(scenarios: &'a [Loaded], kernels: &'a [Kernel]) -> Vec<(&'a Loaded, &'a Kernel)> {
    kernels
        .iter()
        .flat_map(|kernel| scenarios.iter().map(move |loaded| (loaded, kernel)))
        .collect()
}

async fn fetch_all(context: &Context, sources: &[Source]) -> Result<Vec<Kernel>> {
    let mut kernels = Vec::new();
    for source in sources {
        kernels.push(context.fetch(source).await?);
    }
    Ok(kernels)
}

async fn one(
    lab: &Lab,
    loaded: &Loaded,
    kernel: &Kernel,
    arguments: &Run,
    probed: Option<&Path>,
    records: &Path,
) -> Result<Done> {
    let name = loaded.name.clone();
    let request = request(loaded, arguments.seed, arguments.lane, probed)?;
    let done = |record, judgement, replay| Done {
        scenario: name.clone(),
        kernel: kernel.label(),
        record,
        judgement,
        replay,
    };
    let record = match lab.run(kernel, &request).await {
        Ok(record) => record,
        Err(vm::Error::Interrupted) => return Err(vm::Error::Interrupted.into()),
        Err(error) => return Ok(done(None, Judgement::infra(with_help(&error)), None)),
    };
    let path = keep(&record, kernel, records)?;
    let replay = Some(format!("probelab replay {}", path.display()));
    let judgement = match judge_record(loaded, &record).await {
        Ok(judgement) => judgement,
        Err(error) => Judgement::infra(with_help(&error)),
    };
    Ok(done(Some(record), judgement, replay))
}

/// What a scenario asks the lab to do.
pub fn request(loaded: &Loaded, seed: u64, lane: Lane, probed: Option<&Path>) -> Result<Request> {
    let (stage, stage_blobs) = loaded.scenario.stage(&loaded.files);
    let (mut job, mut job_blobs) = loaded.scenario.job(&loaded.name, seed, &loaded.files, 0);
    if loaded.scenario.has_probe() {
        let path = probed.ok_or_else(|| {
            miette::miette!(
                help = format!("`just build` makes it; {PROBED_VARIABLE} names another one"),
                "the static program `probed` was not found, and {} needs it",
                loaded.name
            )
        })?;
        job.files.push(File {
            path: PROBED_PATH.into(),
            mode: 0o755,
            blob: job_blobs.len(),
        });
        job_blobs.push(
            std::fs::read(path)
                .into_diagnostic()
                .wrap_err_with(|| path.display().to_string())?,
        );
    }
    Ok(Request {
        scenario: loaded.name.clone(),
        lane,
        stage,
        stage_blobs,
        job,
        job_blobs,
        wall_deadline: Duration::from_secs(loaded.scenario.deadline_wall_seconds()),
    })
}

fn keep(record: &Record, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let name = format!(
        "{}-{}-{}-{}.json",
        record.scenario, kernel.identity.series, record.lane, record.seed
    );
    let path = folder.join(name);
    let mut file = tempfile::NamedTempFile::new_in(folder).into_diagnostic()?;
    serde_json::to_writer(&mut file, record).into_diagnostic()?;
    file.persist(&path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    Ok(path)
}

fn print(done: &[Done], json: bool) -> Result<()> {
    let cells: Vec<Cell<'_>> = done
        .iter()
        .map(|done| Cell {
            scenario: &done.scenario,
            kernel: &done.kernel,
            record: done.record.as_ref(),
            judgement: &done.judgement,
            replay: done.replay.as_deref(),
        })
        .collect();
    if json {
        println!("{}", to_json(&cells).into_diagnostic()?);
        return Ok(());
    }
    let style = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Style::Coloured
    } else {
        Style::Plain
    };
    let one_scenario = done.windows(2).all(|pair| pair[0].scenario == pair[1].scenario);
    let text = if one_scenario {
        details(&cells, style)
    } else {
        matrix(&cells, style)
    };
    println!("{text}");
    Ok(())
}

/// An error in one line with what to do.
pub fn with_help(error: &vm::Error) -> String {
    match miette::Diagnostic::help(error) {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}

/// The kernel of the host lane: whatever runs.
pub fn host_kernel() -> Kernel {
    Kernel {
        identity: KernelIdentity {
            series: "host".into(),
            package: "-".into(),
            version: "-".into(),
            sha256: "-".into(),
            stands_in_for: None,
        },
        image: PathBuf::new(),
        modules: PathBuf::new(),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

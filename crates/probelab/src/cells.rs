//! Cells: a scenario on a kernel with a loader. They run in parallel, each is judged and its record kept.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, stream};
use miette::{IntoDiagnostic, Result, WrapErr};
use scenario::{Judgement, PROBED_PATH};
use vm::{
    kernels::{Kernel, Source},
    run::{Lab, Request},
};
use wire::{File, KernelIdentity, Lane, Loader, Record};

use crate::{
    build::{BuildError, Builder},
    files::{Files, Loaded},
    open::{Context, PROBED_VARIABLE},
    oracle_tools::judge_record,
    pairs,
    show::{DONE, with_help},
};

/// What all cells of a command share.
#[derive(Debug)]
pub struct Setup {
    /// The lab.
    pub lab: Lab,
    /// The kernels.
    pub kernels: Vec<Kernel>,
    /// The static probe daemon, where there is one.
    pub probed: Option<PathBuf>,
    /// Loaders: a scenario with a probe runs once with each.
    pub loaders: Vec<Loader>,
    /// Seed of everything random.
    pub seed: u64,
    /// Lane.
    pub lane: Lane,
    /// Runs at once.
    pub jobs: usize,
    /// Folder for the records.
    pub records: PathBuf,
}

/// A run that was done and judged.
#[derive(Debug)]
pub struct Done {
    /// Scenario name.
    pub scenario: String,
    /// What the kernel is called.
    pub kernel: String,
    /// What the probes were loaded with, when there are any.
    pub loader: Option<Loader>,
    /// The record, when there was a run.
    pub record: Option<Record>,
    /// The verdict with its evidence.
    pub judgement: Judgement,
    /// The command that repeats it.
    pub replay: Option<String>,
}

impl Done {
    /// Its cell of a report.
    pub fn cell(&self) -> report::Cell<'_> {
        report::Cell {
            scenario: &self.scenario,
            kernel: &self.kernel,
            loader: self.loader,
            record: self.record.as_ref(),
            judgement: &self.judgement,
            replay: self.replay.as_deref(),
        }
    }
}

/// One run to do.
struct Cell<'a> {
    prepared: &'a Prepared<'a>,
    kernel: &'a Kernel,
    loader: Option<Loader>,
}

/// A scenario whose programs are built, or that cannot run.
struct Prepared<'a> {
    loaded: &'a Loaded,
    files: Result<Files, BuildError>,
}

/// Fetches the kernels that are meant.
pub async fn fetch_all(context: &Context, sources: &[Source]) -> Result<Vec<Kernel>> {
    let mut kernels = Vec::new();
    for source in sources {
        kernels.push(context.fetch(source).await?);
    }
    Ok(kernels)
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

/// The folder for records: the given one, or the cache's.
pub fn records_folder(context: &Context, given: Option<&Path>) -> Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => context.cache.folder("records")?,
    };
    std::fs::create_dir_all(&folder)
        .into_diagnostic()
        .wrap_err_with(|| folder.display().to_string())?;
    Ok(folder)
}

/// Runs every scenario on every kernel with every loader, reported in this order whatever ends first.
pub async fn run_all(context: &Context, setup: &Setup, scenarios: &[Loaded]) -> Result<Vec<Done>> {
    let prepared = prepare(context, scenarios).await?;
    let cells = cells(setup, &prepared).into_iter().enumerate();
    let mut done: Vec<(usize, Result<Done>)> = stream::iter(cells)
        .map(|(index, cell)| async move { (index, one(setup, &cell).await) })
        .buffer_unordered(setup.jobs)
        .collect()
        .await;
    done.sort_by_key(|(index, _)| *index);
    for kernel in &setup.kernels {
        context.progress.step(&kernel.label(), DONE);
    }
    let mut done = done
        .into_iter()
        .map(|(_, done)| done)
        .collect::<Result<Vec<_>>>()?;
    pairs::compare(&mut done);
    Ok(done)
}

/// Kernel by kernel, so that runs that share a template's pages follow one another.
fn cells<'a>(setup: &'a Setup, prepared: &'a [Prepared<'a>]) -> Vec<Cell<'a>> {
    let mut cells = Vec::new();
    for kernel in &setup.kernels {
        for prepared in prepared {
            let loaders = match prepared.loaded.scenario.has_probe() {
                true => setup.loaders.iter().copied().map(Some).collect(),
                false => vec![None],
            };
            cells.extend(loaders.into_iter().map(|loader| Cell {
                prepared,
                kernel,
                loader,
            }));
        }
    }
    cells
}

/// A scenario that cannot be built fails alone; only the user's wish ends everything.
async fn prepare<'a>(context: &Context, scenarios: &'a [Loaded]) -> Result<Vec<Prepared<'a>>> {
    let mut builder = Builder::default();
    let mut prepared = Vec::new();
    for loaded in scenarios {
        let files = builder.files(context, loaded).await;
        if let Err(BuildError::Lab(vm::Error::Interrupted)) = files {
            return Err(vm::Error::Interrupted.into());
        }
        prepared.push(Prepared { loaded, files });
    }
    Ok(prepared)
}

async fn one(setup: &Setup, cell: &Cell<'_>) -> Result<Done> {
    let Cell {
        prepared,
        kernel,
        loader,
    } = *cell;
    let loaded = prepared.loaded;
    let done = |record, judgement, replay| Done {
        scenario: loaded.name.clone(),
        kernel: kernel.label(),
        loader,
        record,
        judgement,
        replay,
    };
    let files = match &prepared.files {
        Ok(files) => files,
        Err(error) => return Ok(done(None, Judgement::infra(with_help(error)), None)),
    };
    let input = Input {
        seed: setup.seed,
        lane: setup.lane,
        loader: loader.unwrap_or_default(),
        probed: setup.probed.as_deref(),
    };
    let request = request(loaded, files, &input)?;
    let record = match setup.lab.run(kernel, &request).await {
        Ok(record) => record,
        Err(vm::Error::Interrupted) => return Err(vm::Error::Interrupted.into()),
        Err(error) => return Ok(done(None, Judgement::infra(with_help(&error)), None)),
    };
    let path = keep(&record, kernel, &setup.records)?;
    let replay = Some(format!("probelab replay {}", path.display()));
    let judgement = match judge_record(loaded, &record).await {
        Ok(judgement) => judgement,
        Err(error) => Judgement::infra(with_help(&error)),
    };
    Ok(done(Some(record), judgement, replay))
}

/// What goes into a run beside the scenario and the kernel.
#[derive(Debug)]
pub struct Input<'a> {
    /// Seed of everything random.
    pub seed: u64,
    /// Lane.
    pub lane: Lane,
    /// Loader of the probes; without a probe it does not matter.
    pub loader: Loader,
    /// The static probe daemon, where there is one.
    pub probed: Option<&'a Path>,
}

/// What a scenario asks the lab to do. `files` are its own and what its builds made.
pub fn request(loaded: &Loaded, files: &Files, input: &Input<'_>) -> Result<Request> {
    let (stage, stage_blobs) = loaded.scenario.stage(files);
    let (mut job, mut job_blobs) = loaded
        .scenario
        .job(&loaded.name, input.seed, input.loader, files, 0);
    if loaded.scenario.has_probe() {
        let path = input.probed.ok_or_else(|| {
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
        lane: input.lane,
        stage,
        stage_blobs,
        job,
        job_blobs,
        wall_deadline: Duration::from_secs(loaded.scenario.deadline_wall_seconds()),
    })
}

/// `SCENARIO-KERNEL-LANE[-LOADER]-SEED.json`.
fn file_name(record: &Record, kernel: &Kernel) -> String {
    let loader = record.loader.map_or(String::new(), |loader| format!("-{loader}"));
    format!(
        "{}-{}-{}{loader}-{}.json",
        record.scenario, kernel.identity.series, record.lane, record.seed
    )
}

fn keep(record: &Record, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(file_name(record, kernel));
    let mut file = tempfile::NamedTempFile::new_in(folder).into_diagnostic()?;
    serde_json::to_writer(&mut file, record).into_diagnostic()?;
    file.persist(&path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    Ok(path)
}

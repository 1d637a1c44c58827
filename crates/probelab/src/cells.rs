//! Cells: a scenario on a kernel with a loader. They run in parallel, each is judged and its record kept.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, stream};
use miette::{IntoDiagnostic, Result, WrapErr};
use scenario::{EndKind, Judgement, PROBED_PATH, Verdict};
use vm::{
    kernels::{Kernel, Source},
    run::{Lab, Request},
};
use wire::{File, KernelIdentity, Lane, Loader, Record};

use crate::{
    build::{BuildError, Builder},
    cli::jobs,
    files::{Files, Loaded},
    mutants::shown_probes,
    open::{Context, PROBED_VARIABLE},
    oracle_tools::judge_record,
    pairs,
    plan::Unit,
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
    /// Scenarios and kernel series to run together; all with all when `None`.
    pub chosen: Option<BTreeSet<(String, String)>>,
    /// Which records of the folder stand for a run.
    pub take: Take,
}

/// Which stored records stand for a run whose inputs are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// None: everything is run.
    Nothing,
    /// Those that are judged a pass, or may fail.
    Passes,
    /// All that are a verdict on the guest.
    All,
}

impl Setup {
    /// What most commands want: one run per scenario and kernel in the virtual lane, records in the cache.
    pub fn of(context: &Context, lab: Lab, kernels: Vec<Kernel>) -> Result<Self> {
        Ok(Self {
            lab,
            kernels,
            probed: context.project.program("probed", PROBED_VARIABLE).ok(),
            loaders: vec![Loader::default()],
            seed: 1,
            lane: Lane::Virtual,
            jobs: jobs(None),
            records: records_folder(context, None)?,
            chosen: None,
            take: Take::All,
        })
    }
}

/// A run that was done and judged.
#[derive(Debug)]
pub struct Done {
    /// Scenario name.
    pub scenario: String,
    /// What the kernel is called.
    pub kernel: String,
    /// Kinds of the probes that the scenario shows.
    pub probes: Vec<String>,
    /// What the probes were loaded with, when there are any.
    pub loader: Option<Loader>,
    /// The record, when there was a run.
    pub record: Option<Record>,
    /// The verdict with its evidence.
    pub judgement: Judgement,
    /// The command that repeats it.
    pub replay: Option<String>,
    /// Whether the record was there already and nothing was run.
    pub was_stored: bool,
}

impl Done {
    /// A cell of which there is no record, judged all the same.
    pub fn without_record(
        loaded: &Loaded,
        kernel: &str,
        loader: Option<Loader>,
        judgement: Judgement,
    ) -> Self {
        Self {
            scenario: loaded.name.clone(),
            kernel: kernel.to_owned(),
            probes: shown_probes(loaded),
            loader,
            record: None,
            judgement,
            replay: None,
            was_stored: false,
        }
    }

    /// Its cell of a report.
    pub fn cell(&self) -> report::Cell<'_> {
        report::Cell {
            scenario: &self.scenario,
            kernel: &self.kernel,
            loader: self.loader,
            probes: &self.probes,
            record: self.record.as_ref(),
            judgement: &self.judgement,
            replay: self.replay.as_deref(),
        }
    }
}

/// The cells of a unit of which there is no record.
pub fn without_runs(scenarios: &[Loaded], unit: &Unit, judgement: &Judgement) -> Vec<Done> {
    let Some(loaded) = scenarios.iter().find(|loaded| loaded.name == unit.scenario) else {
        return Vec::new();
    };
    unit.loaders
        .iter()
        .map(|loader| Done::without_record(loaded, &unit.series, *loader, judgement.clone()))
        .collect()
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

/// A kernel that already runs, whatever it is; the record has its release.
pub fn running_kernel(name: &str) -> Kernel {
    Kernel {
        identity: KernelIdentity {
            series: name.into(),
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
    let is_chosen = |scenario: &str, kernel: &Kernel| {
        let pair = (scenario.to_owned(), kernel.identity.series.clone());
        setup.chosen.as_ref().is_none_or(|chosen| chosen.contains(&pair))
    };
    for kernel in &setup.kernels {
        for prepared in prepared
            .iter()
            .filter(|prepared| is_chosen(&prepared.loaded.name, kernel))
        {
            let loaders = loaders_of(prepared.loaded, &setup.loaders);
            cells.extend(loaders.into_iter().map(|loader| Cell {
                prepared,
                kernel,
                loader,
            }));
        }
    }
    cells
}

/// The loaders that a scenario runs with: each where there is a probe, none where there is not.
pub fn loaders_of(loaded: &Loaded, loaders: &[Loader]) -> Vec<Option<Loader>> {
    match loaded.scenario.has_probe() {
        true => loaders.iter().copied().map(Some).collect(),
        false => vec![None],
    }
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
    let without = |judgement| Done::without_record(loaded, &kernel.label(), loader, judgement);
    if setup.lane.is_shared() && breaks_its_kernel(loaded) {
        let reason = "it is about a kernel that breaks, and this one is in use";
        return Ok(without(Judgement::skipped(reason)));
    }
    let files = match &prepared.files {
        Ok(files) => files,
        Err(error) => return Ok(without(Judgement::infra(with_help(error)))),
    };
    let input = Input {
        seed: setup.seed,
        lane: setup.lane,
        loader: loader.unwrap_or_default(),
        probed: setup.probed.as_deref(),
    };
    let request = request(loaded, files, &input)?;
    if setup.take != Take::Nothing
        && let Some(stored) = take(setup, loaded, kernel, &request).await?
    {
        return Ok(stored);
    }
    let record = match setup.lab.run(kernel, &request).await {
        Ok(record) => record,
        Err(vm::Error::Interrupted) => return Err(vm::Error::Interrupted.into()),
        Err(error) => return Ok(without(Judgement::infra(with_help(&error)))),
    };
    let path = keep(&record, kernel, &setup.records)?;
    Ok(judged(loaded, record, &path).await)
}

/// Whether a scenario is about the end of the kernel that it runs on.
fn breaks_its_kernel(loaded: &Loaded) -> bool {
    matches!(
        loaded.scenario.must_end(),
        Some(EndKind::Panic | EndKind::Oops | EndKind::Lockup | EndKind::OutOfMemory)
    )
}

/// The stored run of a cell, when its record is there, was made of the same inputs and is wanted.
async fn take(setup: &Setup, loaded: &Loaded, kernel: &Kernel, request: &Request) -> Result<Option<Done>> {
    let loader = request.job.probe.as_ref().map(|probe| probe.loader);
    let name = file_name(&loaded.name, kernel, loader, setup.lane, setup.seed);
    let path = setup.records.join(name);
    // A record that cannot be read, or was changed after it was made, is made again.
    let Ok(record) = read_record(&path) else {
        return Ok(None);
    };
    let is_of_these_inputs = record.inputs_sha256 == setup.lab.inputs_digest(kernel, request)?;
    if !is_of_these_inputs || record.digest != record.compute_digest() {
        return Ok(None);
    }
    let mut done = judged(loaded, record, &path).await;
    done.was_stored = true;
    let is_wanted = match done.judgement.verdict {
        Verdict::Passed => true,
        // It says nothing of the probe, and may come out well now.
        Verdict::Infra { .. } => false,
        _ => setup.take == Take::All,
    };
    Ok(is_wanted.then_some(done))
}

/// A record with its judgement.
pub async fn judged(loaded: &Loaded, record: Record, path: &Path) -> Done {
    let judgement = match judge_record(loaded, &record).await {
        Ok(judgement) => judgement,
        Err(error) => Judgement::infra(with_help(&error)),
    };
    let mut done = Done::without_record(loaded, &record.kernel.label(), record.loader, judgement);
    done.replay = Some(format!("probelab replay {}", path.display()));
    done.record = Some(record);
    done
}

/// Reads a record of this version.
pub fn read_record(path: &Path) -> Result<Record> {
    let text = std::fs::read_to_string(path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    let record: Record = serde_json::from_str(&text)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is not a record of this version", path.display()))?;
    if record.schema_version != Record::SCHEMA_VERSION {
        return Err(miette::miette!(
            "{} is a record of version {}, and this is version {}",
            path.display(),
            record.schema_version,
            Record::SCHEMA_VERSION
        ));
    }
    Ok(record)
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
fn file_name(scenario: &str, kernel: &Kernel, loader: Option<Loader>, lane: Lane, seed: u64) -> String {
    let loader = loader.map_or(String::new(), |loader| format!("-{loader}"));
    format!("{scenario}-{}-{lane}{loader}-{seed}.json", kernel.identity.series)
}

fn keep(record: &Record, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
    let name = file_name(&record.scenario, kernel, record.loader, record.lane, record.seed);
    let path = folder.join(name);
    let mut file = tempfile::NamedTempFile::new_in(folder).into_diagnostic()?;
    serde_json::to_writer(&mut file, record).into_diagnostic()?;
    file.persist(&path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    Ok(path)
}

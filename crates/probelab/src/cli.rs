//! What can be asked for.

mod check;
mod matrix;
mod place;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wire::Loader;

pub use check::Check;
pub use matrix::{Format, MatrixRun, ReportOf, Reports, Shard, SupportOf};
pub use place::Where;

/// Boots unmodified, pinned kernels, runs real workloads beside real eBPF probes, and says whether each probe
/// is correct and what it costs. Every run can be repeated byte for byte, without KVM.
///
/// Exit codes: 0 passed, 1 failed, 2 usage or configuration, 69 could not run, 130 interrupted, 141 nobody reads the
/// results, 255 guest panic.
#[derive(Debug, Parser)]
#[command(name = "probelab", version, max_term_width = 100)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder with vm/ and scenarios/ (default: the nearest one above the current folder)
    #[arg(long, global = true, value_name = "FOLDER", env = "PROBELAB_ROOT")]
    pub root: Option<PathBuf>,
    /// Package mirror to fetch kernels and packages from (default: the one this machine's apt uses)
    #[arg(long, global = true, value_name = "URL", env = "PROBELAB_MIRROR")]
    pub mirror: Option<String>,
    /// Ready root filesystem: a plain cpio archive, used instead of the one that vm/rootfs.lock pins
    #[arg(long, global = true, value_name = "PATH", env = vm::rootfs::VARIABLE)]
    pub rootfs: Option<PathBuf>,
    /// Let the newest build stand in for a pinned one that the mirror no longer serves; the record says so
    #[arg(long, global = true, env = "PROBELAB_ALLOW_DRIFT")]
    pub allow_drift: bool,
    /// No progress, only results
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios on kernels and judge them
    Run(Run),
    /// Check BPF objects on kernels: load, verifier, attach, run, cost
    Check(Check),
    /// Find the first kernel build that shows a difference between two
    Bisect(Bisect),
    /// Run a whole matrix: resumable, shardable, with lists of what is not run and of what may fail
    Matrix(MatrixRun),
    /// Judge and report stored records, without a run
    Report(ReportOf),
    /// Make the support table of the documents from stored records
    Support(SupportOf),
    /// List scenarios
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run every known mistake of a probe against the scenario that must catch it
    Mutants(Mutants),
    /// Say what is missing on this machine and how to get it
    Doctor {
        /// Decide anew whether the kvm lane works
        #[arg(long)]
        recheck: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a prompt in a guest (leave with `exit`)
    Shell {
        /// Kernel: a series such as 6.12
        #[arg(long, short, default_value = "6.12")]
        kernel: String,
        #[command(flatten)]
        own: OwnKernel,
    },
    /// Repeat the run of a record and compare digests
    Replay {
        /// The record: a file written by `run`
        record: PathBuf,
    },
    /// What each BPF program costs in the scenarios, beside what it may cost, to the last hundredth of an instruction
    Budget(Budget),
    /// Measure the lab itself and the probes: without a subcommand, `bench hooks`
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        command: Option<Bench>,
        #[command(flatten)]
        hooks: Hooks,
    },
    /// Kernels: list, fetch, pin, verify
    #[command(subcommand)]
    Kernels(Kernels),
    /// The root filesystem: build, pin, pack
    #[command(subcommand)]
    Rootfs(Rootfs),
    /// The cache: list, prune
    #[command(subcommand)]
    Cache(Cache),
    /// Write man pages of all commands into a folder
    Man {
        /// The folder; it is made when it is not there
        folder: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// A kernel that is not pinned.
#[derive(Debug, Clone, Args)]
pub struct OwnKernel {
    /// Boot this kernel image instead of a pinned one
    #[arg(long, value_name = "PATH", conflicts_with = "kernel")]
    pub kernel_image: Option<PathBuf>,
    /// Folder with the modules of --kernel-image
    #[arg(long, value_name = "FOLDER", requires = "kernel_image")]
    pub modules: Option<PathBuf>,
}

/// `probelab run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Scenario names, paths of scenario folders, or `all`
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    #[command(flatten)]
    pub matrix: Matrix,
    #[command(flatten)]
    pub own: OwnKernel,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub place: Where,
    /// Folder for the records (default: in the cache)
    #[arg(long, value_name = "FOLDER")]
    pub records: Option<PathBuf>,
    #[command(flatten)]
    pub reports: Reports,
}

/// `probelab bisect`.
#[derive(Debug, Args)]
pub struct Bisect {
    /// Scenario name, or path of a scenario's folder
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
    /// Older pinned kernel: what it shows is taken for good
    #[arg(long, value_name = "KERNEL")]
    pub good: String,
    /// Newer pinned kernel of the same flavour, which shows something else
    #[arg(long, value_name = "KERNEL")]
    pub bad: String,
    /// Compare the value of this series of the probe (all label sets added up) instead of the verdict
    #[arg(long, value_name = "NAME")]
    pub series: Option<String>,
    /// Loader of the probes: libbpf or aya
    #[arg(long, default_value_t)]
    pub loader: Loader,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// On what scenarios run, and how that is said.
#[derive(Debug, Args)]
pub struct Matrix {
    /// Kernels: `all` (the quick set), `wide` (every pin), `lts`, `latest-per-series`, `rt`, a name (6.12), a version,
    /// or a pattern ('6.12.*'); may be given more than once
    #[arg(long, short, default_value = "6.12")]
    pub kernel: Vec<String>,
    #[command(flatten)]
    pub how: How,
}

/// How runs are made and told.
#[derive(Debug, Args)]
pub struct How {
    /// Library that loads the probes; with `both`, each scenario with a probe runs twice, and the two must agree
    #[arg(long, value_name = "NAME", default_value = "aya")]
    pub loader: Loaders,
    /// Runs at once (default: one per processor)
    #[arg(long, short)]
    pub jobs: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

impl How {
    /// Runs at once: what was asked for, else one per processor.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// Runs at once: what was asked for, else one per processor.
pub fn jobs(asked: Option<usize>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(processors).max(1)
}

/// Which loaders are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Loaders {
    /// libbpf, the kernel's own library
    Libbpf,
    /// aya, in Rust
    Aya,
    /// One after the other, compared
    Both,
}

impl Loaders {
    /// Each of them.
    pub fn loaders(self) -> Vec<Loader> {
        match self {
            Self::Libbpf => vec![Loader::Libbpf],
            Self::Aya => vec![Loader::Aya],
            Self::Both => Loader::ALL.to_vec(),
        }
    }
}

/// `probelab bench`.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Start-up of a run, digests over boots and restores, cost of the HTTP probe
    Vm {
        /// Kernels
        #[arg(long, short, default_value = "all")]
        kernel: Vec<String>,
        /// Cold boots per kernel
        #[arg(long, default_value_t = 2)]
        boots: usize,
        /// Restores per boot
        #[arg(long, default_value_t = 3)]
        restores: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// What every probe costs per event beside the bcc tool for the same job, in one run: in instructions on each kernel, in
    /// nanoseconds on this machine's own. `probelab bench` alone is the same
    Hooks(Hooks),
    /// What the daemon takes: 10,000 requests a second for a minute on this machine, and 60,000 on each kernel
    Daemon {
        #[command(flatten)]
        what: Measured,
        /// Without the minute on this machine's own kernel, which needs root
        #[arg(long)]
        no_host: bool,
    },
    /// How long `probelab check` takes: an object on ten kernels, and a hundred copies of it on one
    Check {
        /// The object
        object: PathBuf,
        /// Kernels, of which the first ten are used
        #[arg(long, short, default_value = "wide")]
        kernel: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The same run restored again and again: are its digests equal, and is anything left behind?
    Soak {
        /// Kernels
        #[arg(long, short, default_value = "6.12")]
        kernel: Vec<String>,
        /// Restores per kernel
        #[arg(long, default_value_t = 1000)]
        restores: usize,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// What a hundred `kill -9` of the daemon under load leave behind, and what it counts afterwards
    Kills(Measured),
}

/// What is measured of hooks.
#[derive(Debug, Args)]
pub struct Hooks {
    #[command(flatten)]
    pub what: Measured,
    /// Without this machine's own kernel, which is left out without root as well
    #[arg(long)]
    pub no_host: bool,
}

/// What is measured, and how it is told.
#[derive(Debug, Args)]
pub struct Measured {
    /// Kernels
    #[arg(long, short, default_value = "all")]
    pub kernel: Vec<String>,
    /// Loader of the probes: libbpf or aya
    #[arg(long, default_value_t)]
    pub loader: Loader,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `probelab budget`.
#[derive(Debug, Args)]
pub struct Budget {
    /// Scenario names, or `all`; those without a probe and negative controls have no costs
    #[arg(default_value = "all", value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Kernels, as for `run`
    #[arg(long, short, default_value = "all")]
    pub kernel: Vec<String>,
    /// Loader of the probes: libbpf or aya
    #[arg(long, default_value = "libbpf")]
    pub loader: Loader,
    /// Runs at once (default: one per processor)
    #[arg(long, short)]
    pub jobs: Option<usize>,
    /// Enter what was measured into the scenarios
    #[arg(long)]
    pub write: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `probelab mutants`.
#[derive(Debug, Args)]
pub struct Mutants {
    #[command(flatten)]
    pub matrix: Matrix,
    /// Run everything, also where a record of the same inputs is stored
    #[arg(long)]
    pub fresh: bool,
}

/// `probelab kernels`.
#[derive(Debug, Subcommand)]
pub enum Kernels {
    /// List pinned kernels and those of the folder in PROBELAB_KERNELS
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch pinned kernels into the store
    Fetch {
        /// Kernels
        #[arg(default_value = "all")]
        kernel: Vec<String>,
    },
    /// Pin the newest build of each series in vm/kernels.lock
    Update {
        /// Series (default: all)
        series: Vec<String>,
    },
    /// Verify every file of the stored kernels
    Verify {
        /// Kernels
        #[arg(default_value = "all")]
        kernel: Vec<String>,
    },
}

/// `probelab rootfs`.
#[derive(Debug, Subcommand)]
pub enum Rootfs {
    /// Build the root filesystem and print its sha256
    Build,
    /// Build it twice in different folders and compare
    Verify,
    /// Build it and pin what it was made of in vm/rootfs.lock
    Update,
    /// Make an archive for --rootfs of a tree that something else filled; vm/rootfs.toml says what is added and left out
    Pack {
        /// The tree; links, folders and files of the recipe are written into it
        tree: PathBuf,
        /// Where the archive goes
        archive: PathBuf,
    },
}

/// `probelab cache`.
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// List what is in the cache and its size
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete what was not used for a while
    Prune {
        /// Days without use after which a thing goes; 0 deletes everything
        #[arg(long, default_value_t = 30)]
        days: u64,
        /// Only these kinds: checkpoints, kernels, rootfs, packages, apt, records
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
    },
}

//! `probelab check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use report::check::{Gate, Need};

use super::{Loaders, OwnKernel, Reports, Where};

/// `probelab check`.
#[derive(Debug, Args)]
#[command(after_long_help = reasons())]
pub struct Check {
    /// BPF objects (*.bpf.o), or folders of them
    #[arg(required_unless_present = "peers", value_name = "OBJECT")]
    pub objects: Vec<PathBuf>,
    /// Instead of objects, bcc's tools as Debian builds them (libbpf-tools): which of them start
    #[arg(long, conflicts_with_all = ["objects", "loader", "need"])]
    pub peers: bool,
    /// Kernels: `all` (the quick set), `wide` (every pin), `lts`, `latest-per-series`, `rt`, a name (6.12), a version,
    /// or a pattern ('6.*'); may be given more than once
    #[arg(long, short, default_value = "all")]
    pub kernel: Vec<String>,
    #[command(flatten)]
    pub own: OwnKernel,
    #[command(flatten)]
    pub place: Where,
    /// Library that loads the objects
    #[arg(long, value_name = "NAME", default_value = "libbpf")]
    pub loader: Loaders,
    /// How far every program must come for a pass
    #[arg(long, value_name = "STEP", default_value = "attach")]
    pub need: NeedArgument,
    /// Guests at once (default: one per processor)
    #[arg(long, short)]
    pub jobs: Option<usize>,
    /// Print everything that was found as JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print the rows as CSV; columns that veristat has carry its names
    #[arg(long)]
    pub csv: bool,
    /// Columns of the CSV, separated by commas (default: all)
    #[arg(long, value_name = "COLUMNS", requires = "csv", value_delimiter = ',')]
    pub emit: Vec<String>,
    #[command(flatten)]
    pub reports: Reports,
    /// Compare with the CSV of an older check, ours or veristat's
    #[arg(long, value_name = "OLD.csv")]
    pub compare: Option<PathBuf>,
    /// With --compare: how much a column may grow, such as insns+0, states+5% or net+10; may be given more than once
    #[arg(long, value_name = "GATE", requires = "compare")]
    pub fail_on: Vec<Gate>,
}

/// A step of a check, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NeedArgument {
    /// It loads
    Load,
    /// It attaches, unless its section does not say where
    Attach,
    /// It runs under the built-in stimulus
    Fire,
}

impl From<NeedArgument> for Need {
    fn from(argument: NeedArgument) -> Self {
        match argument {
            NeedArgument::Load => Self::Load,
            NeedArgument::Attach => Self::Attach,
            NeedArgument::Fire => Self::Fire,
        }
    }
}

/// The reason codes, for the long help.
fn reasons() -> String {
    let width = wire::Reason::ALL
        .iter()
        .map(|reason| reason.code().len())
        .max()
        .unwrap_or_default();
    let lines: Vec<String> = wire::Reason::ALL
        .iter()
        .map(|reason| format!("  {reason:width$}  {}", reason.meaning()))
        .collect();
    format!("Reasons:\n{}", lines.join("\n"))
}

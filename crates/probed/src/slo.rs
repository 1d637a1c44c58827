//! `probed slo`: objectives on the command line. What an objective means is the `slo` crate's business; here are files,
//! sockets, the terminal, and the history that the daemon keeps.
//!
//! A report needs readings from a whole window. `probed run --slo FILE` keeps them in memory, bounded, one each second
//! or so and older ones further apart, and serves them; so a report has its window at once and from where the counters
//! are. A daemon that keeps none is sampled by the report itself, which then takes as long as the longest window. Nothing
//! is written to disk: windows that must outlive the daemon are a Prometheus server's, and `probed slo rules` makes the
//! rules for it.

mod objectives;
mod output;
mod record;
mod screen;
mod source;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use slo::{ClientErrors, RuleOptions};

use crate::client::ClientArguments;
use objectives::{Objectives, Store};
use output::Format;
pub use record::Recorder;
use source::Source;

/// What to do with objectives.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate objectives and store them on this machine, for the other commands to use when they are given none.
    Sync {
        /// The objectives: YAML of `reliably.com/v1` or `openslo/v1`.
        #[arg(short, long, value_name = "FILE")]
        manifest: PathBuf,
        #[command(flatten)]
        store: Store,
    },
    /// Say how the objectives are met, how much of the error budget is left, and how fast it goes.
    Report {
        #[command(flatten)]
        objectives: ObjectivesArguments,
        #[command(flatten)]
        source: SourceArguments,
        /// Report again and again: a screen on a terminal, else lines.
        #[arg(short, long)]
        watch: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t = Format::Simple)]
        format: Format,
        /// Write it to a file instead; with --watch, replace the file each time.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print Prometheus rules: recorded error ratios and alerts on their burn rates.
    Rules {
        #[command(flatten)]
        objectives: ObjectivesArguments,
        /// How often the Prometheus server scrapes.
        #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = slo::parse_duration)]
        scrape_interval: slo::Milliseconds,
    },
}

/// Which objectives.
#[derive(Debug, Args)]
pub struct ObjectivesArguments {
    /// The objectives: YAML of `reliably.com/v1` or `openslo/v1`; those of `probed slo sync` otherwise.
    #[arg(short, long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// What an answer of the class 4xx is to an availability objective of `reliably.com/v1`.
    #[arg(long, value_enum, default_value_t = ClientErrorsArgument::Bad)]
    client_errors: ClientErrorsArgument,
    #[command(flatten)]
    store: Store,
}

/// Where the readings come from.
#[derive(Debug, Args)]
pub struct SourceArguments {
    /// Where `probed run` serves.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9464",
        conflicts_with = "samples"
    )]
    address: String,
    /// A recording instead: OpenMetrics expositions one after another, each sample with its timestamp.
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClientErrorsArgument {
    /// As good as a 2xx: the client asked for nonsense and was told so.
    Good,
    /// As bad as a 5xx.
    Bad,
    /// Not counted at all.
    Excluded,
}

impl From<ClientErrorsArgument> for ClientErrors {
    fn from(argument: ClientErrorsArgument) -> Self {
        match argument {
            ClientErrorsArgument::Good => Self::Good,
            ClientErrorsArgument::Bad => Self::Bad,
            ClientErrorsArgument::Excluded => Self::Excluded,
        }
    }
}

impl ObjectivesArguments {
    fn read(&self) -> anyhow::Result<Objectives> {
        let path = match &self.manifest {
            Some(path) => path.clone(),
            None => self.store.synced()?,
        };
        Objectives::read(&path, self.client_errors.into())
    }
}

/// Does it.
///
/// # Errors
/// When the objectives are no good, or there is nothing to read them from.
pub fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Sync { manifest, store } => {
            let objectives = Objectives::read(&manifest, ClientErrors::default())?;
            let path = store.keep(&manifest)?;
            for objective in &objectives.list {
                println!("{}: {}", objective.service, objective.name);
            }
            println!("{} stored in {}", objectives.list.len(), path.display());
            Ok(())
        }
        Command::Report {
            objectives,
            source,
            watch,
            format,
            output,
        } => {
            let objectives = objectives.read()?;
            let mut source = Source::new(source, &objectives)?;
            match (watch, &output) {
                (true, None) if std::io::stdout().is_terminal() => watch::on_screen(&objectives, &mut source),
                (true, _) => watch::in_lines(&objectives, &mut source, format, output.as_deref()),
                (false, _) => {
                    let history = source.whole_window(&objectives)?;
                    output::put(&format.text(&objectives.report(&history))?, output.as_deref())
                }
            }
        }
        Command::Rules {
            objectives,
            scrape_interval,
        } => {
            let objectives = objectives.read()?;
            let options = RuleOptions {
                scrape_interval_ms: scrape_interval,
            };
            match slo::prometheus_rules(&objectives.list, options) {
                Ok(rules) => output::put(&rules, None),
                Err(reason) => bail!(crate::manifest::ManifestError::Usage(reason)),
            }
        }
    }
}

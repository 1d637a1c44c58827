//! `probed`, the probe daemon: reads a manifest, attaches its probes, serves what they count. Tests nothing and knows
//! no lab.

mod daemon;
mod endpoints;
mod manifest;
mod privileges;
mod programs;
mod scraper;
mod service;
mod state;
mod top;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use probe::loader::Loader;

use crate::service::Format;

/// Usage or configuration is wrong.
const EXIT_CONFIGURATION: u8 = 2;
/// The machine does not let it run.
const EXIT_UNAVAILABLE: u8 = 69;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Service-level indicators out of the kernel, with no change to the application"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Attach the probes of a manifest and serve their metrics until SIGTERM or SIGINT.
    Run {
        /// The manifest.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// The library that loads the probes: libbpf or aya.
        #[arg(long, value_name = "LOADER", default_value_t)]
        loader: Loader,
        /// Where to serve /metrics, /ready and /healthz.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
        listen: SocketAddr,
        #[command(flatten)]
        live: state::LiveArguments,
    },
    /// Attach, wait, print all metrics once, detach.
    Once {
        /// The manifest.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// The library that loads the probes: libbpf or aya.
        #[arg(long, value_name = "LOADER", default_value_t)]
        loader: Loader,
        /// How long to watch; SIGTERM and SIGINT end it early.
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: f64,
        /// What to print.
        #[arg(long, value_enum, default_value_t = FormatArgument::Prometheus)]
        format: FormatArgument,
    },
    /// Say whether a manifest is valid, without attaching anything.
    Check {
        /// The manifest.
        #[arg(value_name = "FILE")]
        manifest: PathBuf,
    },
    /// Print runs and run time of every BPF program on this machine, by the process that holds it.
    Programs {
        /// What to print.
        #[arg(long, value_enum, default_value_t = FormatArgument::Prometheus)]
        format: FormatArgument,
    },
    /// Learn what good and bad states of this system look like, and tell them apart.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Show which control groups wait for a processor, and who keeps it from them.
    Top(top::TopArguments),
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArgument {
    Prometheus,
    Openmetrics,
}

impl From<FormatArgument> for Format {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::Prometheus => Self::Prometheus,
            FormatArgument::Openmetrics => Self::OpenMetrics,
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run {
            manifest,
            loader,
            listen,
            live,
        } => daemon::run(
            manifest::read(&manifest)?,
            loader,
            listen,
            state::Live::new(&live)?,
        ),
        Command::Once {
            manifest,
            loader,
            seconds,
            format,
        } => {
            let watch = Duration::try_from_secs_f64(seconds)
                .map_err(|error| manifest::ManifestError::Usage(format!("--for {seconds}: {error}")))?;
            daemon::once(manifest::read(&manifest)?, loader, watch, format.into())
        }
        Command::Check { manifest } => {
            let probes = manifest::read(&manifest)?;
            println!("{}: {} valid", manifest.display(), probes.len());
            Ok(())
        }
        Command::Programs { format } => {
            print!("{}", Format::from(format).text(&programs::families()?));
            Ok(())
        }
        Command::State(command) => state::execute(command),
        Command::Top(arguments) => top::run(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "probed", &mut std::io::stdout());
            Ok(())
        }
    }
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probed: {error:#}");
            let is_configuration = error.is::<manifest::ManifestError>();
            ExitCode::from(if is_configuration {
                EXIT_CONFIGURATION
            } else {
                EXIT_UNAVAILABLE
            })
        }
    }
}

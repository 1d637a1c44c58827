//! `probed`, the probe daemon: reads a manifest, attaches its probes, serves what they count. Tests nothing and knows
//! no lab.

mod access;
mod bpfd;
mod client;
mod daemon;
mod endpoints;
mod exports;
mod manifest;
mod otlp;
mod privileges;
mod programs;
mod replace;
mod schema;
mod scraper;
mod selector;
mod service;
mod slo;
mod state;
mod targets;
mod top;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use probe::loader::Loader;

use crate::service::{Format, Plan};
use crate::targets::identities::IdentityArguments;

/// What is logged unless `RUST_LOG` says otherwise. The client of the API server logs each error that it returns as well.
const LOG: &str = "info,kube_client=off";
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
    Run(Box<RunArguments>),
    /// Attach, wait, print all metrics once, detach.
    Once {
        #[command(flatten)]
        what: What,
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
    /// Say whether manifests are valid, without attaching anything.
    Check {
        /// The manifests.
        #[arg(value_name = "FILE", required = true)]
        manifests: Vec<PathBuf>,
    },
    /// Print runs and run time of every BPF program on this machine, by the process that holds it.
    Programs {
        /// What to print.
        #[arg(long, value_enum, default_value_t = FormatArgument::Prometheus)]
        format: FormatArgument,
    },
    /// Print which capabilities each kind of probe needs on this kernel.
    Capabilities {
        /// The library that loads the probes: libbpf or aya.
        #[arg(long, value_name = "LOADER", default_value_t)]
        loader: Loader,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Learn what good and bad states of this system look like, and tell them apart.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Show which control groups wait for a processor, and who keeps it from them.
    Top(top::TopArguments),
    /// Service-level objectives: validate them, report on them, make alert rules of them.
    #[command(subcommand)]
    Slo(slo::Command),
    /// Print the JSON schema of manifests and inventories, for editors.
    Schema,
    /// Write man pages of all commands into a folder.
    Man {
        /// The folder; it is made when it is not there.
        folder: PathBuf,
    },
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// What to run, for whom to serve it, and what else to do meanwhile.
#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    what: What,
    /// The library that loads the probes: libbpf or aya.
    #[arg(long, value_name = "LOADER", default_value_t)]
    loader: Loader,
    /// Where to serve /metrics, /ready and /healthz.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    #[command(flatten)]
    access: access::AccessArguments,
    #[command(flatten)]
    live: state::LiveArguments,
    /// Keep the history that these objectives need, for `probed slo report`; without FILE, those of `probed slo sync`.
    #[arg(long, value_name = "FILE")]
    slo: Option<Option<PathBuf>>,
    #[command(flatten)]
    push: PushArguments,
}

/// Where to push metrics, beside serving them.
#[derive(Debug, Args)]
struct PushArguments {
    /// An OTLP receiver to push all metrics to, such as http://127.0.0.1:4318/v1/metrics.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<axum::http::Uri>,
    /// How often to push.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    otlp_interval: f64,
}

impl PushArguments {
    fn read(&self) -> anyhow::Result<Option<daemon::Push>> {
        let usage = |message: String| manifest::ManifestError::Usage(message);
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(None);
        };
        let interval = Duration::try_from_secs_f64(self.otlp_interval)
            .ok()
            .filter(|interval| !interval.is_zero())
            .ok_or_else(|| {
                usage(format!(
                    "--otlp-interval {}: it must be above 0",
                    self.otlp_interval
                ))
            })?;
        let receiver =
            otlp::Receiver::new(endpoint).map_err(|error| usage(format!("--otlp-endpoint {error}")))?;
        Ok(Some(daemon::Push { receiver, interval }))
    }
}

/// What to run, and for whom.
#[derive(Debug, Args)]
struct What {
    /// A manifest; may be given several times.
    #[arg(long = "manifest", value_name = "FILE", required = true)]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    identities: IdentityArguments,
}

impl What {
    fn read(&self) -> Result<Plan, manifest::ManifestError> {
        Plan::new(manifest::read(&self.manifests)?, self.identities.read()?)
    }
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
        Command::Run(arguments) => {
            let recorder = arguments.slo.map(slo::Recorder::of).transpose()?;
            let live = state::Live::new(&arguments.live)?;
            let serve = daemon::Serve {
                address: arguments.listen,
                access: arguments.access.read()?,
            };
            let push = arguments.push.read()?;
            daemon::run(
                arguments.what.read()?,
                arguments.loader,
                serve,
                push,
                recorder,
                live,
            )
        }
        Command::Once {
            what,
            loader,
            seconds,
            format,
        } => {
            let watch = Duration::try_from_secs_f64(seconds)
                .map_err(|error| manifest::ManifestError::Usage(format!("--for {seconds}: {error}")))?;
            daemon::once(what.read()?, loader, watch, format.into())
        }
        Command::Check { manifests } => {
            for path in manifests {
                let probes = manifest::read(std::slice::from_ref(&path))?;
                println!("{}: {} valid", path.display(), probes.len());
            }
            Ok(())
        }
        Command::Programs { format } => {
            print!("{}", Format::from(format).text(&programs::families()?));
            Ok(())
        }
        Command::Capabilities { loader, json } => privileges::print(loader, json, std::io::stdout().lock()),
        Command::State(command) => state::execute(command),
        Command::Top(arguments) => top::run(&arguments),
        Command::Slo(command) => slo::execute(command),
        Command::Schema => {
            print!("{}", schema::text());
            Ok(())
        }
        Command::Man { folder } => {
            let write = || {
                std::fs::create_dir_all(&folder)?;
                clap_mangen::generate_to(Arguments::command(), &folder)
            };
            write().with_context(|| format!("writing man pages into {}", folder.display()))
        }
        Command::Completions { shell } => {
            // Through memory, because clap_complete panics when nobody reads what it writes.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "probed", &mut script);
            std::io::stdout()
                .write_all(&script)
                .context("printing the completion script")
        }
    }
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOG.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
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
